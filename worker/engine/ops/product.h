/* product.h - matrix products with a constant right side, for MatMul and Gemm.
 *
 * pack() brings a constant float32 B into the kernel's layout once; run streams it.
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

/* The bias to add to every row: input 2 if there is one, else NULL. */
const float *product_bias(const struct exec *exec);

#endif
