/* load.h - an imported graph made ready: prepared, folded, rewritten, packed.
 *
 * Depends on: engine/graph.h, engine/op.h, engine/passes/passes.h.
 * Ownership: all it makes belongs to the graph.
 * Threads: one. */
#ifndef MILLRACE_ENGINE_LOAD_H
#define MILLRACE_ENGINE_LOAD_H

#include "engine/graph.h"

/* Constants grown out of little at load, in bytes: what would go beyond is computed by
 * sessions.  The first number bounds one of them, the second all of a graph's; weights
 * that a model only describes, to keep its file small, are as large as weights are. */
#define LOAD_FOLD_SIZE_MAX ((size_t)512 << 20)
#define LOAD_FOLD_TOTAL_MAX ((size_t)1 << 30)

/* When a node is computed. */
enum phase {
    PHASE_PREPARE, /* by session_prepare: it follows from shapes and constants */
    PHASE_RUN,     /* by session_run, into memory planned by session_prepare */
    PHASE_DYNAMIC  /* by session_run, shaped there too: its shape follows from data */
};

/* `passes` is a bit for each entry of the pass table; ~0 for all. */
MUST_CHECK enum status load_graph(struct graph *graph, unsigned passes,
                                  struct error *err);

/* Sets the phase of every node; `made_in` has room for every value and gets the phase
 * of what makes it: PHASE_PREPARE for constants, PHASE_RUN for inputs. */
void load_phases(const struct graph *graph, enum phase *phases, enum phase *made_in);

/* What the data of a job would make wrong is, in a constant, the model's fault:
 * STATUS_POISON becomes STATUS_INVALID. */
enum status load_status(enum status status, struct error *err);

/* Prepares a node that a pass has added or changed; folds nothing. */
MUST_CHECK enum status load_node(struct graph *graph, struct node *node,
                                 struct error *err);

#endif
