/* conv_volume.h - 3-D convolution with constant weights, float32, of one group.
 *
 * A plane of the result is the 2-D convolution of an image whose channels are those of
 * all the planes under the kernel, side by side; so conv.h does the work, whichever way
 * suits.  Where the taps are few and lie side by side, the volume itself is read, with
 * its padding around it, as conv.h does with images.
 *
 *     x [channels, in_d, in_h, in_w]     for each plane of y:
 *       planes od * stride_d + k * dilation_d - pad_front, k < kernel_d, or zeros
 *         └► image [in_h, in_w, kernel_d * channels] ─ conv_run ─► [out_h, out_w,
 * channels_out] └► a plane of y
 *
 * Depends on: engine/kernels/conv.h.
 * Ownership: all memory is the caller's; conv_volume_run allocates nothing.
 * Threads: as in conv.h. */
#ifndef MILLRACE_ENGINE_KERNELS_CONV_VOLUME_H
#define MILLRACE_ENGINE_KERNELS_CONV_VOLUME_H

#include "engine/kernels/conv.h"

struct conv_volume {
    struct conv plane; /* of kernel_d * channels channels in; both layouts LAYOUT_NHWC,
                          one group, no pooling */
    int64_t channels;  /* of a plane of x */
    int64_t in_d, out_d, kernel_d;
    int64_t stride_d, dilation_d; /* at least 1 */
    int64_t pad_front;            /* zeros before the first plane; at least 0 */
    bool flat; /* kernel and strides of 1, nothing padded: all planes are one image whose
                  pixels stay innermost; fixed before packing */
};

/* Bytes for packed weights; SIZE_MAX where that overflows. */
size_t conv_volume_pack_size(const struct conv_volume *volume);

/* Packs w [channels_out, channels, kernel_d, kernel_h, kernel_w] into `packed` of
 * conv_volume_pack_size bytes, aligned to 64; `ordered` has room for w. */
void conv_volume_pack(const struct conv_volume *volume, const float *w, float *ordered,
                      float *packed);

/* Bytes of scratch for conv_volume_run, aligned to 64; SIZE_MAX where that overflows. */
size_t conv_volume_scratch_size(const struct conv_volume *volume);

/* x: `batch` volumes; y: [batch, channels_out, out_d, out_h, out_w], not overlapping x.
 * bias: [channels_out] or NULL. */
void conv_volume_run(const struct conv_volume *volume, int64_t batch, const float *x,
                     const float *packed, const float *bias, float *y, void *scratch);

#endif
