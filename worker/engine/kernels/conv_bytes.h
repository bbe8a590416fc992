/* conv_bytes.h - convolutions of bytes over any number of spatial axes, channels last or
 * first, by the products of gemm_bytes.h.
 *
 * x's bytes ^ flip are without sign, padding is `x_zero` of these; weights [outputs,
 * channels of a group, kernel] ^ w_flip are with sign.
 *
 *     sums = conv(x ^ flip, w ^ w_flip) + add - (sums of the window) * b_zero
 *
 * Three ways, told apart by what weights and attributes tell:
 *
 *     depthwise   one channel a group, up to two axes: taps woven by fours, channels
 *                 innermost; weights lose their zero points when they are packed
 *     direct      few channels, up to two axes: windows are read where they lie in a
 *                 padded copy of the image, a piece for each row of taps
 *     windows     a few rows of windows are gathered, then multiplied
 *
 * Depends on: engine/kernels/gemm_bytes.h.
 * Ownership: all memory is the caller's; nothing here allocates.
 * Threads: any; packed weights are read-only once packed. */
#ifndef MILLRACE_ENGINE_KERNELS_CONV_BYTES_H
#define MILLRACE_ENGINE_KERNELS_CONV_BYTES_H

#include <stdbool.h>

#include "engine/kernels/gemm_bytes.h"

enum { CONV_BYTES_AXES_MAX = 6 };

struct conv_bytes_axis {
    int64_t in, out, kernel, stride, dilation, pad;
};

/* Sizes whose products do not overflow, padding included: what the caller has checked. */
struct conv_bytes {
    int axes;
    struct conv_bytes_axis axis[CONV_BYTES_AXES_MAX];
    int64_t channels_in, channels_out, groups;
    uint8_t flip, w_flip;
    bool x_last, y_last; /* channels last, else first */
    bool doubled;  /* depthwise with zero points in the weights: what is left of these may
                      not fit a byte, and each tap is taken twice */
    bool pool_2x2; /* the result is max-pooled 2x2 with stride 2: see conv_bytes_pools */
};

/* By channels and axes alone. */
bool conv_bytes_is_depthwise(const struct conv_bytes *c);

/* May pool_2x2 be set?  The form is bytes then, scales are positive, and `out` stays what
 * it is before pooling. */
bool conv_bytes_pools(const struct conv_bytes *c);

/* Bytes of packed weights and of scratch; 64-byte aligned, SIZE_MAX where that overflows.
 * Packing needs conv_bytes_pack_scratch more. */
size_t conv_bytes_pack_size(const struct conv_bytes *c);
size_t conv_bytes_pack_scratch(const struct conv_bytes *c);
size_t conv_bytes_scratch_size(const struct conv_bytes *c);

/* `zero` is of w ^ w_flip, one for each output, or NULL for 0; only depthwise reads it.
 */
void conv_bytes_pack(const struct conv_bytes *c, const uint8_t *w, const int32_t *zero,
                     void *packed, void *scratch);

/* For each output the sum of its weights, as they were packed. */
void conv_bytes_columns(const struct conv_bytes *c, const void *packed, int32_t *sums);

/* `tail` is of all outputs; its row_sums are made here.  y is of the form's type. */
void conv_bytes_run(const struct conv_bytes *c, int64_t batch, const uint8_t *x,
                    uint8_t x_zero, const void *packed,
                    const struct gemm_bytes_tail *tail, void *y, void *scratch);

#endif
