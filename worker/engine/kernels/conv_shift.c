/* conv_shift.c - convolution of few taps with pixels innermost: an image with its padding
 * around it, read again for each tap, shifted; see conv_impl.h.  An image is a volume of
 * one plane. */
#include <string.h>

#include "base/size.h"
#include "engine/kernels/conv_impl.h"
#include "engine/kernels/kernels.h"

bool conv_shift_suits(const struct conv *conv, int64_t taps) {
    return conv->groups == 1 && conv->stride_w == 1 && conv->kernel_w > 1 &&
           taps <= CONV_SHIFT_TAPS_MAX;
}

/* Planes of a channel with the padding before and behind. */
static int64_t padded_d(const struct conv_volume *v) {
    const int64_t reach =
        (v->out_d - 1) * v->stride_d + (v->kernel_d - 1) * v->dilation_d + 1;
    const int64_t all = v->in_d + v->pad_front;
    return all > reach ? all : reach;
}

size_t conv_shift_scratch(const struct conv_volume *v) {
    const int64_t height = conv_padded_h(&v->plane), width = conv_padded_w(&v->plane);
    size_t count = 0;
    if (!size_mul((size_t)height, (size_t)width, &count) ||
        !size_mul(count, (size_t)padded_d(v), &count) ||
        !size_mul(count, (size_t)v->channels, &count) || count > SIZE_MAX / 8) {
        return SIZE_MAX;
    }
    return size_align(count + CONV_SHIFT_SLACK, CACHE_LINE / sizeof(float));
}

/* x with zeros around it, and numbers behind it that may be read. */
static void pad_volume(const struct conv_volume *v, const float *x, float *padded) {
    const int64_t plane = conv_padded_h(&v->plane) * conv_padded_w(&v->plane);
    const int64_t behind = padded_d(v) - v->pad_front - v->in_d;
    for (int64_t c = 0; c < v->channels; c++) {
        memset(padded, 0, (size_t)(v->pad_front * plane) * sizeof(*padded));
        padded += v->pad_front * plane;
        conv_pad_planes(&v->plane, v->in_d, 1, x, padded);
        padded += v->in_d * plane;
        x += v->in_d * v->plane.in_h * v->plane.in_w;
        memset(padded, 0, (size_t)(behind * plane) * sizeof(*padded));
        padded += behind * plane;
    }
    memset(padded, 0, CONV_SHIFT_SLACK * sizeof(*padded));
}

/* Offsets from a pixel's first tap, in the order of the weights; returns how many. */
static int64_t list_taps(const struct conv_volume *v, int32_t *taps) {
    const struct conv *p = &v->plane;
    const int64_t width = conv_padded_w(p), plane = conv_padded_h(p) * width;
    int64_t count = 0;
    for (int64_t c = 0; c < v->channels; c++) {
        for (int64_t d = 0; d < v->kernel_d; d++) {
            for (int64_t i = 0; i < p->kernel_h; i++) {
                for (int64_t j = 0; j < p->kernel_w; j++) {
                    taps[count++] =
                        (int32_t)((c * padded_d(v) + d * v->dilation_d) * plane +
                                  i * p->dilation_h * width + j * p->dilation_w);
                }
            }
        }
    }
    return count;
}

void conv_shift_run(const struct conv_volume *v, const float *x, const float *packed,
                    const float *bias, float *y, float *image) {
    const struct conv *p = &v->plane;
    const int64_t width = conv_padded_w(p), plane = conv_padded_h(p) * width;
    const int64_t pixels = p->out_h * p->out_w;
    int32_t taps[CONV_SHIFT_TAPS_MAX];
    struct conv_shift s = {
        .taps = taps,
        .w = packed,
        .k = list_taps(v, taps),
        .outputs = p->channels_out,
        .rows = p->out_h,
        .pixels = p->out_w,
        .x_row = p->stride_h * width,
        .y_row = p->out_w,
        .y_output = v->out_d * pixels,
        .bias = bias,
    };
    const struct act *rest = act_clamps(&p->act, &s.floor, &s.ceil);
    pad_volume(v, x, image);
    for (int64_t d = 0; d < v->out_d; d++) {
        s.x = image + d * v->stride_d * plane;
        s.y = y + d * pixels;
        kernels_current()->conv_shift(&s);
    }
    if (rest != NULL) {
        act_run(rest, p->channels_out * v->out_d * pixels, y, y);
    }
}
