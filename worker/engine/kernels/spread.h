/* spread.h - 2-D transposed convolution with constant weights, channels innermost, one
 * group, float32: each input pixel spreads a kernel over the output.
 *
 *     added     x [pixels, inputs]  x  weights [inputs; kernel_h, kernel_w, outputs]
 *                              --added where they overlap--> y [out_h, out_w, outputs]
 *     turned    with stride 1: a convolution with the kernel turned around
 *     phases    outputs of one remainder by the strides are a convolution of stride 1,
 * with some of the kernel's taps; see spread_impl.h
 *
 * An image's result does not depend on the number of images.  A 1-D one has height 1.
 *
 * Depends on: engine/kernels/act.h.
 * Ownership: all memory is the caller's; spread_run allocates nothing.
 * Threads: any; struct spread and packed weights are read-only after packing, scratch
 * belongs to one call at a time. */
#ifndef MILLRACE_ENGINE_KERNELS_SPREAD_H
#define MILLRACE_ENGINE_KERNELS_SPREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/kernels/act.h"

enum spread_way { SPREAD_ADDED, SPREAD_TURNED, SPREAD_PHASES };

struct spread {
    int64_t channels_in, channels_out;
    int64_t in_h, in_w, out_h, out_w;
    int64_t kernel_h, kernel_w;
    int64_t stride_h, stride_w;     /* at least 1 */
    int64_t dilation_h, dilation_w; /* at least 1 */
    int64_t pad_top,
        pad_left;        /* rows and columns cut off before the result; at least 0 */
    enum spread_way way; /* one that spread_allows; fixed before packing */
    struct act act;      /* after the bias */
};

/* Whether `spread` can be computed this way. */
bool spread_allows(const struct spread *spread, enum spread_way way);

/* The fastest way; without the pads, which are not known then, SPREAD_ADDED. */
enum spread_way spread_choose(const struct spread *spread, bool pads_known);

/* Bytes for packed weights, aligned to 64; SIZE_MAX where that overflows.  Sizes of
 * images do not matter, nor do the pads for SPREAD_ADDED. */
size_t spread_pack_size(const struct spread *spread);

/* Packs w [channels_in, channels_out, kernel_h, kernel_w], ONNX's order.  False where
 * memory for the turned kernel runs out. */
bool spread_pack(const struct spread *spread, const float *w, float *packed);

/* Bytes of scratch for spread_run, aligned to 64; independent of the batch. */
size_t spread_scratch_size(const struct spread *spread);

/* x [batch, in_h, in_w, channels_in], y [batch, out_h, out_w, channels_out], not
 * overlapping; bias [channels_out] or NULL. */
void spread_run(const struct spread *spread, int64_t batch, const float *x,
                const float *packed, const float *bias, float *y, void *scratch);

#endif
