/* pool_bytes.h - max and average pooling of quantised bytes.
 *
 * Depends on: engine/kernels/pool.h for the geometry.
 * Ownership: arrays are the caller's; nothing allocates.
 * Threads: pure; any. */
#ifndef MILLRACE_ENGINE_KERNELS_POOL_BYTES_H
#define MILLRACE_ENGINE_KERNELS_POOL_BYTES_H

#include <stddef.h>

#include "engine/kernels/pool.h"

/* Pixels of a window whose sum fits into 32 bits. */
#define POOL_BYTES_PIXELS_MAX ((int64_t)1 << 23)

/* A window that covers nothing but padding gives the lowest byte. */
void pool_bytes_max(const struct pool *pool, int64_t batch, bool is_signed,
                    const uint8_t *x, uint8_t *y);

struct pool_bytes_average {
    bool is_signed; /* x and y */
    float x_scale, y_scale;
    int32_t x_zero, y_zero;
};

/* Bytes of scratch that pool_bytes_average wants. */
size_t pool_bytes_scratch_size(const struct pool *pool);

/* Sums are exact, and rounded once; a window that covers nothing gives y's zero. */
void pool_bytes_average(const struct pool *pool, const struct pool_bytes_average *form,
                        int64_t batch, const uint8_t *x, uint8_t *y, int32_t *scratch);

#endif
