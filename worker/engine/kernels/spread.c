/* spread.c - see spread.h. */
#include "engine/kernels/spread.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "engine/kernels/conv.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/spread_impl.h"

/* Floats of columns made at once: they stay in the second cache until they are added. */
#define PIECE_COUNT (64 * 1024)

static int64_t max64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* What one pixel spreads. */
static int64_t columns_of(const struct spread *spread) {
    return spread->kernel_h * spread->kernel_w * spread->channels_out;
}

/* No more is cut off than the kernel reaches over. */
static bool can_turn(const struct spread *spread) {
    return spread->stride_h == 1 && spread->stride_w == 1 &&
           spread->pad_top <= (spread->kernel_h - 1) * spread->dilation_h &&
           spread->pad_left <= (spread->kernel_w - 1) * spread->dilation_w;
}

bool spread_allows(const struct spread *spread, enum spread_way way) {
    switch (way) {
    case SPREAD_ADDED:
        return true;
    case SPREAD_TURNED:
        return can_turn(spread);
    case SPREAD_PHASES:
        return spread_phases_suit(spread);
    }
    return false;
}

enum spread_way spread_choose(const struct spread *spread, bool pads_known) {
    if (pads_known && spread_allows(spread, SPREAD_TURNED)) {
        return SPREAD_TURNED;
    }
    return pads_known && spread_allows(spread, SPREAD_PHASES) ? SPREAD_PHASES
                                                              : SPREAD_ADDED;
}

/* The convolution that computes the same, of a turned kernel. */
static struct conv turned(const struct spread *spread) {
    return (struct conv){
        .channels_in = spread->channels_in,
        .channels_out = spread->channels_out,
        .groups = 1,
        .in_h = spread->in_h,
        .in_w = spread->in_w,
        .out_h = spread->out_h,
        .out_w = spread->out_w,
        .kernel_h = spread->kernel_h,
        .kernel_w = spread->kernel_w,
        .stride_h = 1,
        .stride_w = 1,
        .dilation_h = spread->dilation_h,
        .dilation_w = spread->dilation_w,
        .pad_top = (spread->kernel_h - 1) * spread->dilation_h - spread->pad_top,
        .pad_left = (spread->kernel_w - 1) * spread->dilation_w - spread->pad_left,
        .x_layout = LAYOUT_NHWC,
        .y_layout = LAYOUT_NHWC,
        .act = spread->act,
    };
}

size_t spread_pack_size(const struct spread *spread) {
    if (spread->way == SPREAD_TURNED) {
        const struct conv conv = turned(spread);
        return conv_pack_size(&conv);
    }
    if (spread->way == SPREAD_PHASES) {
        return spread_phases_pack_size(spread);
    }
    return gemm_pack_size(spread->channels_in, columns_of(spread));
}

static bool pack_turned(const struct spread *spread, const float *w, float *packed) {
    const struct conv conv = turned(spread);
    const int64_t kernel = spread->kernel_h * spread->kernel_w;
    const int64_t inputs = spread->channels_in, outputs = spread->channels_out;
    float *other = malloc((size_t)(inputs * outputs * kernel) * sizeof(*other));
    if (other == NULL) {
        return false;
    }
    for (int64_t i = 0; i < inputs; i++) {
        for (int64_t o = 0; o < outputs; o++) {
            const float *from = w + (i * outputs + o) * kernel;
            float *to = other + (o * inputs + i) * kernel;
            for (int64_t k = 0; k < kernel; k++) {
                to[k] = from[kernel - 1 - k];
            }
        }
    }
    conv_pack(&conv, other, packed);
    free(other);
    return true;
}

bool spread_pack(const struct spread *spread, const float *w, float *packed) {
    const int64_t kernel = spread->kernel_h * spread->kernel_w;
    const int64_t inputs = spread->channels_in, columns = columns_of(spread);
    if (spread->way == SPREAD_TURNED) {
        return pack_turned(spread, w, packed);
    }
    if (spread->way == SPREAD_PHASES) {
        spread_phases_pack(spread, w, packed);
        return true;
    }
    memset(packed, 0, gemm_pack_size(inputs, columns));
    for (int64_t i = 0; i < inputs; i++) {
        for (int64_t j = 0; j < columns; j++) {
            const int64_t o = j % spread->channels_out, k = j / spread->channels_out;
            packed[gemm_packed_index(inputs, columns, i, j)] =
                w[(i * spread->channels_out + o) * kernel + k];
        }
    }
    return true;
}

/* Input pixels of one piece. */
static int64_t piece_pixels(const struct spread *spread) {
    return min64(max64(PIECE_COUNT / columns_of(spread), 8), spread->in_h * spread->in_w);
}

size_t spread_scratch_size(const struct spread *spread) {
    size_t size;
    if (spread->way == SPREAD_TURNED) {
        const struct conv conv = turned(spread);
        return conv_scratch_size(&conv);
    }
    if (spread->way == SPREAD_PHASES) {
        return spread_phases_scratch_size(spread);
    }
    return size_mul((size_t)piece_pixels(spread), (size_t)columns_of(spread), &size) &&
                   size_mul(size, sizeof(float), &size)
               ? size
               : SIZE_MAX;
}

static void fill_bias(const struct spread *spread, const float *bias, float *y) {
    const int64_t channels = spread->channels_out;
    for (int64_t i = 0; i < spread->out_h * spread->out_w; i++, y += channels) {
        if (bias == NULL) {
            memset(y, 0, (size_t)channels * sizeof(*y));
        } else {
            memcpy(y, bias, (size_t)channels * sizeof(*y));
        }
    }
}

/* One row of the kernel, spread by one pixel, into a row of y; `ox` is where its first
 * column goes. */
static void add_row(const struct spread *spread, const struct kernels *kernels,
                    const float *columns, int64_t ox, float *y) {
    const int64_t channels = spread->channels_out;
    if (spread->dilation_w == 1) { /* side by side in both */
        const int64_t first = ox < 0 ? -ox : 0;
        const int64_t end = min64(spread->kernel_w, spread->out_w - ox);
        if (first < end) {
            kernels->add_into((end - first) * channels, columns + first * channels, 1,
                              y + (ox + first) * channels);
        }
        return;
    }
    for (int64_t j = 0; j < spread->kernel_w; j++, ox += spread->dilation_w) {
        if (ox >= 0 && ox < spread->out_w) {
            kernels->add_into(channels, columns + j * channels, 1, y + ox * channels);
        }
    }
}

static void run_image(const struct spread *spread, const float *x, const float *packed,
                      float *y, float *columns) {
    const struct kernels *kernels = kernels_current();
    const int64_t pixels = spread->in_h * spread->in_w, most = piece_pixels(spread);
    const int64_t count = columns_of(spread);
    const int64_t kernel_row = spread->kernel_w * spread->channels_out;
    for (int64_t pixel = 0; pixel < pixels; pixel += most) {
        const int64_t rows = min64(most, pixels - pixel);
        gemm_run(rows, count, spread->channels_in, x + pixel * spread->channels_in,
                 spread->channels_in, packed, NULL, columns, count);
        for (int64_t p = 0; p < rows; p++) {
            const int64_t iy = (pixel + p) / spread->in_w,
                          ix = (pixel + p) % spread->in_w;
            const int64_t ox = ix * spread->stride_w - spread->pad_left;
            for (int64_t i = 0; i < spread->kernel_h; i++) {
                const int64_t oy =
                    iy * spread->stride_h - spread->pad_top + i * spread->dilation_h;
                if (oy >= 0 && oy < spread->out_h) {
                    add_row(spread, kernels, columns + p * count + i * kernel_row, ox,
                            y + oy * spread->out_w * spread->channels_out);
                }
            }
        }
    }
}

void spread_run(const struct spread *spread, int64_t batch, const float *x,
                const float *packed, const float *bias, float *y, void *scratch) {
    const int64_t x_count = spread->in_h * spread->in_w * spread->channels_in;
    const int64_t y_count = spread->out_h * spread->out_w * spread->channels_out;
    if (spread->way == SPREAD_TURNED) {
        const struct conv conv = turned(spread);
        conv_run(&conv, batch, x, packed, bias, y, scratch);
        return;
    }
    if (spread->way == SPREAD_PHASES) {
        spread_phases_run(spread, batch, x, packed, bias, y, scratch);
        return;
    }
    for (int64_t i = 0; i < batch; i++, x += x_count, y += y_count) {
        fill_bias(spread, bias, y);
        run_image(spread, x, packed, y, scratch);
        act_run(&spread->act, y_count, y, y);
    }
}
