/* window.h - the geometry that convolution and pooling share: windows that slide over
 * the spatial axes of [batch, channels, d1, d2, ..].
 *
 * Output sizes follow ONNX's Conv-11 and MaxPool-12: floor, or ceil where ceil_mode is
 * set, but no window begins in the padding behind the image.
 *
 * Depends on: engine/op.h.
 * Ownership: attribute lists are borrowed from the file.
 * Threads: read-only in run. */
#ifndef MILLRACE_ENGINE_OPS_WINDOW_H
#define MILLRACE_ENGINE_OPS_WINDOW_H

#include "engine/op.h"

enum { WINDOW_AXES_MAX = TENSOR_RANK_MAX - 2 };

enum auto_pad {
    AUTO_PAD_NOTSET,
    AUTO_PAD_VALID,
    AUTO_PAD_SAME_UPPER,
    AUTO_PAD_SAME_LOWER
};

/* The attributes. */
struct window_spec {
    struct attr_ints kernel, strides, dilations, pads;
    int auto_pad;
    bool ceil_mode;
};

/* One spatial axis of one call. */
struct window_axis {
    int64_t in, out;
    int64_t kernel, stride, dilation;
    int64_t pad_begin, pad_end;
};

/* Reads kernel_shape, strides, dilations, pads, auto_pad and, where `pooling`,
 * ceil_mode. */
MUST_CHECK enum status window_prepare(struct load *load, struct window_spec *spec,
                                      bool pooling, struct error *err);

/* The dilation of a spatial axis, 1 where the attribute does not tell. */
int64_t window_dilation(const struct window_spec *spec, int axis);

/* The axes of input 0.  `weight_dims` are the kernel's sizes where weights tell them,
 * else NULL. */
MUST_CHECK enum status window_axes(const struct exec *exec,
                                   const struct window_spec *spec,
                                   const int64_t *weight_dims, struct window_axis *axes,
                                   struct error *err);

/* The same for a pooling 2 x 2 without padding that an operator does on its own result.
 */
MUST_CHECK enum status window_check_pool_2x2(const struct exec *exec,
                                             const struct window_axis *axes, int count,
                                             struct error *err);

/* One tap of the kernel as the windows pass over a channel, the last axis fastest. */
struct window_walk {
    const struct window_axis *axis;
    int axes;
    int64_t shift[WINDOW_AXES_MAX], out[WINDOW_AXES_MAX];
};

void window_walk_start(struct window_walk *walk, const struct window_axis *axis, int axes,
                       int64_t tap);

/* The element of the channel that the tap sees in the next window; -1 in the padding. */
int64_t window_walk_next(struct window_walk *walk);

#endif
