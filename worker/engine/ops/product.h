/* product.h - matrix products with a constant side, for MatMul and Gemm.
 *
 * pack() brings a constant float32 B into the kernel's layout once; run streams it.  Of a
 * constant A there is a packed copy beside it, for single columns.
 *
 * Depends on: engine/op.h.
 * Ownership: packed weights belong to the graph.
 * Threads: read-only in run. */
#ifndef MILLRACE_ENGINE_OPS_PRODUCT_H
#define MILLRACE_ENGINE_OPS_PRODUCT_H

#include "engine/op.h"

/* Packs input 1 where it is a constant float32 matrix, [k,n] or, if `trans`, [n,k].
 * *packed stays NULL where it is none. */
MUST_CHECK enum status product_pack(struct load *load, bool trans, const float **packed,
                                    struct error *err);

/* A constant A: then the rows of a batch may be columns of B, and a batch of one is one
 * column, which must have the bits it has beside others. */
struct product_left {
    bool constant;
    const float *packed; /* each matrix of A turned, where it has many rows; or NULL */
    int64_t rows;        /* of one matrix */
    size_t step;         /* floats from one packed matrix to the next */
};

/* Looks at input 0, [.., m,k], and packs it if that is worth it. */
MUST_CHECK enum status product_pack_left(struct load *load, struct product_left *left,
                                         struct error *err);

/* y [m] = alpha A b, where A is m rows from `a` on of input 0, which is constant. */
void product_column(const struct exec *exec, const struct product_left *left, int64_t m,
                    int64_t k, float alpha, const float *a, const float *b, float *y);

/* The bias to add to every row: input 2 if there is one, else NULL. */
const float *product_bias(const struct exec *exec);

#endif
