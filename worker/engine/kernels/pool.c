/* pool.c - see pool.h. */
#include "engine/kernels/pool.h"

#include <math.h>
#include <string.h>

#include "engine/kernels/kernels.h"
#include "engine/kernels/taps.h"

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Outputs o in [0, outputs) with 0 <= o * stride + shift < size. */
static struct taps_range outputs_inside(int64_t outputs, int64_t stride, int64_t shift,
                                        int64_t size) {
    struct taps_range r;
    r.first = shift < 0 ? taps_divide_up(-shift, stride) : 0;
    r.end = shift < size ? min64((size - shift - 1) / stride + 1, outputs) : 0;
    return r;
}

static void fill(int64_t count, float value, float *y) {
    for (int64_t i = 0; i < count; i++) {
        y[i] = value;
    }
}

typedef void into_fn(int64_t count, const float *x, int64_t stride, float *y);

/* One plane of NCHW: each tap of the window is a strided row added into an output row. */
static void plane_nchw(const struct pool *pool, into_fn *into, const float *x, float *y) {
    /* Taps that fall into the image for some output: a window may be far larger. */
    const struct taps_range taps =
        taps_inside(-pool->pad_left, pool->kernel_w, pool->dilation_w,
                    -(pool->out_w - 1) * pool->stride_w, pool->in_w);
    for (int64_t j = taps.first; j < taps.end; j++) {
        const int64_t shift = j * pool->dilation_w - pool->pad_left;
        const struct taps_range columns =
            outputs_inside(pool->out_w, pool->stride_w, shift, pool->in_w);
        for (int64_t oy = 0; oy < pool->out_h && columns.first < columns.end; oy++) {
            const int64_t top = oy * pool->stride_h - pool->pad_top;
            const struct taps_range rows =
                taps_inside(top, pool->kernel_h, pool->dilation_h, 0, pool->in_h);
            for (int64_t i = rows.first; i < rows.end; i++) {
                into(columns.end - columns.first,
                     x + (top + i * pool->dilation_h) * pool->in_w +
                         columns.first * pool->stride_w + shift,
                     pool->stride_w, y + oy * pool->out_w + columns.first);
            }
        }
    }
}

/* Windows of more pixels are combined in parts. */
#define WINDOW_PIXELS_MAX 64

typedef void pixels_fn(int64_t channels, int64_t count, const float *const *pixels,
                       float *y);

/* One image of NHWC: each tap of the window is a pixel's channels.  y holds what a window
 * of nothing gives. */
static void image_nhwc(const struct pool *pool, pixels_fn *combine, const float *x,
                       float *y) {
    const int64_t channels = pool->channels;
    const float *pixels[WINDOW_PIXELS_MAX];
    for (int64_t o = 0; o < pool->out_h * pool->out_w; o++, y += channels) {
        const int64_t top = o / pool->out_w * pool->stride_h - pool->pad_top;
        const int64_t left = o % pool->out_w * pool->stride_w - pool->pad_left;
        const struct taps_range rows =
            taps_inside(top, pool->kernel_h, pool->dilation_h, 0, pool->in_h);
        const struct taps_range columns =
            taps_inside(left, pool->kernel_w, pool->dilation_w, 0, pool->in_w);
        int64_t count = 0;
        for (int64_t i = rows.first; i < rows.end; i++) {
            const float *row = x + (top + i * pool->dilation_h) * pool->in_w * channels;
            for (int64_t j = columns.first; j < columns.end; j++) {
                if (count == WINDOW_PIXELS_MAX) {
                    combine(channels, count, pixels, y);
                    pixels[0] = y;
                    count = 1;
                }
                pixels[count++] = row + (left + j * pool->dilation_w) * channels;
            }
        }
        if (count > 0) {
            combine(channels, count, pixels, y);
        }
    }
}

/* Combines all windows of one image into y, which holds their start values. */
static void run_image(const struct pool *pool, into_fn *into, pixels_fn *combine,
                      const float *x, float *y) {
    if (pool->layout == LAYOUT_NHWC) {
        image_nhwc(pool, combine, x, y);
        return;
    }
    for (int64_t c = 0; c < pool->channels; c++) {
        plane_nchw(pool, into, x, y);
        x += pool->in_h * pool->in_w;
        y += pool->out_h * pool->out_w;
    }
}

static bool is_2x2(const struct pool *pool) {
    return pool->layout == LAYOUT_NCHW && pool->kernel_h == 2 && pool->kernel_w == 2 &&
           pool->stride_h == 2 && pool->stride_w == 2 && pool->dilation_h == 1 &&
           pool->dilation_w == 1 && pool->pad_top == 0 && pool->pad_left == 0 &&
           2 * pool->out_h <= pool->in_h && 2 * pool->out_w <= pool->in_w;
}

static void max_2x2(const struct pool *pool, int64_t planes, const float *x, float *y) {
    const struct kernels *kernels = kernels_current();
    for (int64_t p = 0; p < planes; p++, x += pool->in_h * pool->in_w) {
        for (int64_t oy = 0; oy < pool->out_h; oy++, y += pool->out_w) {
            const float *top = x + 2 * oy * pool->in_w;
            kernels->pool_max_2x2(pool->out_w, top, top + pool->in_w, y);
        }
    }
}

void pool_max(const struct pool *pool, int64_t batch, const float *x, float *y) {
    const struct kernels *kernels = kernels_current();
    const int64_t x_count = pool->channels * pool->in_h * pool->in_w;
    const int64_t y_count = pool->channels * pool->out_h * pool->out_w;
    if (is_2x2(pool)) {
        max_2x2(pool, batch * pool->channels, x, y);
        return;
    }
    for (int64_t i = 0; i < batch; i++, x += x_count, y += y_count) {
        fill(y_count, -INFINITY, y);
        run_image(pool, kernels->max_into, kernels->pool_max_pixels, x, y);
    }
}

/* Elements that the window of output (oy, ox) is divided by. */
static int64_t divisor(const struct pool *pool, int64_t oy, int64_t ox) {
    const int64_t top = oy * pool->stride_h - pool->pad_top;
    const int64_t left = ox * pool->stride_w - pool->pad_left;
    const bool pad = pool->count_include_pad;
    return taps_count(taps_inside(top, pool->kernel_h, pool->dilation_h,
                                  pad ? -pool->pad_top : 0,
                                  pool->in_h + (pad ? pool->pad_bottom : 0))) *
           taps_count(taps_inside(left, pool->kernel_w, pool->dilation_w,
                                  pad ? -pool->pad_left : 0,
                                  pool->in_w + (pad ? pool->pad_right : 0)));
}

/* Divides the sums of all channels at one output. */
static void divide(const struct pool *pool, int64_t oy, int64_t ox, float *y) {
    const int64_t pixels = pool->out_h * pool->out_w, at = oy * pool->out_w + ox;
    const int64_t count = divisor(pool, oy, ox);
    const float by = (float)count;
    if (count > 0 && pool->layout == LAYOUT_NHWC) {
        y += at * pool->channels;
        ew_binary(EW_DIV, EW_SCALAR_B, pool->channels, y, &by, y);
        return;
    }
    for (int64_t c = 0; c < pool->channels && count > 0; c++) {
        y[c * pixels + at] /= by;
    }
}

void pool_average(const struct pool *pool, int64_t batch, const float *x, float *y) {
    const struct kernels *kernels = kernels_current();
    const int64_t x_count = pool->channels * pool->in_h * pool->in_w;
    const int64_t y_count = pool->channels * pool->out_h * pool->out_w;
    for (int64_t i = 0; i < batch; i++, x += x_count, y += y_count) {
        fill(y_count, 0.0F, y);
        run_image(pool, kernels->add_into, kernels->pool_sum_pixels, x, y);
        for (int64_t oy = 0; oy < pool->out_h; oy++) {
            for (int64_t ox = 0; ox < pool->out_w; ox++) {
                divide(pool, oy, ox, y);
            }
        }
    }
}
