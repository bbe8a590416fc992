/* test_kernel_vmath.c - elementary functions, activations and row operations: accuracy,
 * special values, and independence of place. */
#include "engine/kernels/vmath.h"

#include <stddef.h>

#include "engine/kernels/act.h"
#include "tests/unit/engine/kernel_test.h"

typedef void map_fn(int64_t count, const float *x, float *y);

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

/* Every function with the range it is sampled in. */
static const struct map {
    const char *name;
    map_fn *run;
    double (*exact)(double x);
    float low, high;
} maps[] = {
    {"exp", vmath_exp, exp, -100, 95},
    {"exp small", vmath_exp, exp, -1, 1},
    {"log", vmath_log, log, 0, 4},
    {"log wide", vmath_log, log, 0, 1e30F},
    {"tanh", vmath_tanh, tanh, -12, 12},
    {"tanh small", vmath_tanh, tanh, -0.01F, 0.01F},
    {"sigmoid", vmath_sigmoid, sigmoid, -95, 95},
    {"erf", vmath_erf, erf, -6, 6},
    {"erf small", vmath_erf, erf, -0.1F, 0.1F},
    {"sqrt", vmath_sqrt, sqrt, 0, 1e6F},
};

/* 4 units in the last place, or 1e-7, or a flushed denormal. */
static bool is_close(float y, double exact) {
    if (fabs(exact) > 3.4028235e38) {
        return isinf(y);
    }
    return fabs((double)y - exact) <= fmax(1e-7, 4 * 0x1p-23 * fabs(exact));
}

START_TEST(functions_are_accurate) {
    enum { COUNT = 4099 };
    FOR_EACH_LEVEL(level) {
        for (size_t m = 0; m < ARRAY_COUNT(maps); m++) {
            const float middle = (maps[m].low + maps[m].high) / 2;
            float *x = floats_random(COUNT), *y = floats_unaligned(COUNT);
            for (int i = 0; i < COUNT; i++) {
                x[i] = middle + x[i] * (maps[m].high - maps[m].low) / 2;
            }
            maps[m].run(COUNT, x, y);
            for (int i = 0; i < COUNT; i++) {
                ck_assert_msg(is_close(y[i], maps[m].exact((double)x[i])), "%s(%a) = %a",
                              maps[m].name, (double)x[i], (double)y[i]);
            }
        }
    }
}
END_TEST

START_TEST(functions_know_special_values) {
    const float specials[] = {0.0F,      -0.0F,  1.0F,   -1.0F,   INFINITY,
                              -INFINITY, NAN,    1e-40F, -1e-40F, 3.4e38F,
                              -3.4e38F,  1e-20F, -1e-20F};
    enum { COUNT = ARRAY_COUNT(specials) };
    FOR_EACH_LEVEL(level) {
        for (size_t m = 0; m < ARRAY_COUNT(maps); m++) {
            float y[COUNT];
            maps[m].run(COUNT, specials, y);
            for (int i = 0; i < COUNT; i++) {
                const double is = maps[m].exact((double)specials[i]);
                ck_assert_msg(isnan(is) ? isnan(y[i]) : is_close(y[i], is), "%s(%a) = %a",
                              maps[m].name, (double)specials[i], (double)y[i]);
            }
        }
    }
}
END_TEST

START_TEST(activations_are_their_formulas) {
    enum { COUNT = 1003 };
    FOR_EACH_LEVEL(level) {
        for (int kind = 0; kind < ACT_KIND_COUNT; kind++) {
            const struct act act = {(enum act_kind)kind, 0.25F, 0.75F};
            float *x = floats_random(COUNT);
            for (int i = 0; i < COUNT; i++) {
                x[i] *= i % 3 == 0 ? 40.0F : 2.0F;
            }
            float *y = floats_copy(COUNT, x);
            act_run(&act, COUNT, y, y); /* in place */
            for (int i = 0; i < COUNT; i++) {
                const double is = act_reference(&act, (double)x[i]);
                ck_assert_msg(fabs((double)y[i] - is) <= fmax(4e-7, 1e-6 * fabs(is)),
                              "%d(%a) = %a", kind, (double)x[i], (double)y[i]);
            }
        }
    }
}
END_TEST

START_TEST(activations_keep_nan) {
    FOR_EACH_LEVEL(level) {
        for (int kind = 0; kind < ACT_KIND_COUNT; kind++) {
            const struct act act = {(enum act_kind)kind, 0.25F, 0.75F};
            float x[20];
            for (int i = 0; i < 20; i++) {
                x[i] = NAN;
            }
            act_run(&act, 20, x, x);
            for (int i = 0; i < 20; i++) {
                ck_assert_msg(isnan(x[i]), "%d at %d", kind, i);
            }
        }
    }
}
END_TEST

START_TEST(result_does_not_depend_on_place) {
    enum { COUNT = 67 };
    FOR_EACH_LEVEL(level) {
        const float *x = floats_random(COUNT);
        for (int kind = 0; kind < ACT_KIND_COUNT; kind++) {
            const struct act act = {(enum act_kind)kind, 0.25F, 0.75F};
            float *together = floats_unaligned(COUNT), alone;
            act_run(&act, COUNT, x, together);
            for (int i = 0; i < COUNT; i++) {
                act_run(&act, 1, x + i, &alone);
                ck_assert(same_bits(1, &alone, together + i));
            }
        }
    }
}
END_TEST

START_TEST(softmax_is_the_share_of_exponentials) {
    FOR_EACH_LEVEL(level) {
        for (int64_t cols = 1; cols < 70; cols++) {
            const int64_t rows = 3;
            float *x = floats_random(rows * cols), *log_y = floats_unaligned(rows * cols);
            for (int64_t i = 0; i < cols; i++) {
                x[i] = x[i] * 100 + 1e4F; /* would overflow, were the top not taken off */
            }
            float *y = floats_copy(rows * cols, x);
            vmath_softmax_rows(rows, cols, y, y);
            vmath_log_softmax_rows(rows, cols, x, log_y);
            for (int64_t r = 0; r < rows; r++) {
                double top = -INFINITY, sum = 0;
                for (int64_t c = 0; c < cols; c++) {
                    top = fmax(top, (double)x[r * cols + c]);
                }
                for (int64_t c = 0; c < cols; c++) {
                    sum += exp((double)x[r * cols + c] - top);
                }
                for (int64_t c = 0; c < cols; c++) {
                    const double is = (double)x[r * cols + c] - top - log(sum);
                    ck_assert_double_eq_tol(y[r * cols + c], exp(is), 1e-6);
                    ck_assert_double_eq_tol(log_y[r * cols + c], is, 1e-4);
                }
            }
        }
    }
}
END_TEST

START_TEST(layer_norm_centres_and_scales) {
    FOR_EACH_LEVEL(level) {
        for (int64_t cols = 1; cols < 70; cols++) {
            const int64_t rows = 2;
            const float *x = floats_random(rows * cols);
            const float *scale = cols % 2 == 0 ? floats_random(cols) : NULL;
            const float *bias = cols % 3 == 0 ? floats_random(cols) : NULL;
            float *y = floats_unaligned(rows * cols);
            vmath_layer_norm_rows(rows, cols, 1e-3F, scale, bias, x, y);
            for (int64_t r = 0; r < rows; r++) {
                double mean = 0, variance = 0;
                for (int64_t c = 0; c < cols; c++) {
                    mean += (double)x[r * cols + c] / (double)cols;
                }
                for (int64_t c = 0; c < cols; c++) {
                    variance += pow((double)x[r * cols + c] - mean, 2) / (double)cols;
                }
                for (int64_t c = 0; c < cols; c++) {
                    double is = ((double)x[r * cols + c] - mean) / sqrt(variance + 1e-3);
                    is *= scale != NULL ? (double)scale[c] : 1;
                    is += bias != NULL ? (double)bias[c] : 0;
                    ck_assert_double_eq_tol(y[r * cols + c], is, 1e-5);
                }
            }
        }
    }
}
END_TEST

START_TEST(local_response_divides_by_its_neighbours) {
    static const float betas[] = {0.75F, 0.5F, 1.0F, 0.3F};
    FOR_EACH_LEVEL(level) {
        for (int64_t count = 1; count < 40; count++) {
            const int64_t size = number_between(1, 7);
            const struct vmath_lrn lrn = {
                .scale = 0.25F, .bias = 1.5F, .beta = betas[count % 4]};
            const float *x = floats_random(count);
            float *squares = floats_unaligned(count + size - 1);
            float *y = floats_unaligned(count);
            for (int64_t i = 0; i < count + size - 1; i++) {
                squares[i] = number() + 1;
            }
            vmath_lrn(&lrn, count, size, squares, x, y);
            for (int64_t i = 0; i < count; i++) {
                double sum = 0;
                for (int64_t k = 0; k < size; k++) {
                    sum += (double)squares[i + k];
                }
                sum = (double)x[i] / pow(1.5 + 0.25 * sum, (double)lrn.beta);
                ck_assert_double_eq_tol(y[i], sum, 2e-6);
            }
        }
    }
}
END_TEST

/* A masked place has weight 0; a row without any place, or with a NaN, is NaN, and the
 * rows beside it are not. */
START_TEST(softmax_knows_infinities) {
    enum { COLS = 19 };
    FOR_EACH_LEVEL(level) {
        float x[5 * COLS], y[5 * COLS], log_y[5 * COLS];
        for (int i = 0; i < 5 * COLS; i++) {
            x[i] = i / COLS == 1 ? -INFINITY : 1.0F;
        }
        for (int c = 1; c < COLS; c++) {
            x[c] = -INFINITY;
        }
        x[2 * COLS + 17] = NAN;
        x[3 * COLS + 3] = INFINITY;
        vmath_softmax_rows(5, COLS, x, y);
        vmath_log_softmax_rows(5, COLS, x, log_y);
        for (int c = 0; c < COLS; c++) {
            ck_assert(y[c] == (c == 0 ? 1.0F : 0.0F));
            ck_assert(log_y[c] == (c == 0 ? 0.0F : -INFINITY));
            ck_assert(isnan(y[COLS + c]) && isnan(log_y[COLS + c]));
            ck_assert(isnan(y[2 * COLS + c]) && isnan(log_y[2 * COLS + c]));
            ck_assert(isnan(y[3 * COLS + 3]) && isnan(log_y[3 * COLS + 3]));
            ck_assert_float_eq_tol(y[4 * COLS + c], 1.0F / COLS, 1e-7F);
        }
    }
}
END_TEST

START_TEST(nothing_in_writes_nothing) {
    FOR_EACH_LEVEL(level) {
        float y = 7.0F;
        for (int kind = 0; kind < ACT_KIND_COUNT; kind++) {
            act_run(&(struct act){(enum act_kind)kind, 1, 1}, 0, &y, &y);
        }
        for (size_t m = 0; m < ARRAY_COUNT(maps); m++) {
            maps[m].run(0, &y, &y);
        }
        vmath_softmax_rows(0, 9, &y, &y);
        vmath_softmax_rows(9, 0, &y, &y);
        vmath_log_softmax_rows(9, 0, &y, &y);
        vmath_layer_norm_rows(9, 0, 0.1F, NULL, NULL, &y, &y);
        ck_assert(y == 7.0F);
    }
}
END_TEST

/* From its first function on, the table is nothing but functions. */
START_TEST(tables_have_no_gaps) {
    const size_t first = offsetof(struct kernels, gemm_strip),
                 step = sizeof(void (*)(void));
    FOR_EACH_LEVEL(level) {
        const unsigned char none[sizeof(void (*)(void))] = {0};
        const struct kernels *kernels = kernels_current();
        ck_assert_int_eq(kernels->level, level);
        ck_assert_int_ge(kernels->tile_rows, 1);
        for (size_t at = first; at < sizeof(*kernels); at += step) {
            const unsigned char *entry = (const unsigned char *)kernels + at;
            ck_assert_msg(memcmp(entry, none, step) != 0, "%s: function %zu",
                          cpu_level_name(kernels->level), (at - first) / step);
        }
    }
}
END_TEST

START_TEST(distances_are_sums_of_squares) {
    FOR_EACH_LEVEL(level) {
        for (int64_t count = 0; count < 140; count++) {
            const int64_t cols = number_between(0, 9), step = count + 3;
            const float *x = floats_random(cols), *points = floats_random(cols * step);
            float *y = floats_unaligned(count);
            vmath_distances(count, cols, x, points, step, y);
            for (int64_t i = 0; i < count; i++) {
                double sum = 0;
                for (int64_t c = 0; c < cols; c++) {
                    const double away = (double)x[c] - (double)points[c * step + i];
                    sum += away * away;
                }
                ck_assert(fabs((double)y[i] - sum) <= 1e-5);
            }
        }
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        functions_are_accurate,
        functions_know_special_values,
        activations_are_their_formulas,
        activations_keep_nan,
        result_does_not_depend_on_place,
        softmax_is_the_share_of_exponentials,
        layer_norm_centres_and_scales,
        local_response_divides_by_its_neighbours,
        softmax_knows_infinities,
        nothing_in_writes_nothing,
        tables_have_no_gaps,
        distances_are_sums_of_squares,
    };
    return suite_run_kernels("engine kernels: vmath", tests, ARRAY_COUNT(tests));
}
