/* conv_nhwc.c - convolution with channels innermost; see conv_impl.h. */
#include <string.h>

#include "engine/kernels/conv_impl.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/kernels.h"

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* B [kernel_h, kernel_w, inputs; outputs] of each group, from w [outputs, inputs,
 * kernel_h, kernel_w]: one panel of `wide` outputs, `width` with what is padded. */
static void pack_rows_panel(int64_t inputs, int64_t kernel, int64_t wide, int64_t width,
                            const float *w, float *packed) {
    const int64_t taps = inputs * kernel;
    if (kernel == 1) {
        kernels_current()->transpose(wide, taps, w, taps, packed, width);
        return;
    }
    for (int64_t c = 0; c < inputs; c++) { /* a channel's taps lie `inputs` rows apart */
        kernels_current()->transpose(wide, kernel, w + c * kernel, taps,
                                     packed + c * width, inputs * width);
    }
}

void conv_rows_pack(const struct conv *conv, const float *w, float *packed) {
    const int64_t inputs = conv->channels_in / conv->groups;
    const int64_t outputs = conv->channels_out / conv->groups;
    const int64_t columns = conv_rows_columns(conv);
    const int64_t kernel = conv->kernel_h * conv->kernel_w, taps = conv_taps(conv);
    const size_t size = gemm_pack_size(taps, columns);
    for (int64_t g = 0; g < conv->groups; g++, w += outputs * taps) {
        if (columns % GEMM_PANEL_STEP != 0) {
            memset(packed, 0, size);
        }
        for (int64_t o = 0; o < outputs; o += GEMM_PANEL) {
            const int64_t at = gemm_packed_index(taps, columns, 0, o);
            const int64_t width = gemm_packed_index(taps, columns, 1, o) - at;
            pack_rows_panel(inputs, kernel, min64(outputs - o, GEMM_PANEL), width,
                            w + o * taps, packed + at);
        }
        packed += size / sizeof(*packed);
    }
}

/* Where one output pixel's window begins; a window may reach over the image's edges. */
struct window_place {
    const float *image; /* of the group's first channel */
    int64_t y, x;
};

static struct window_place place_of(const struct conv *conv, const float *x,
                                    int64_t pixel) {
    const int64_t pixels = conv->out_h * conv->out_w, in_image = pixel % pixels;
    const int64_t image = conv->in_h * conv->in_w * conv->channels_in;
    return (struct window_place){
        .image = x + pixel / pixels * image,
        .y = in_image / conv->out_w * conv->stride_h - conv->pad_top,
        .x = in_image % conv->out_w * conv->stride_w - conv->pad_left,
    };
}

/* Taps k .. k + depth of one pixel's window, in the order [kernel_h, kernel_w, inputs];
 * zeros outside the image. */
static void gather(const struct conv *conv, const struct window_place *at, int64_t inputs,
                   int64_t k, int64_t depth, float *row) {
    const int64_t width = (conv->kernel_w - 1) * conv->dilation_w + 1;
    /* A row of the window is one piece of memory. */
    const bool dense = conv->dilation_w == 1 && inputs == conv->channels_in &&
                       at->x >= 0 && at->x + width <= conv->in_w;
    const int64_t piece = dense ? conv->kernel_w * inputs : inputs;
    int64_t tap = k / inputs, offset = k % piece;
    while (depth > 0) {
        const int64_t y = at->y + tap / conv->kernel_w * conv->dilation_h;
        const int64_t x = at->x + (dense ? 0 : tap % conv->kernel_w * conv->dilation_w);
        const int64_t count = min64(piece - offset, depth);
        const size_t size = (size_t)count * sizeof(*row);
        if (y < 0 || y >= conv->in_h || x < 0 || x >= conv->in_w) {
            memset(row, 0, size);
        } else {
            memcpy(row, at->image + (y * conv->in_w + x) * conv->channels_in + offset,
                   size);
        }
        row += count;
        depth -= count;
        offset = 0;
        tap += dense ? conv->kernel_w - tap % conv->kernel_w : 1;
    }
}

/* One block: `rows` pixels by all outputs of a group, taps k .. k + s->k. */
static void run_block(const struct conv *conv, const struct gemm_strip *block,
                      const float *packed, int64_t taps, int64_t k, float *y) {
    const int64_t outputs = conv->channels_out / conv->groups;
    const struct kernels *kernels = kernels_current();
    struct gemm_strip s = *block;
    for (int64_t col = 0; col < outputs; col += GEMM_PANEL) {
        s.cols = min64(GEMM_PANEL, outputs - col);
        s.bias = block->bias != NULL ? block->bias + col : NULL;
        s.ldb = gemm_panel_width(outputs - col);
        s.b = packed + col * taps + k * s.ldb;
        s.c = y + col;
        const int64_t next = col + GEMM_PANEL;
        s.ahead = next < outputs
                      ? packed + next * taps + k * gemm_panel_width(outputs - next)
                      : NULL;
        kernels->gemm_strip(&s);
    }
}

/* The activation of one group's outputs. */
static void finish_rows(const struct conv *conv, const struct act *act, int64_t rows,
                        float *y) {
    if (conv->groups == 1) {
        act_run(act, rows * conv->channels_out, y, y);
        return;
    }
    for (int64_t i = 0; i < rows; i++, y += conv->channels_out) {
        act_run(act, conv->channels_out / conv->groups, y, y);
    }
}

/* One group of `pixels` outputs of all images.  Blocks of k outermost: each slice of the
 * weights, the larger side of small images, then passes once. */
static void run_group(const struct conv *conv, int64_t pixels, const float *x,
                      const float *packed, const float *bias, float *y, float *piece) {
    const int64_t inputs = conv->channels_in / conv->groups, taps = conv_taps(conv);
    const int64_t depths = (taps + GEMM_K_BLOCK - 1) / GEMM_K_BLOCK;
    const int64_t blocks = (pixels + CONV_ROWS_MAX - 1) / CONV_ROWS_MAX;
    struct gemm_strip s = {.a = piece,
                           .lda = GEMM_A_STRIDE,
                           .b_padded = true,
                           .ldc = conv->channels_out,
                           .alpha = 1.0F,
                           .bias = bias};
    const struct act *rest = act_clamps(&conv->act, &s.floor, &s.ceil);
    int64_t k = 0;
    for (int64_t d = 0; d < depths; d++, k += s.k) {
        int64_t pixel = 0;
        s.k = (taps - k + depths - d - 1) / (depths - d);
        s.from_c = d > 0 || conv->accumulate;
        s.last = d == depths - 1;
        for (int64_t b = 0; b < blocks; b++, pixel += s.rows) {
            s.rows = (pixels - pixel + blocks - b - 1) / (blocks - b);
            for (int64_t i = 0; i < s.rows; i++) {
                const struct window_place at = place_of(conv, x, pixel + i);
                gather(conv, &at, inputs, k, s.k, piece + i * GEMM_A_STRIDE);
            }
            run_block(conv, &s, packed, taps, k, y + pixel * conv->channels_out);
            if (rest != NULL && s.last) {
                finish_rows(conv, rest, s.rows, y + pixel * conv->channels_out);
            }
        }
    }
}

void conv_rows_run(const struct conv *conv, int64_t batch, const float *x,
                   const float *packed, const float *bias, float *y, float *piece) {
    const int64_t inputs = conv->channels_in / conv->groups, taps = conv_taps(conv);
    const int64_t outputs = conv->channels_out / conv->groups;
    const int64_t columns = conv_rows_columns(conv);
    const int64_t pixels = batch * conv->out_h * conv->out_w;
    const size_t packed_count = gemm_pack_size(taps, columns) / sizeof(*packed);
    for (int64_t g = 0; g < conv->groups; g++, packed += packed_count) {
        const struct gemm_tail tail = {
            .alpha = 1.0F,
            .accumulate = conv->accumulate,
            .bias = bias != NULL ? bias + g * outputs : NULL,
            .act = conv->act,
        };
        if (conv_rows_are_image(conv)) {
            gemm_run(pixels, outputs, taps, x + g * inputs, conv->channels_in, packed,
                     &tail, y + g * outputs, conv->channels_out);
        } else {
            run_group(conv, pixels, x + g * inputs, packed, tail.bias, y + g * outputs,
                      piece);
        }
    }
}

/* ---- one channel a group ----------------------------------------------------------- */

/* Taps [first, end) of a window at `origin` that lie inside [0, size). */
struct taps_inside {
    int64_t first, end;
};

static struct taps_inside taps_inside(int64_t origin, int64_t taps, int64_t dilation,
                                      int64_t size) {
    struct taps_inside t = {.end = taps};
    if (origin < 0) {
        t.first = min64((-origin + dilation - 1) / dilation, taps);
    }
    if (origin + (taps - 1) * dilation >= size) {
        t.end = origin >= size ? 0 : (size - origin - 1) / dilation + 1;
    }
    t.first = min64(t.first, t.end);
    return t;
}

/* Output columns ox .. ox + run that use the same taps of their windows: the middle of a
 * row, or one pixel at its ends. */
static int64_t run_length(const struct conv *conv, int64_t ox, struct taps_inside taps) {
    const int64_t reach = (conv->kernel_w - 1) * conv->dilation_w;
    const int64_t last = conv->in_w - 1 - reach + conv->pad_left; /* of full windows */
    if (taps.first > 0 || taps.end < conv->kernel_w) {
        return 1;
    }
    return min64(last / conv->stride_w + 1, conv->out_w) - ox;
}

/* Output row oy of image x, into y [out_w, channels]. */
static void depthwise_row(const struct conv *conv, const float *x, const float *packed,
                          const struct conv_depthwise *common, int64_t oy, float *y) {
    const struct kernels *kernels = kernels_current();
    const int64_t channels = conv->channels_out;
    const int64_t top = oy * conv->stride_h - conv->pad_top;
    const struct taps_inside rows =
        taps_inside(top, conv->kernel_h, conv->dilation_h, conv->in_h);
    struct conv_depthwise d = *common;
    d.tap_rows = rows.end - rows.first;
    for (int64_t ox = 0; ox < conv->out_w; ox += d.pixels, y += d.pixels * channels) {
        const int64_t left = ox * conv->stride_w - conv->pad_left;
        const struct taps_inside columns =
            taps_inside(left, conv->kernel_w, conv->dilation_w, conv->in_w);
        d.tap_columns = columns.end - columns.first;
        d.pixels = run_length(conv, ox, columns);
        d.w = packed;
        d.x = x;
        if (d.tap_rows > 0 && d.tap_columns > 0) {
            const int64_t row = top + rows.first * conv->dilation_h;
            const int64_t column = left + columns.first * conv->dilation_w;
            d.w += (rows.first * conv->kernel_w + columns.first) * channels;
            d.x += (row * conv->in_w + column) * channels;
        }
        d.y = y;
        kernels->conv_depthwise(&d);
    }
}

void conv_depthwise_nhwc_run(const struct conv *conv, const float *x, const float *packed,
                             const float *bias, float *y) {
    const int64_t channels = conv->channels_out, row = conv->out_w * channels;
    struct conv_depthwise d = {
        .channels = channels,
        .x_row = conv->dilation_h * conv->in_w * channels,
        .x_column = conv->dilation_w * channels,
        .x_pixel = conv->stride_w * channels,
        .w_row = conv->kernel_w * channels,
        .bias = bias,
    };
    const struct act *rest = act_clamps(&conv->act, &d.floor, &d.ceil);
    for (int64_t oy = 0; oy < conv->out_h; oy++, y += row) {
        depthwise_row(conv, x, packed, &d, oy, y);
        if (rest != NULL) {
            act_run(rest, row, y, y);
        }
    }
}
