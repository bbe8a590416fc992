/* pool_volume.h - max and average pooling over 3-D windows, float32, channels first: each
 * plane is pooled alone, then planes are joined.
 *
 * Depends on: engine/kernels/pool.h.
 * Ownership: arrays are the caller's; nothing allocates.
 * Threads: any; scratch belongs to one call at a time. */
#ifndef MILLRACE_ENGINE_KERNELS_POOL_VOLUME_H
#define MILLRACE_ENGINE_KERNELS_POOL_VOLUME_H

#include <stddef.h>

#include "engine/kernels/pool.h"

struct pool_volume {
    struct pool plane; /* LAYOUT_NCHW */
    int64_t in_d, out_d, kernel_d;
    int64_t stride_d, dilation_d; /* at least 1 */
    int64_t pad_front, pad_back;
};

/* Bytes of scratch for both, aligned to 64; SIZE_MAX where that overflows. */
size_t pool_volume_scratch_size(const struct pool_volume *volume);

/* x [batch, channels, in_d, in_h, in_w], y [batch, channels, out_d, out_h, out_w]; empty
 * windows and NaN as in pool.h. */
void pool_volume_max(const struct pool_volume *volume, int64_t batch, const float *x,
                     float *y, void *scratch);
void pool_volume_average(const struct pool_volume *volume, int64_t batch, const float *x,
                         float *y, void *scratch);

#endif
