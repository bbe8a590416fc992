/* channels_last.h - inside the pass channels_last: images held with channels innermost.
 *
 *     channels first   [batch, channels, d1, ..]   as ONNX has them
 *     channels last    [batch, d1, .., channels]   as the kernels want them
 *
 * A value may have a twin, the same image with channels last.  channels_last.c walks the
 * nodes and keeps the twins; channels_last_rules.c tells, for each operator, how it
 * computes a twin from twins.
 *
 * Depends on: engine/graph.h.
 * Ownership: what is made is the graph's; the working arrays are the pass's.
 * Threads: one, while loading. */
#ifndef MILLRACE_ENGINE_PASSES_CHANNELS_LAST_H
#define MILLRACE_ENGINE_PASSES_CHANNELS_LAST_H

#include "engine/graph.h"

struct twin {
    int last; /* the value that holds it channels last, or VALUE_NONE */
    int rank; /* of both, where there is one */
    bool due; /* the value itself is not made yet: only its twin is */
};

struct rewrite {
    struct graph *graph;
    struct twin *twins; /* by value */
    int twin_room;
    struct node *nodes; /* the new order */
    int node_count, node_room;
};

/* The value that holds `value` channels last, or VALUE_NONE. */
int twin_of(const struct rewrite *r, int value);

/* The same, made by a Transpose where there is none; `value` must have `rank` axes. */
MUST_CHECK enum status twin_make(struct rewrite *r, int value, int rank, int *last,
                                 struct error *err);

/* Outputs of `node` become twins, of rank `rank`, of what they were. */
MUST_CHECK enum status twin_outputs(struct rewrite *r, struct node *node, int rank,
                                    struct error *err);

/* `last` is, and always was, `value` with channels last. */
MUST_CHECK enum status twin_set(struct rewrite *r, int value, int last, int rank,
                                struct error *err);

/* The axis of an image with channels last that is `axis` of it with channels first. */
int twin_axis(int axis, int rank);

/* The perm of the Transpose that puts channels last (first). */
void twin_perm(bool to_last, int rank, int64_t *perm);

/* Whether it is a convolution, from which channels last come. */
bool channels_last_starts(const struct node *node);

/* Changes *node to compute its outputs' twins, where it can: *done tells. */
MUST_CHECK enum status channels_last_rule(struct rewrite *r, struct node *node,
                                          bool *done, struct error *err);

#endif
