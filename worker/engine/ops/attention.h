/* attention.h - for passes: Attention over operands whose heads are not yet split.
 *
 * Depends on: engine/op.h.
 * Ownership: what is made belongs to the graph.
 * Threads: one, while loading. */
#ifndef MILLRACE_ENGINE_OPS_ATTENTION_H
#define MILLRACE_ENGINE_OPS_ATTENTION_H

#include "engine/op.h"

/* Where a 4-d operand's axes lie. */
enum attention_layout {
    ATTENTION_HEADS_FIRST, /* [batch, heads, rows, size], as ONNX has it */
    ATTENTION_ROWS_FIRST,  /* [batch, rows, heads, size] */
};

struct attention_fusion {
    enum attention_layout q, k, v, y;
    float scale;
};

/* Turns `node` into an Attention over Q, K, V and a float mask or none (VALUE_NONE), all
 * 4-d; its output stays.  False where memory runs out. */
MUST_CHECK bool attention_fuse(struct graph *graph, struct node *node,
                               const int inputs[4],
                               const struct attention_fusion *fusion);

#endif
