/* conv_impl.h - inside Conv: what conv.c and conv_nd.c share.
 *
 * Depends on: engine/kernels/conv_volume.h, engine/ops/window.h.
 * Ownership: packed weights are the graph's, a memo is its node's.
 * Threads: read-only in run. */
#ifndef MILLRACE_ENGINE_OPS_CONV_IMPL_H
#define MILLRACE_ENGINE_OPS_CONV_IMPL_H

#include "engine/kernels/conv_volume.h"
#include "engine/ops/col2im.h"
#include "engine/ops/residual.h"
#include "engine/ops/window.h"

struct conv_state {
    struct window_spec window;
    int64_t groups;
    bool pool_2x2;       /* the result is max-pooled; its channels are last */
    const float *packed; /* weights, or NULL where they are not constant */
};

struct conv_memo {
    struct conv conv;
    int64_t batch;
    size_t pack_size;   /* bytes at the front of scratch for weights packed by run */
    size_t result_size; /* then for a result that is not y */
    struct residual residual;
    struct col2im windows;     /* of more than two spatial axes; else axes is 0 */
    struct conv_volume volume; /* of three axes, with packed weights */
};

/* Images and weights larger than this, in elements, are refused. */
#define CONV_COUNT_MAX ((size_t)INT32_MAX)

/* What weights and attributes tell: all by which the kernel chooses its way, and with it
 * the order of packed weights.  Sizes of the image are left at 1. */
void conv_describe(const struct node *node, const struct tensor *w, struct conv *conv);

void conv_set_axes(struct conv *conv, const struct window_axis *axes, int count);

/* The padded image and the result, one of each, must be of a reasonable size. */
bool conv_sizes_fit(const struct conv *conv, const struct window_axis *axes, int count);
MUST_CHECK enum status conv_too_large(const struct exec *exec, struct error *err);

/* Of three axes, with constant weights of one group. */
MUST_CHECK enum status conv_nd_pack(struct load *load, const struct tensor *w,
                                    struct error *err);
MUST_CHECK enum status
conv_nd_plan_volume(struct exec *exec, const struct window_axis *axes, struct error *err);

/* Of any number of axes. */
MUST_CHECK enum status conv_nd_plan_columns(struct exec *exec,
                                            const struct window_axis *axes,
                                            struct error *err);
void conv_nd_run_columns(const struct exec *exec);

#endif
