#include "engine/kernels/conv_volume.h"

#include <assert.h>
#include <string.h>

#include "base/size.h"
#include "engine/kernels/conv_impl.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/kernels.h"

static bool is_shifted(const struct conv_volume *volume) {
    return conv_shift_suits(&volume->plane, conv_taps(&volume->plane));
}

/* All planes of a flat volume, side by side. */
static struct conv flat_image(const struct conv_volume *volume) {
    const struct conv *plane = &volume->plane;
    struct conv image = *plane;
    image.in_h = image.out_h = 1;
    image.in_w = image.out_w = volume->in_d * plane->in_h * plane->in_w;
    image.x_layout = image.y_layout = LAYOUT_NCHW;
    return image;
}

size_t conv_volume_pack_size(const struct conv_volume *volume) {
    const struct conv *plane = &volume->plane;
    size_t count = 0;
    if (volume->flat) {
        const struct conv image = flat_image(volume);
        return conv_pack_size(&image);
    }
    if (!is_shifted(volume)) {
        return conv_pack_size(plane);
    }
    return size_mul((size_t)conv_taps(plane) * sizeof(float), (size_t)plane->channels_out,
                    &count)
               ? size_align(count, GEMM_ALIGN)
               : SIZE_MAX;
}

void conv_volume_pack(const struct conv_volume *volume, const float *w, float *ordered,
                      float *packed) {
    const struct conv *plane = &volume->plane;
    const size_t taps = (size_t)(plane->kernel_h * plane->kernel_w);
    float *to = ordered;
    if (volume->flat) {
        const struct conv image = flat_image(volume);
        conv_pack(&image, w, packed);
        return;
    }
    if (is_shifted(volume)) {
        transpose_f32(plane->channels_out, conv_taps(plane), w, packed);
        return;
    }
    for (int64_t m = 0; m < plane->channels_out; m++) {
        const float *from = w + (size_t)(m * plane->channels_in) * taps;
        for (int64_t d = 0; d < volume->kernel_d; d++) {
            for (int64_t c = 0; c < volume->channels; c++, to += taps) {
                memcpy(to, from + (size_t)(c * volume->kernel_d + d) * taps,
                       taps * sizeof(*to));
            }
        }
    }
    conv_pack(plane, ordered, packed);
}

/* Bytes of an image of so many channels, a whole number of cache lines. */
static size_t image_size(int64_t height, int64_t width, int64_t channels) {
    size_t count, size;
    if (!size_mul((size_t)height, (size_t)width, &count) ||
        !size_mul(count, (size_t)channels, &count) ||
        !size_mul(count, sizeof(float), &size) || size > SIZE_MAX - GEMM_ALIGN) {
        return SIZE_MAX;
    }
    return size_align(size, GEMM_ALIGN);
}

size_t conv_volume_scratch_size(const struct conv_volume *volume) {
    const struct conv *plane = &volume->plane;
    size_t size;
    if (volume->flat) {
        const struct conv image = flat_image(volume);
        return conv_scratch_size(&image);
    }
    if (is_shifted(volume)) {
        size = conv_shift_scratch(volume);
        return size == SIZE_MAX ? SIZE_MAX : size * sizeof(float);
    }
    size = image_size(plane->in_h, plane->in_w, plane->channels_in);
    if (!size_add(size, image_size(plane->out_h, plane->out_w, plane->channels_out),
                  &size) ||
        !size_add(size, conv_scratch_size(plane), &size)) {
        return SIZE_MAX;
    }
    return size;
}

/* The planes under the kernel, at plane `od` of the result. */
static void gather(const struct conv_volume *volume, int64_t od, const float *x,
                   float *image) {
    const struct conv *plane = &volume->plane;
    const int64_t pixels = plane->in_h * plane->in_w, channels = volume->channels;
    for (int64_t k = 0; k < volume->kernel_d; k++, image += channels) {
        const int64_t d =
            od * volume->stride_d + k * volume->dilation_d - volume->pad_front;
        if (d >= 0 && d < volume->in_d) {
            kernels_current()->transpose(channels, pixels, x + d * pixels,
                                         volume->in_d * pixels, image,
                                         plane->channels_in);
            continue;
        }
        for (int64_t p = 0; p < pixels; p++) {
            memset(image + p * plane->channels_in, 0, (size_t)channels * sizeof(*image));
        }
    }
}

void conv_volume_run(const struct conv_volume *volume, int64_t batch, const float *x,
                     const float *packed, const float *bias, float *y, void *scratch) {
    const struct conv *plane = &volume->plane;
    const int64_t pixels = plane->out_h * plane->out_w, outputs = plane->channels_out;
    const int64_t x_size = volume->channels * volume->in_d * plane->in_h * plane->in_w;
    float *image = scratch, *result, *rest;
    if (volume->flat) {
        const struct conv all = flat_image(volume);
        assert(plane->kernel_h * plane->kernel_w * volume->kernel_d == 1);
        assert(plane->stride_h * plane->stride_w * volume->stride_d == 1);
        assert(plane->pad_top + plane->pad_left + volume->pad_front == 0);
        conv_run(&all, batch, x, packed, bias, y, scratch);
        return;
    }
    for (int64_t b = 0; is_shifted(volume) && b < batch; b++, x += x_size) {
        conv_shift_run(volume, x, packed, bias, y, image);
        y += outputs * volume->out_d * pixels;
    }
    if (is_shifted(volume)) {
        return;
    }
    result =
        image + image_size(plane->in_h, plane->in_w, plane->channels_in) / sizeof(float);
    rest = result + image_size(plane->out_h, plane->out_w, outputs) / sizeof(float);
    for (int64_t b = 0; b < batch; b++, x += x_size) {
        for (int64_t od = 0; od < volume->out_d; od++) {
            gather(volume, od, x, image);
            conv_run(plane, 1, image, packed, bias, result, rest);
            kernels_current()->transpose(pixels, outputs, result, outputs,
                                         y + od * pixels, volume->out_d * pixels);
        }
        y += outputs * volume->out_d * pixels;
    }
}
