/* strided.h - copying between arrays whose axes have any distances.
 *
 * Transpose, Slice, Expand, Concat, Split, Tile and Pad are all this copy; elements are
 * moved as bytes, whatever their type.
 *
 * Depends on: base/tensor.h.
 * Ownership: arrays are the caller's.
 * Threads: pure. */
#ifndef MILLRACE_ENGINE_OPS_STRIDED_H
#define MILLRACE_ENGINE_OPS_STRIDED_H

#include "base/tensor.h"

enum { STRIDED_RANK_MAX = 2 * TENSOR_RANK_MAX };

/* to[sum i*to_step] = from[sum i*from_step] for all indices below dims.  Steps are in
 * elements and may be 0 or negative on the reading side. */
struct strided {
    int rank;
    int64_t dims[STRIDED_RANK_MAX];
    int64_t from_step[STRIDED_RANK_MAX];
    int64_t to_step[STRIDED_RANK_MAX];
};

/* Row-major steps of dense dims. */
void strided_dense(const int64_t *dims, int rank, int64_t *steps);

/* Drops axes of size 1 and joins axes that are walked as one; the copy stays the same. */
void strided_simplify(struct strided *copy);

/* `copy` must be simplified. */
void strided_run(const struct strided *copy, size_t element_size, const void *from,
                 void *to);

#endif
