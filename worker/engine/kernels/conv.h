/* conv.h - 2-D convolution with constant weights, float32.
 *
 * Fill a struct conv at load, pack the weights, and run any number of images.  The
 * kernel is chosen by conv's shape alone; an image's result does not depend on the
 * number of images.  A 1-D convolution has height 1 and kernel_h 1.
 *
 * Layouts: ONNX is NCHW.  NHWC (channels innermost) is faster where there are few
 * input channels or where an NHWC flatten follows.  A network that goes
 *
 *     Conv (few channels) -> Relu -> MaxPool 2x2 -> Transpose to NHWC -> Reshape
 *
 * is one call with y_layout = LAYOUT_NHWC, act = ACT_RELU and pool_2x2: it never writes
 * the unpooled image, and the Transpose becomes nothing.  With one channel, NCHW and
 * NHWC input are the same bytes.
 *
 *     x_layout  y_layout
 *     NCHW      NCHW       few taps: shifted rows of the image; depthwise; any groups:
 *                          im2col in cache-sized pieces + gemm
 *     NCHW      NHWC       direct, meant for few input channels; any groups are right
 *     NHWC      NHWC       3x3 of stride 1 by Winograd; depthwise; groups of 2, 4 or
 *                          8 channels; to few channels sums along the window's;
 *                          direct up to 128 input channels; else rows gathered in
 *                          cache-sized pieces + gemm
 *     NHWC      NCHW       not offered
 *
 * Depends on: engine/kernels/act.h.
 * Ownership: all memory is the caller's; conv_run allocates nothing.
 * Threads: any; struct conv and packed weights are read-only after packing, scratch
 * belongs to one call at a time. */
#ifndef MILLRACE_ENGINE_KERNELS_CONV_H
#define MILLRACE_ENGINE_KERNELS_CONV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/kernels/act.h"

enum layout { LAYOUT_NCHW, LAYOUT_NHWC };

struct conv {
    int64_t channels_in;  /* all groups together; a multiple of groups */
    int64_t channels_out; /* likewise */
    int64_t groups;       /* at least 1 */
    int64_t in_h, in_w;
    int64_t out_h, out_w; /* before pooling; imply the bottom and right padding */
    int64_t kernel_h, kernel_w;
    int64_t stride_h, stride_w;     /* at least 1 */
    int64_t dilation_h, dilation_w; /* at least 1 */
    int64_t pad_top, pad_left;      /* zeros before the image; at least 0 */
    enum layout x_layout, y_layout;
    bool pool_2x2;   /* max pool 2x2, stride 2, after act; y is [out_h/2, out_w/2],
                        rounded down.  Only with y_layout = LAYOUT_NHWC */
    bool accumulate; /* y holds what the result is added to, before act.  Only where
                        conv_can_accumulate says so */
    struct act act;  /* after the bias, before pooling */
};

/* y_layout NHWC, and a way that can start from what y holds. */
bool conv_can_accumulate(const struct conv *conv);

/* Bytes for packed weights; SIZE_MAX where that overflows. */
size_t conv_pack_size(const struct conv *conv);

/* Packs w [channels_out, channels_in/groups, kernel_h, kernel_w], ONNX's order in all
 * layouts, into `packed`: conv_pack_size bytes, aligned to 64. */
void conv_pack(const struct conv *conv, const float *w, float *packed);

/* Bytes of scratch for conv_run, aligned to 64; independent of the batch.  May be 0. */
size_t conv_scratch_size(const struct conv *conv);

/* x: `batch` images in x_layout; y: in y_layout, not overlapping x.
 * bias: [channels_out] or NULL. */
void conv_run(const struct conv *conv, int64_t batch, const float *x, const float *packed,
              const float *bias, float *y, void *scratch);

#endif
