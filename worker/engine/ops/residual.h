/* residual.h - a product that adds another tensor to its result: input RESIDUAL_INPUT,
 * where a pass put it.
 *
 * Where both have one shape the product starts from the residual instead of 0, in the
 * residual's own memory if nobody reads that later, and likewise from a copy where the
 * residual is one image for all rows; otherwise they are broadcast as Add does, behind
 * the product.
 *
 * Depends on: engine/ops/broadcast.h.
 * Ownership: plain data in the node's memo.
 * Threads: as the node's. */
#ifndef MILLRACE_ENGINE_OPS_RESIDUAL_H
#define MILLRACE_ENGINE_OPS_RESIDUAL_H

#include "engine/ops/broadcast.h"

#define RESIDUAL_INPUT 3 /* behind x, weights and bias */

struct residual {
    bool added;      /* there is one, and it is added behind the product */
    bool accumulate; /* there is one, and the product is added to it */
    struct broadcast plan;
};

/* Output 0 has the product's dims on entry and the sum's on return; `can_accumulate`:
 * the kernel can start from y.  *size is what the product needs of the scratch where it
 * cannot. */
MUST_CHECK enum status residual_shape(struct exec *exec, bool can_accumulate,
                                      struct residual *residual, size_t *size,
                                      struct error *err);

/* Where the product goes: y, holding the residual where it accumulates, or `scratch`. */
float *residual_begin(const struct exec *exec, const struct residual *residual,
                      float *scratch);

/* y = act(product + residual), where that is still to be done. */
void residual_end(const struct exec *exec, const struct residual *residual,
                  const float *product);

#endif
