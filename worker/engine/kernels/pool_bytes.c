/* pool_bytes.c - see pool_bytes.h. */
#include "engine/kernels/pool_bytes.h"

#include <string.h>

#include "engine/kernels/kernels.h"
#include "engine/kernels/taps.h"

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* ---- windows ----------------------------------------------------------------------- */

/* The window of one output: its taps, and those inside the image. */
struct window {
    int64_t top, left;
    struct taps_range rows, columns;
    int64_t inside, divisor;
};

static int64_t padded(int64_t origin, int64_t kernel, int64_t dilation, int64_t before,
                      int64_t size, int64_t after) {
    return taps_count(taps_inside(origin, kernel, dilation, -before, size + after));
}

static struct window window_at(const struct pool *pool, int64_t oy, int64_t ox) {
    struct window w = {.top = oy * pool->stride_h - pool->pad_top,
                       .left = ox * pool->stride_w - pool->pad_left};
    w.rows = taps_inside(w.top, pool->kernel_h, pool->dilation_h, 0, pool->in_h);
    w.columns = taps_inside(w.left, pool->kernel_w, pool->dilation_w, 0, pool->in_w);
    w.inside = taps_count(w.rows) * taps_count(w.columns);
    w.divisor = !pool->count_include_pad
                    ? w.inside
                    : padded(w.top, pool->kernel_h, pool->dilation_h, pool->pad_top,
                             pool->in_h, pool->pad_bottom) *
                          padded(w.left, pool->kernel_w, pool->dilation_w, pool->pad_left,
                                 pool->in_w, pool->pad_right);
    return w;
}

/* Windows of more pixels are added up in parts. */
#define PIXELS_MAX 64

typedef void pixels_fn(int64_t channels, int64_t count, const uint8_t *const *pixels,
                       void *y);

/* Adds all pixels of a window to y, channels innermost. */
static void add_up(const struct pool *pool, const struct window *w, pixels_fn *into,
                   const uint8_t *x, void *y) {
    const uint8_t *pixels[PIXELS_MAX];
    const int64_t pixel = pool->channels, row = pool->in_w * pixel;
    int64_t count = 0;
    for (int64_t i = w->rows.first; i < w->rows.end; i++) {
        const uint8_t *from = x + (w->top + i * pool->dilation_h) * row;
        for (int64_t j = w->columns.first; j < w->columns.end; j++) {
            if (count == PIXELS_MAX) {
                into(pool->channels, count, pixels, y);
                count = 0;
            }
            pixels[count++] = from + (w->left + j * pool->dilation_w) * pixel;
        }
    }
    if (count > 0) {
        into(pool->channels, count, pixels, y);
    }
}

typedef void into_fn(int64_t count, const uint8_t *x, int64_t stride, void *y);

/* Outputs of a row that have tap `j` inside the image. */
static struct taps_range outputs_of(const struct pool *pool, int64_t j) {
    const int64_t shift = j * pool->dilation_w - pool->pad_left, stride = pool->stride_w;
    struct taps_range outputs = {
        .first = shift < 0 ? taps_divide_up(-shift, stride) : 0,
        .end = shift < pool->in_w
                   ? min64((pool->in_w - shift - 1) / stride + 1, pool->out_w)
                   : 0,
    };
    return outputs;
}

/* Taps that are inside the image for some output of a row. */
static struct taps_range taps_of_row(const struct pool *pool) {
    return taps_inside(-pool->pad_left, pool->kernel_w, pool->dilation_w,
                       -(pool->out_w - 1) * pool->stride_w, pool->in_w);
}

/* The windows of one row of outputs of a plane; y has elements of `size` bytes. */
static void combine_row(const struct pool *pool, int64_t oy, into_fn *into,
                        const uint8_t *x, uint8_t *y, size_t size) {
    const struct taps_range taps = taps_of_row(pool);
    const struct window w = window_at(pool, oy, 0);
    for (int64_t i = w.rows.first; i < w.rows.end; i++) {
        const uint8_t *row = x + (w.top + i * pool->dilation_h) * pool->in_w;
        for (int64_t j = taps.first; j < taps.end; j++) {
            const struct taps_range outputs = outputs_of(pool, j);
            if (outputs.first < outputs.end) {
                into(outputs.end - outputs.first,
                     row + outputs.first * pool->stride_w + j * pool->dilation_w -
                         pool->pad_left,
                     pool->stride_w, y + (size_t)outputs.first * size);
            }
        }
    }
}

/* ---- maxima ------------------------------------------------------------------------ */

/* One row of outputs, channels innermost: tap by tap, as there are few taps and many
 * channels. */
static void max_row(const struct pool *pool, int64_t oy, bool is_signed, const uint8_t *x,
                    uint8_t *y) {
    const struct kernels *kernels = kernels_current();
    const int64_t pixel = pool->channels;
    const struct taps_range taps = taps_of_row(pool);
    const struct window w = window_at(pool, oy, 0);
    for (int64_t i = w.rows.first; i < w.rows.end; i++) {
        const int64_t row = (w.top + i * pool->dilation_h) * pool->in_w;
        for (int64_t j = taps.first; j < taps.end; j++) {
            const struct taps_range outputs = outputs_of(pool, j);
            const int64_t first = row + outputs.first * pool->stride_w +
                                  j * pool->dilation_w - pool->pad_left;
            if (outputs.first < outputs.end) {
                kernels->bytes_max_steps[is_signed](
                    outputs.end - outputs.first, pixel, x + first * pixel,
                    pool->stride_w * pixel, y + outputs.first * pixel);
            }
        }
    }
}

void pool_bytes_max(const struct pool *pool, int64_t batch, bool is_signed,
                    const uint8_t *x, uint8_t *y) {
    const struct kernels *kernels = kernels_current();
    const int64_t pixels = pool->out_h * pool->out_w, image = pool->in_h * pool->in_w;
    memset(y, is_signed ? 0x80 : 0, (size_t)(batch * pool->channels * pixels));
    if (pool->layout == LAYOUT_NCHW) {
        for (int64_t plane = 0; plane < batch * pool->channels; plane++, x += image) {
            for (int64_t oy = 0; oy < pool->out_h; oy++, y += pool->out_w) {
                combine_row(pool, oy, kernels->bytes_max[is_signed], x, y, 1);
            }
        }
        return;
    }
    for (int64_t i = 0; i < batch; i++, x += image * pool->channels) {
        for (int64_t oy = 0; oy < pool->out_h; oy++, y += pool->out_w * pool->channels) {
            max_row(pool, oy, is_signed, x, y);
        }
    }
}

/* ---- averages ---------------------------------------------------------------------- */

size_t pool_bytes_scratch_size(const struct pool *pool) {
    const int64_t count = pool->layout == LAYOUT_NHWC ? pool->channels : pool->out_w;
    return (size_t)count * sizeof(int32_t);
}

/* `count` sums over the same number of pixels become averages. */
static void finish(const struct pool_bytes_average *form, const struct window *w,
                   int64_t count, const int32_t *sums, uint8_t *y) {
    const float scale =
        w->divisor > 0 ? form->x_scale / (form->y_scale * (float)w->divisor) : 0;
    kernels_current()->bytes_average[form->is_signed](
        count, sums, (int32_t)(-form->x_zero * w->inside), scale, (float)form->y_zero, y);
}

/* A row of outputs of a plane: those of as many pixels are finished together. */
static void finish_row(const struct pool *pool, const struct pool_bytes_average *form,
                       int64_t oy, const int32_t *sums, uint8_t *y) {
    struct window w = window_at(pool, oy, 0);
    int64_t first = 0;
    for (int64_t ox = 1; ox <= pool->out_w; ox++) {
        const struct window next = window_at(pool, oy, ox);
        if (ox == pool->out_w || next.inside != w.inside || next.divisor != w.divisor) {
            finish(form, &w, ox - first, sums + first, y + first);
            first = ox;
            w = next;
        }
    }
}

static bool is_whole_plane(const struct pool *pool) {
    return pool->out_h == 1 && pool->out_w == 1 && pool->kernel_h == pool->in_h &&
           pool->kernel_w == pool->in_w && pool->pad_top == 0 && pool->pad_left == 0;
}

static void average_planes(const struct pool *pool, const struct pool_bytes_average *form,
                           int64_t planes, const uint8_t *x, uint8_t *y, int32_t *sums) {
    const struct kernels *kernels = kernels_current();
    const int64_t image = pool->in_h * pool->in_w;
    for (int64_t plane = 0; plane < planes; plane++, x += image) {
        for (int64_t oy = 0; oy < pool->out_h; oy++, y += pool->out_w) {
            if (is_whole_plane(pool)) {
                sums[0] = kernels->bytes_sum_row[form->is_signed](image, x);
            } else {
                memset(sums, 0, (size_t)pool->out_w * sizeof(*sums));
                combine_row(pool, oy, kernels->bytes_sum[form->is_signed], x,
                            (uint8_t *)sums, sizeof(*sums));
            }
            finish_row(pool, form, oy, sums, y);
        }
    }
}

void pool_bytes_average(const struct pool *pool, const struct pool_bytes_average *form,
                        int64_t batch, const uint8_t *x, uint8_t *y, int32_t *scratch) {
    pixels_fn *into = kernels_current()->bytes_sum_pixels[form->is_signed];
    const int64_t pixels = pool->out_h * pool->out_w, image = pool->in_h * pool->in_w;
    if (pool->layout == LAYOUT_NCHW) {
        average_planes(pool, form, batch * pool->channels, x, y, scratch);
        return;
    }
    for (int64_t i = 0; i < batch; i++, x += image * pool->channels) {
        for (int64_t o = 0; o < pixels; o++, y += pool->channels) {
            const struct window w = window_at(pool, o / pool->out_w, o % pool->out_w);
            memset(scratch, 0, (size_t)pool->channels * sizeof(*scratch));
            add_up(pool, &w, into, x, scratch);
            finish(form, &w, pool->channels, scratch, y);
        }
    }
}
