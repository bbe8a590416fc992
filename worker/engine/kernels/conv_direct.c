/* conv_direct.c - convolution to channels innermost whose tiles read the image itself,
 * with its padding around it; see conv_impl.h.
 *
 * A tap is an offset into the image, the same for all pixels.  Rows of pixels are taken
 * in pieces that stay in the second cache while all outputs pass. */
#include "engine/kernels/conv_impl.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/kernels.h"

/* Floats of the image behind one piece; and its pixels, where it is a part of a row, are
 * whole tiles at every level. */
#define PIECE_COUNT (32 * 1024)
#define PIECE_STEP 84

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The offsets of a group's taps from a pixel's first, in the order of conv_rows_pack;
 * returns how many. */
static int64_t list_taps(const struct conv *conv, int64_t row, int64_t pixel,
                         int64_t channel, int32_t *taps) {
    const int64_t inputs = conv->channels_in / conv->groups;
    int64_t k = 0;
    for (int64_t i = 0; i < conv->kernel_h; i++) {
        for (int64_t j = 0; j < conv->kernel_w; j++) {
            const int64_t at = i * conv->dilation_h * row + j * conv->dilation_w * pixel;
            for (int64_t c = 0; c < inputs; c++) {
                taps[k++] = (int32_t)(at + c * channel);
            }
        }
    }
    return k;
}

/* All outputs of one group, for the pixels that `piece` tells. */
static void run_group(const struct conv_strip *piece, int64_t outputs,
                      const float *packed, const float *bias) {
    struct conv_strip s = *piece;
    for (int64_t col = 0; col < outputs; col += GEMM_PANEL) {
        s.w = packed + col * s.k;
        s.ldw = gemm_panel_width(outputs - col);
        s.cols = min64(GEMM_PANEL, outputs - col);
        s.bias = bias != NULL ? bias + col : NULL;
        s.y = piece->y + col;
        kernels_current()->conv_strip(&s);
    }
}

static void run_piece(const struct conv *conv, const struct conv_strip *piece,
                      int64_t channel, const float *packed, const float *bias) {
    const int64_t inputs = conv->channels_in / conv->groups;
    const int64_t outputs = conv->channels_out / conv->groups;
    const size_t each = gemm_pack_size(piece->k, conv_rows_columns(conv));
    for (int64_t g = 0; g < conv->groups; g++) {
        struct conv_strip s = *piece;
        s.x += g * inputs * channel;
        s.y += g * outputs;
        run_group(&s, outputs, packed + (size_t)g * (each / sizeof(*packed)),
                  bias != NULL ? bias + g * outputs : NULL);
    }
}

/* How many of `all` steps of `size` floats each are one piece, in steps of `step`. */
static int64_t piece_length(int64_t all, int64_t size, int64_t step) {
    const int64_t length = PIECE_COUNT / size / step * step;
    return min64(length < step ? step : length, all);
}

void conv_direct_run(const struct conv *conv, const float *x, const float *packed,
                     const float *bias, float *y) {
    const int64_t height = conv_padded_h(conv), width = conv_padded_w(conv);
    const int64_t size = conv->pool_2x2 ? 2 : 1;
    const bool nhwc = conv->x_layout == LAYOUT_NHWC;
    const int64_t pixel = nhwc ? conv->channels_in : 1;
    const int64_t channel = nhwc ? 1 : height * width;
    const int64_t out_h = conv->out_h / size, out_w = conv->out_w / size;
    const bool once = conv->groups == 1 && conv->channels_out <= GEMM_PANEL;
    int32_t taps[CONV_DIRECT_TAPS_MAX];
    struct conv_strip s = {
        .x_row = conv->stride_h * width * pixel,
        .x_pixel = conv->stride_w * pixel,
        .taps = taps,
        .k = list_taps(conv, width * pixel, pixel, channel, taps),
        .y_row = out_w * conv->channels_out,
        .y_pixel = conv->channels_out,
        .pool_2x2 = conv->pool_2x2,
        .accumulate = conv->accumulate,
    };
    const int64_t row = size * conv->stride_h * width * conv->channels_in;
    const int64_t rows = once ? out_h : piece_length(out_h, row, 1);
    const int64_t columns =
        once || rows > 1 ? out_w : piece_length(out_w, row / out_w + 1, PIECE_STEP);
    (void)act_clamps(&conv->act, &s.floor, &s.ceil); /* conv.c does the rest */
    for (int64_t oy = 0; oy < out_h; oy += rows) {
        for (int64_t ox = 0; ox < out_w; ox += columns) {
            s.out_h = min64(rows, out_h - oy);
            s.out_w = min64(columns, out_w - ox);
            s.x = x + size * (oy * s.x_row + ox * s.x_pixel);
            s.y = y + oy * s.y_row + ox * s.y_pixel;
            run_piece(conv, &s, channel, packed, bias);
        }
    }
}
