/* broadcast.h - NumPy's broadcasting, for operators of up to three inputs.
 *
 * shape() makes a struct broadcast; run() walks its lines.  Axes that all inputs walk
 * alike are joined, so that most shapes become one line or a few:
 *
 *     [32,10] + [10]  ->  32 lines of 10, both inputs with step 1
 *     [32,10] + [1]   ->  1 line of 320, the second input with step 0
 *
 * Depends on: engine/op.h.
 * Ownership: plain data, in a node's memo.
 * Threads: read-only in run. */
#ifndef MILLRACE_ENGINE_OPS_BROADCAST_H
#define MILLRACE_ENGINE_OPS_BROADCAST_H

#include "engine/op.h"

enum { BROADCAST_INPUTS_MAX = 3 };

struct broadcast {
    int rank;                                /* of the outer axes */
    int count;                               /* inputs */
    int64_t line;                            /* elements of a line */
    int64_t line_step[BROADCAST_INPUTS_MAX]; /* each 0 or 1 */
    int64_t dims[TENSOR_RANK_MAX];
    int64_t step[BROADCAST_INPUTS_MAX][TENSOR_RANK_MAX];
};

/* y's dims from those of `count` inputs; STATUS_POISON naming both shapes. */
MUST_CHECK enum status broadcast_shape(const struct exec *exec,
                                       const struct tensor *const *x, int count,
                                       struct tensor *y, struct error *err);

/* `y` has the dims of broadcast_shape. */
void broadcast_init(struct broadcast *plan, const struct tensor *const *x, int count,
                    const struct tensor *y);

/* A walk over the lines: offsets in elements. */
struct broadcast_walk {
    int64_t index[TENSOR_RANK_MAX];
    int64_t at[BROADCAST_INPUTS_MAX];
    int64_t out;
};

/* Steps to the next line; false after the last. */
bool broadcast_next(const struct broadcast *plan, struct broadcast_walk *walk);

/* False where there is nothing to walk. */
bool broadcast_any(const struct broadcast *plan);

#endif
