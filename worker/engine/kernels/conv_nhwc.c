/* conv_nhwc.c - convolution with channels innermost; see conv_impl.h. */
#include <string.h>

#include "engine/kernels/conv_impl.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/kernels.h"

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

void conv_direct_run(const struct conv *conv, const float *x, const float *packed,
                     const float *bias, float *y) {
    const struct kernels *kernels = kernels_current();
    const int64_t height = conv_padded_h(conv), width = conv_padded_w(conv);
    const int64_t outputs = conv->channels_out, size = conv->pool_2x2 ? 2 : 1;
    int32_t taps[CONV_DIRECT_TAPS_MAX];
    int64_t k = 0;
    for (int64_t c = 0; c < conv->channels_in; c++) {
        for (int64_t i = 0; i < conv->kernel_h; i++) {
            for (int64_t j = 0; j < conv->kernel_w; j++) {
                int64_t row = c * height + i * conv->dilation_h;
                taps[k++] = (int32_t)(row * width + j * conv->dilation_w);
            }
        }
    }
    struct conv_strip s = {
        .x = x,
        .x_row = conv->stride_h * width,
        .x_pixel = conv->stride_w,
        .taps = taps,
        .k = k,
        .y_row = conv->out_w / size * outputs,
        .y_pixel = outputs,
        .out_h = conv->out_h / size,
        .out_w = conv->out_w / size,
        .pool_2x2 = conv->pool_2x2,
    };
    (void)act_clamps(&conv->act, &s.floor, &s.ceil); /* conv.c does the rest */
    for (int64_t col = 0; col < outputs; col += GEMM_PANEL) {
        s.w = packed + col * k;
        s.ldw = outputs - col > GEMM_PANEL_STEP ? GEMM_PANEL : GEMM_PANEL_STEP;
        s.cols = min64(GEMM_PANEL, outputs - col);
        s.bias = bias != NULL ? bias + col : NULL;
        s.y = y + col;
        kernels->conv_strip(&s);
    }
}

/* B [kernel_h, kernel_w, inputs; outputs] of each group, from w [outputs, inputs,
 * kernel_h, kernel_w]. */
void conv_rows_pack(const struct conv *conv, const float *w, float *packed) {
    const int64_t inputs = conv->channels_in / conv->groups;
    const int64_t outputs = conv->channels_out / conv->groups;
    const int64_t kernel = conv->kernel_h * conv->kernel_w, taps = conv_taps(conv);
    const size_t size = gemm_pack_size(taps, outputs);
    for (int64_t g = 0; g < conv->groups; g++) {
        memset(packed, 0, size);
        for (int64_t o = 0; o < outputs; o++, w += taps) {
            for (int64_t k = 0; k < taps; k++) {
                const int64_t from = k % inputs * kernel + k / inputs;
                packed[gemm_packed_index(taps, outputs, k, o)] = w[from];
            }
        }
        packed += size / sizeof(*packed);
    }
}

/* The taps of one output pixel, of `inputs` channels each, zeros outside the image. */
static void gather_pixel(const struct conv *conv, const float *x, int64_t pixel,
                         int64_t inputs, float *row) {
    const int64_t oy = pixel / conv->out_w, ox = pixel % conv->out_w;
    const size_t size = (size_t)inputs * sizeof(*row);
    for (int64_t i = 0; i < conv->kernel_h; i++) {
        const int64_t iy = oy * conv->stride_h - conv->pad_top + i * conv->dilation_h;
        for (int64_t j = 0; j < conv->kernel_w; j++, row += inputs) {
            const int64_t ix =
                ox * conv->stride_w - conv->pad_left + j * conv->dilation_w;
            if (iy < 0 || iy >= conv->in_h || ix < 0 || ix >= conv->in_w) {
                memset(row, 0, size);
            } else {
                memcpy(row, x + (iy * conv->in_w + ix) * conv->channels_in, size);
            }
        }
    }
}

void conv_rows_run(const struct conv *conv, const float *x, const float *packed,
                   const float *bias, float *y, float *piece) {
    const int64_t inputs = conv->channels_in / conv->groups;
    const int64_t outputs = conv->channels_out / conv->groups, taps = conv_taps(conv);
    const int64_t pixels = conv->out_h * conv->out_w;
    const bool pointwise = conv_is_pointwise(conv);
    const int64_t most = pointwise ? pixels : conv_piece_rows(conv);
    const size_t packed_count = gemm_pack_size(taps, outputs) / sizeof(*packed);
    for (int64_t g = 0; g < conv->groups; g++) {
        const struct gemm_tail tail = {
            .alpha = 1.0F,
            .bias = bias != NULL ? bias + g * outputs : NULL,
            .act = conv->act,
        };
        const float *from = x + g * inputs;
        for (int64_t pixel = 0; pixel < pixels; pixel += most) {
            const int64_t rows = min64(most, pixels - pixel);
            for (int64_t r = 0; r < rows && !pointwise; r++) {
                gather_pixel(conv, from, pixel + r, inputs, piece + r * taps);
            }
            gemm_run(rows, outputs, taps, pointwise ? from : piece,
                     pointwise ? conv->channels_in : taps,
                     packed + (size_t)g * packed_count, &tail,
                     y + pixel * conv->channels_out + g * outputs, conv->channels_out);
        }
    }
}

void conv_depthwise_nhwc_run(const struct conv *conv, const float *x, const float *packed,
                             const float *bias, float *y) {
    const struct kernels *kernels = kernels_current();
    const int64_t channels = conv->channels_out;
    for (int64_t pixel = 0; pixel < conv->out_h * conv->out_w; pixel++, y += channels) {
        const int64_t oy = pixel / conv->out_w, ox = pixel % conv->out_w;
        const float *w = packed;
        for (int64_t c = 0; c < channels; c++) {
            y[c] = bias != NULL ? bias[c] : 0.0F;
        }
        for (int64_t i = 0; i < conv->kernel_h; i++) {
            const int64_t iy = oy * conv->stride_h - conv->pad_top + i * conv->dilation_h;
            for (int64_t j = 0; j < conv->kernel_w; j++, w += channels) {
                const int64_t ix =
                    ox * conv->stride_w - conv->pad_left + j * conv->dilation_w;
                if (iy >= 0 && iy < conv->in_h && ix >= 0 && ix < conv->in_w) {
                    kernels->mul_add(channels, w, x + (iy * conv->in_w + ix) * channels,
                                     y);
                }
            }
        }
        act_run(&conv->act, channels, y, y);
    }
}
