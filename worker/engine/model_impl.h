/* model_impl.h - inside a model; for model.c and session.c.
 *
 * Depends on: engine/load.h, engine/model.h.
 * Ownership: the model owns all of it.
 * Threads: immutable after model_open. */
#ifndef MILLRACE_ENGINE_MODEL_IMPL_H
#define MILLRACE_ENGINE_MODEL_IMPL_H

#include "engine/load.h"
#include "engine/model.h"
#include "engine/onnx_import.h"

struct model {
    char *path; /* owned */
    struct graph graph;
    struct onnx_ports ports;
    size_t parameter_count;
    enum phase *phases;  /* of each node, in the graph's arena */
    enum phase *made_in; /* of each value */
    int *last_read; /* of each value: the last node of session_run that reads its data,
                       node_count for outputs, -1 where none does */
};

/* As model_open, from bytes and with some passes only; for tests. */
MUST_CHECK enum status model_open_bytes(struct span bytes, unsigned passes,
                                        struct model **model, struct error *err);

#endif
