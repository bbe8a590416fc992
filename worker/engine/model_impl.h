/* model_impl.h - inside a model; for model.c and session.c.
 *
 * Depends on: engine/load.h, engine/model.h.
 * Ownership: the model owns all of it.
 * Threads: immutable after model_open. */
#ifndef MILLRACE_ENGINE_MODEL_IMPL_H
#define MILLRACE_ENGINE_MODEL_IMPL_H

#include "engine/load.h"
#include "engine/model.h"
#include "engine/external.h"
#include "engine/onnx_import.h"

/* A model, or the body of an If, Loop or Scan: a graph of its own, whose inputs are those
 * it declares and then its captures. */
struct model {
    char *path; /* owned; NULL for a body */
    struct model *next_body;
    int *captures; /* of a body: values of the graph around it, in the order of inputs */
    int capture_count, capture_room;
    int capture_first; /* of a body: where its captures begin among its node's inputs */
    struct graph graph;
    struct external external; /* of the graph and its bodies, while they are imported */
    struct budget budget;     /* of the graph's memory; not used in a body */
    struct onnx_ports ports;
    size_t parameter_count;
    enum phase *phases;  /* of each node, in the graph's arena */
    enum phase *made_in; /* of each value */
    int *last_read; /* of each value: the last node of session_run that reads its data,
                       node_count for outputs, -1 where none does */
};

/* An empty body in `outer`, whose budget it shares; NULL where memory runs out. */
MUST_CHECK struct model *model_create_body(const struct graph *outer);

/* Loads the imported graph and says when its nodes are computed. */
MUST_CHECK enum status model_ready(struct model *model, unsigned passes,
                                   struct error *err);

/* Has session_run to compute node `n`?  Not where others look at the shapes of its
 * outputs alone. */
bool model_needs(const struct model *model, int n);

/* As model_open, from bytes and with some passes only; for tests. */
MUST_CHECK enum status model_open_bytes(struct span bytes, unsigned passes,
                                        struct model **model, struct error *err);
/* Data outside of the file is read below the folder of `beside`, a path; NULL: not at
 * all. */
MUST_CHECK enum status model_open_bytes_with(struct span bytes, const char *beside,
                                             unsigned passes,
                                             const struct model_options *options,
                                             struct model **model, struct error *err);

#endif
