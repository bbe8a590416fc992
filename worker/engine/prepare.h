/* prepare.h - an imported graph's nodes checked, typed and folded, in order.
 *
 *     node --> a decided If?   the branch's nodes instead
 *          --> halves?         Casts around it
 *          --> op_prepare --> fold_node, where all inputs are constants
 *
 * Depends on: engine/fold.h, engine/load.h.
 * Ownership: all that is made is the graph's.
 * Threads: one. */
#ifndef MILLRACE_ENGINE_PREPARE_H
#define MILLRACE_ENGINE_PREPARE_H

#include "engine/graph.h"

MUST_CHECK enum status prepare_nodes(struct graph *graph, struct error *err);

#endif
