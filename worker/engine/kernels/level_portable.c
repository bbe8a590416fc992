/* level_portable.c - the kernels in plain C: what runs on any processor, and what the
 * other levels are tested against; see kernels.h. */
#include "engine/kernels/kernels.h"

#include <math.h>
#include <string.h>

#include "engine/kernels/simd_portable.h"

#define KERNELS kernels_portable
#define LEVEL CPU_PORTABLE
#define TILE_ROWS 4

#include "engine/kernels/vmath.inc"
#include "engine/kernels/cells.inc"
#include "engine/kernels/loops.inc"
#include "engine/kernels/quantize.inc"
#include "engine/kernels/bytes.inc"

static float clamped(float x, float floor, float ceil) {
    x = x < floor ? floor : x;
    return x > ceil ? ceil : x;
}

static void gemm_row(const struct gemm_strip *s, int64_t row) {
    float sums[GEMM_PANEL] = {0};
    float *c = s->c + row * s->ldc;
    if (s->from_c) {
        memcpy(sums, c, (size_t)s->cols * sizeof(*c));
    }
    for (int64_t p = 0; p < s->k; p++) {
        const float a = s->a[row * s->lda + p];
        const float *b = s->b + p * s->ldb;
        for (int64_t j = 0; j < s->cols; j++) {
            sums[j] += a * b[j];
        }
    }
    for (int64_t j = 0; j < s->cols && s->last; j++) {
        float sum = sums[j] * s->alpha;
        sum += s->bias != NULL ? s->bias[j] : 0.0F;
        sum += s->row_bias != NULL ? s->row_bias[row] : 0.0F;
        sums[j] = clamped(sum, s->floor, s->ceil);
    }
    memcpy(c, sums, (size_t)s->cols * sizeof(*c));
}

static void gemm_strip(const struct gemm_strip *s) {
    for (int64_t row = 0; row < s->rows; row++) {
        gemm_row(s, row);
    }
}

static void gemm_few(const struct gemm_strip *s, int64_t n) {
    for (int64_t col = 0; col < n; col += GEMM_PANEL) {
        struct gemm_strip strip = *s;
        const int64_t left = n - col;
        strip.cols = left < GEMM_PANEL ? left : GEMM_PANEL;
        strip.b = s->b + col * s->k;
        strip.ldb = gemm_panel_width(left);
        strip.c = s->c + col;
        strip.bias = s->bias != NULL ? s->bias + col : NULL;
        gemm_strip(&strip);
    }
}

static float dot(int64_t count, const float *a, const float *b) {
    float sum = 0.0F;
    for (int64_t p = 0; p < count; p++) {
        sum += a[p] * b[p];
    }
    return sum;
}

static void conv_pixel(const struct conv_strip *s, const float *x, const float *start,
                       float *sums) {
    for (int64_t j = 0; j < s->cols; j++) {
        sums[j] = s->bias != NULL ? s->bias[j] : 0.0F;
        sums[j] += s->accumulate ? start[j] : 0.0F;
    }
    for (int64_t t = 0; t < s->k; t++) {
        const float tap = x[s->taps[t]];
        for (int64_t j = 0; j < s->cols; j++) {
            sums[j] += tap * s->w[t * s->ldw + j];
        }
    }
}

static void conv_strip(const struct conv_strip *s) {
    const int64_t size = s->pool_2x2 ? 2 : 1;
    for (int64_t i = 0; i < s->out_h * s->out_w; i++) {
        const int64_t row = i / s->out_w, column = i % s->out_w;
        float *y = s->y + row * s->y_row + column * s->y_pixel;
        for (int64_t q = 0; q < size * size; q++) {
            float sums[GEMM_PANEL];
            conv_pixel(s,
                       s->x + (row * size + q / size) * s->x_row +
                           (column * size + q % size) * s->x_pixel,
                       y, sums);
            for (int64_t j = 0; j < s->cols; j++) {
                float sum = clamped(sums[j], s->floor, s->ceil);
                y[j] = q == 0 || sum > y[j] ? sum : y[j];
            }
        }
    }
}

static void conv_shift(const struct conv_shift *s) {
    const int64_t all = s->rows * s->pixels;
    for (int64_t i = 0; i < s->outputs * all; i++) {
        const int64_t o = i / all, row = i % all / s->pixels, p = i % s->pixels;
        float sum = s->bias != NULL ? s->bias[o] : 0.0F;
        for (int64_t t = 0; t < s->k; t++) {
            sum += s->w[t * s->outputs + o] * s->x[row * s->x_row + p + s->taps[t]];
        }
        s->y[o * s->y_output + row * s->y_row + p] = clamped(sum, s->floor, s->ceil);
    }
}

static void conv_dot(const struct conv_dot *d) {
    for (int64_t i = 0; i < d->out_h * d->out_w * d->outputs; i++) {
        const int64_t pixel = i / d->outputs, o = i % d->outputs;
        const int64_t row = pixel / d->out_w, column = pixel % d->out_w;
        const float *x = d->x + row * d->x_row + column * d->x_pixel;
        const float *w = d->w + o * d->w_output;
        float *y = d->y + row * d->y_row + column * d->y_pixel + o;
        float sum = d->bias != NULL ? d->bias[o] : 0.0F;
        sum += d->accumulate ? *y : 0.0F;
        for (int64_t k = 0; k < d->piece_count; k++, w += d->size) {
            for (int64_t c = 0; c < d->size; c++) {
                sum += x[d->pieces[k] + c] * w[c];
            }
        }
        *y = clamped(sum, d->floor, d->ceil);
    }
}

static float grouped_sum(const struct conv_grouped *g, const float *x, const float *w) {
    float sum = 0.0F;
    for (int64_t k = 0; k < g->tap_rows * g->tap_columns; k++) {
        const float *tap =
            x + k / g->tap_columns * g->x_row + k % g->tap_columns * g->x_column;
        for (int64_t j = 0; j < g->group; j++, w += g->channels) {
            sum += tap[j] * *w;
        }
    }
    return sum;
}

static void conv_grouped(const struct conv_grouped *g) {
    for (int64_t i = 0; i < g->out_h * g->out_w; i++) {
        const float *x = g->x + i / g->out_w * g->x_step + i % g->out_w * g->x_pixel;
        float *y = g->y + i / g->out_w * g->y_row + i % g->out_w * g->y_pixel;
        for (int64_t c = 0; c < g->channels; c++) {
            float sum = grouped_sum(g, x + c / g->group * g->group, g->w + c);
            sum += g->bias != NULL ? g->bias[c] : 0.0F;
            sum += g->accumulate ? y[c] : 0.0F;
            y[c] = clamped(sum, g->floor, g->ceil);
        }
    }
}

static void conv_depthwise(const struct conv_depthwise *d) {
    for (int64_t i = 0; i < d->pixels * d->channels; i++) {
        const int64_t p = i / d->channels, c = i % d->channels;
        float sum = d->bias != NULL ? d->bias[c] : 0.0F;
        for (int64_t t = 0; t < d->tap_rows * d->tap_columns; t++) {
            const int64_t row = t / d->tap_columns, column = t % d->tap_columns;
            sum += d->x[p * d->x_pixel + row * d->x_row + column * d->x_column + c] *
                   d->w[row * d->w_row + column * d->channels + c];
        }
        d->y[i] = clamped(sum, d->floor, d->ceil);
    }
}

static void pool_max_pixels(int64_t channels, int64_t count, const float *const *pixels,
                            float *y) {
    memcpy(y, pixels[0], (size_t)channels * sizeof(*y));
    for (int64_t k = 1; k < count; k++) {
        max_into(channels, pixels[k], 1, y);
    }
}

static void pool_sum_pixels(int64_t channels, int64_t count, const float *const *pixels,
                            float *y) {
    memcpy(y, pixels[0], (size_t)channels * sizeof(*y));
    for (int64_t k = 1; k < count; k++) {
        add_into(channels, pixels[k], 1, y);
    }
}

/* Squares of 16 x 16: both sides stay in the first cache. */
static void transpose(int64_t rows, int64_t cols, const float *x, int64_t ldx, float *y,
                      int64_t ldy) {
    enum { SIDE = 16 };
    for (int64_t r0 = 0; r0 < rows; r0 += SIDE) {
        const int64_t r1 = rows - r0 < SIDE ? rows : r0 + SIDE;
        for (int64_t c0 = 0; c0 < cols; c0 += SIDE) {
            const int64_t c1 = cols - c0 < SIDE ? cols : c0 + SIDE;
            for (int64_t c = c0; c < c1; c++) {
                for (int64_t r = r0; r < r1; r++) {
                    y[c * ldy + r] = x[r * ldx + c];
                }
            }
        }
    }
}

static int8_t code_of(const struct forest_column *column, float x) {
    int below = 0;
    for (int half = column->halvings - 1; half >= 0; half--) {
        const int ahead = 1 << half;
        below += column->thresholds[below + ahead - 1] < x ? ahead : 0;
    }
    if (column->nan_high && isnan(x)) {
        below = FOREST_CODES_MAX;
    }
    return (int8_t)(below - 128);
}

static void forest_codes(const struct forest_masks *masks, int64_t rows, const float *x,
                         int8_t *codes) {
    for (int64_t c = 0; c < masks->column_count; c++) {
        const struct forest_column *column = &masks->columns[c];
        for (int64_t r = 0; r < rows; r++) {
            codes[c * FOREST_BLOCK + r] =
                code_of(column, x[(int64_t)column->slot * FOREST_BLOCK + r]);
        }
    }
}

/* Strikes for all rows of a block: a loop that compilers turn into vectors. */
static void strike(const struct forest_test *test, const int8_t *codes, uint8_t *left) {
    const int8_t code = (int8_t)(test->code & 0xff);
    const uint8_t bits = (uint8_t)(test->strike & 0xff);
    codes += test->column;
    for (int r = 0; r < FOREST_BLOCK; r++) {
        left[r] &= (uint8_t) ~(codes[r] > code ? bits : 0);
    }
}

static const struct forest_test *tree_leaves(const struct forest_test *test,
                                             const uint32_t *counts, uint32_t planes,
                                             const int8_t *codes, uint8_t *leaves) {
    uint8_t left[FOREST_BLOCK];
    memset(leaves, UINT8_MAX, FOREST_BLOCK);
    for (uint32_t p = 0; p < planes; p++) {
        memset(left, UINT8_MAX, sizeof(left));
        for (uint32_t i = 0; i < counts[p]; i++) {
            strike(test++, codes, left);
        }
        for (int r = 0; r < FOREST_BLOCK; r++) {
            if (leaves[r] == UINT8_MAX && left[r] != 0) {
                leaves[r] =
                    (uint8_t)(p * FOREST_PLANE + (unsigned)TRAILING_ZEROS(left[r]));
            }
        }
    }
    return test;
}

static void forest_sums(const struct forest *forest, int64_t rows, const int8_t *codes,
                        float *sums) {
    const struct forest_masks *masks = &forest->masks;
    const struct forest_test *test = masks->tests;
    const uint32_t *counts = masks->test_counts;
    const float *values = masks->values;
    for (int64_t tree = 0; tree < forest->trees; tree++) {
        const uint32_t planes = masks->plane_counts[tree];
        const bool one = forest->kind == FOREST_ONE;
        const int64_t first = one ? forest->tree_targets[tree] : 0;
        const int64_t end = one ? first + 1 : forest->targets;
        uint8_t leaves[FOREST_BLOCK];
        test = tree_leaves(test, counts, planes, codes, leaves);
        counts += planes;
        for (int64_t t = first; t < end; t++, values += planes * FOREST_PLANE) {
            for (int64_t r = 0; r < rows; r++) {
                sums[t * FOREST_BLOCK + r] += values[leaves[r]];
            }
        }
    }
}

#include "engine/kernels/winograd.inc"
#include "engine/kernels/bytes_portable.inc"
#include "engine/kernels/level_bytes.inc"

#define LEVEL_BYTES (&kernels_bytes)
#include "engine/kernels/level.inc"
