/* match.h - for passes that look for several nodes at once, from the last one upwards.
 *
 * A pattern's last node is changed into the fused one, where it stands: all that it reads
 * was made before.  The nodes in front of it go by themselves if nobody else reads them.
 *
 * Depends on: engine/graph.h.
 * Ownership: what is made belongs to the graph.
 * Threads: one, while loading. */
#ifndef MILLRACE_ENGINE_PASSES_MATCH_H
#define MILLRACE_ENGINE_PASSES_MATCH_H

#include "engine/graph.h"

/* `node` lives, is ONNX's `type` and has no activation fused to it. */
bool match_is(const struct node *node, const char *type);

/* The node of `type` that makes `value`; NULL where another does. */
struct node *match_maker(struct graph *graph, int value, const char *type);

/* A constant float32 of one element whose rank adds no axes. */
bool match_scalar(const struct graph *graph, int value, float *scalar);

/* A constant float32 of one element, near `wanted`. */
bool match_near(const struct graph *graph, int value, float wanted);

/* Add or Mul of a scalar: sets the other operand's value. */
bool match_with_scalar(const struct graph *graph, const struct node *node, int *other,
                       float *scalar);

/* An operand of a node of two inputs that `type` makes; sets the other one's value. */
struct node *match_either(struct graph *graph, const struct node *node, const char *type,
                          int *other);

/* The one axis that a Squeeze, Unsqueeze or the like names, in a tensor of `rank` axes;
 * -1 where it names another number of them, or not by a constant. */
int match_axis(const struct graph *graph, struct node *node, int rank);

/* `node` becomes `type`, ONNX's or our own, as of `opset`, with these inputs and
 * attributes. */
MUST_CHECK enum status match_become(struct graph *graph, struct node *node,
                                    const char *type, int64_t opset, const int *inputs,
                                    int input_count, const struct attr *attrs,
                                    int attr_count, struct error *err);

#endif
