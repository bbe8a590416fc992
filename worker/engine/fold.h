/* fold.h - computing at load what follows from constants.
 *
 * Depends on: engine/op.h.
 * Ownership: what is computed is the graph's.
 * Threads: one. */
#ifndef MILLRACE_ENGINE_FOLD_H
#define MILLRACE_ENGINE_FOLD_H

#include "engine/op.h"

/* True where all inputs of the prepared `node` are constants and it may be folded. */
bool fold_possible(const struct graph *graph, const struct node *node);

/* Computes the node and makes its outputs constants; the node is dead then.  A result
 * that is too large is left to sessions. */
MUST_CHECK enum status fold_node(struct graph *graph, struct node *node,
                                 struct error *err);

#endif
