/* pool.h - max and average pooling over 2-D windows, float32.
 *
 * A 1-D pooling has height 1.  For a global average see reduce_rows_sum.
 *
 * Depends on: engine/kernels/conv.h for enum layout.
 * Ownership: arrays are the caller's; nothing allocates.
 * Threads: pure; any. */
#ifndef MILLRACE_ENGINE_KERNELS_POOL_H
#define MILLRACE_ENGINE_KERNELS_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/kernels/conv.h"

struct pool {
    int64_t channels;
    int64_t in_h, in_w, out_h, out_w;
    int64_t kernel_h, kernel_w;
    int64_t stride_h, stride_w;     /* at least 1 */
    int64_t dilation_h, dilation_w; /* at least 1 */
    int64_t pad_top, pad_left, pad_bottom, pad_right;
    bool count_include_pad; /* average: padding counts as zeros in the divisor; what
                               ceil_mode adds beyond the padding never does */
    enum layout layout;     /* of both x and y */
};

/* A window that covers nothing but padding gives -infinity (max) or 0 (average); a NaN
 * in the window may or may not win, as in ONNX Runtime. */
void pool_max(const struct pool *pool, int64_t batch, const float *x, float *y);
void pool_average(const struct pool *pool, int64_t batch, const float *x, float *y);

#endif
