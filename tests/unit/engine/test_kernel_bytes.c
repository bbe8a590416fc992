/* test_kernel_bytes.c - loops over quantised bytes: what the definition says, to the bit,
 * at every level, of any length and shape. */
#include "engine/kernels/bytes.h"

#include "engine/kernels/pool_bytes.h"
#include "tests/unit/engine/kernel_test.h"

#define COUNT_MAX 150
#define GUARD 0xa5

static int byte_at(const uint8_t *x, int64_t i, bool is_signed) {
    return is_signed ? (int8_t)x[i] : x[i];
}

static uint8_t saturated(float value, bool is_signed) {
    const float low = is_signed ? -128 : 0;
    return (uint8_t)(int)fminf(fmaxf(nearbyintf(value), low), low + 255);
}

static uint8_t *bytes_random(int64_t count) {
    uint8_t *x = keep(malloc((size_t)count + 1));
    for (int64_t i = 0; i < count; i++) {
        x[i] = (uint8_t)number_between(0, 255);
    }
    return x;
}

static uint8_t *bytes_guarded(int64_t count) {
    uint8_t *y = keep(malloc((size_t)count + 1));
    y[count] = GUARD;
    return y;
}

START_TEST(bytes_are_added) {
    FOR_EACH_LEVEL(level) {
        for (int64_t count = 1; count < COUNT_MAX; count++) {
            const bool is_signed = count % 2 == 0;
            const struct bytes_add add = {.is_signed = is_signed,
                                          .a_scale = fabsf(number()),
                                          .b_scale = fabsf(number()),
                                          .shift = 100 * number()};
            const uint8_t *a = bytes_random(count), *b = bytes_random(count);
            uint8_t *y = bytes_guarded(count), *one = bytes_guarded(count);
            const float first = (float)byte_at(b, 0, is_signed) * add.b_scale;
            bytes_add(&add, count, a, b, y);
            bytes_add_one(&add, count, a, b[0], one);
            for (int64_t i = 0; i < count; i++) {
                const float left = (float)byte_at(a, i, is_signed);
                const float right = (float)byte_at(b, i, is_signed);
                ck_assert_int_eq(y[i],
                                 saturated(fmaf(left, add.a_scale,
                                                fmaf(right, add.b_scale, add.shift)),
                                           is_signed));
                ck_assert_int_eq(
                    one[i],
                    saturated(fmaf(left, add.a_scale, add.shift + first), is_signed));
            }
            ck_assert_int_eq(y[count], GUARD);
            ck_assert_int_eq(one[count], GUARD);
        }
    }
}
END_TEST

START_TEST(bytes_are_multiplied) {
    FOR_EACH_LEVEL(level) {
        for (int64_t count = 1; count < COUNT_MAX; count++) {
            const bool is_signed = count % 2 == 0;
            const int low = is_signed ? -128 : 0;
            const struct bytes_mul mul = {
                .is_signed = is_signed,
                .a_zero = (int32_t)number_between(low, low + 255),
                .b_zero = (int32_t)number_between(low, low + 255),
                .scale = 0.01F * fabsf(number()),
                .shift = (float)number_between(low, low + 255)};
            const uint8_t *a = bytes_random(count), *b = bytes_random(count);
            uint8_t *y = bytes_guarded(count), *one = bytes_guarded(count);
            bytes_mul(&mul, count, a, b, y);
            bytes_mul_one(&mul, count, a, b[0], one);
            for (int64_t i = 0; i < count; i++) {
                const int left = byte_at(a, i, is_signed) - mul.a_zero;
                const int right = byte_at(b, i, is_signed) - mul.b_zero;
                const int first = byte_at(b, 0, is_signed) - mul.b_zero;
                ck_assert_int_eq(
                    y[i],
                    saturated((float)(left * right) * mul.scale + mul.shift, is_signed));
                ck_assert_int_eq(
                    one[i],
                    saturated((float)(left * first) * mul.scale + mul.shift, is_signed));
            }
            ck_assert_int_eq(y[count], GUARD);
            ck_assert_int_eq(one[count], GUARD);
        }
    }
}
END_TEST

START_TEST(factors_that_are_no_numbers_give_the_lowest_byte) {
    const struct bytes_add add = {.a_scale = NAN};
    const uint8_t x[] = {1, 2, 3};
    FOR_EACH_LEVEL(level) {
        uint8_t y[3] = {7, 7, 7};
        bytes_add(&add, 3, x, x, y);
        ck_assert_int_eq(y[0] | y[1] | y[2], 0);
    }
}
END_TEST

START_TEST(bytes_are_looked_up) {
    const uint8_t *table = bytes_random(BYTES_TABLE_SIZE);
    FOR_EACH_LEVEL(level) {
        for (int64_t count = 1; count < 3 * COUNT_MAX; count++) {
            const uint8_t *x = bytes_random(count);
            uint8_t *y = bytes_guarded(count);
            bytes_table(table, count, x, y);
            for (int64_t i = 0; i < count; i++) {
                ck_assert_int_eq(y[i], table[x[i]]);
            }
            ck_assert_int_eq(y[count], GUARD);
        }
    }
}
END_TEST

START_TEST(bytes_become_floats) {
    FOR_EACH_LEVEL(level) {
        for (int64_t count = 1; count < COUNT_MAX; count++) {
            const bool is_signed = count % 2 == 0;
            const float zero = (float)number_between(is_signed ? -128 : 0, 127);
            const float scale = number();
            const uint8_t *x = bytes_random(count);
            float *y = floats_unaligned(count + 1);
            y[count] = 7;
            bytes_floats(is_signed, count, x, zero, scale, y);
            for (int64_t i = 0; i < count; i++) {
                const float exact = ((float)byte_at(x, i, is_signed) - zero) * scale;
                ck_assert(same_bits(1, &y[i], &exact));
            }
            ck_assert_int_eq((int)y[count], 7);
        }
    }
}
END_TEST

/* ---- pools ------------------------------------------------------------------------- */

static struct pool random_pool(enum layout layout) {
    struct pool pool = {
        .channels = number_between(1, 150),
        .in_h = number_between(1, 9),
        .in_w = number_between(1, 12),
        .kernel_h = number_between(1, 4),
        .kernel_w = number_between(1, 4),
        .stride_h = number_between(1, 3),
        .stride_w = number_between(1, 3),
        .dilation_h = number_between(1, 2),
        .dilation_w = number_between(1, 2),
        .pad_top = number_between(0, 2),
        .pad_left = number_between(0, 2),
        .pad_bottom = number_between(0, 2),
        .pad_right = number_between(0, 2),
        .count_include_pad = number_between(0, 1) == 1,
        .layout = layout,
    };
    const int64_t h = pool.in_h + pool.pad_top + pool.pad_bottom,
                  w = pool.in_w + pool.pad_left + pool.pad_right;
    const int64_t reach_h = (pool.kernel_h - 1) * pool.dilation_h + 1,
                  reach_w = (pool.kernel_w - 1) * pool.dilation_w + 1;
    pool.out_h = h < reach_h ? 1 : (h - reach_h) / pool.stride_h + 1;
    pool.out_w = w < reach_w ? 1 : (w - reach_w) / pool.stride_w + 1;
    return pool;
}

static int64_t place(const struct pool *pool, int64_t image, int64_t c, int64_t h,
                     int64_t w, int64_t y, int64_t x) {
    return pool->layout == LAYOUT_NHWC ? ((image * h + y) * w + x) * pool->channels + c
                                       : ((image * pool->channels + c) * h + y) * w + x;
}

struct seen {
    int most, sum, inside, divisor;
};

static struct seen window(const struct pool *p, int64_t image, int64_t c, int64_t oy,
                          int64_t ox, const uint8_t *x, bool is_signed) {
    struct seen seen = {.most = is_signed ? -128 : 0};
    for (int64_t i = 0; i < p->kernel_h * p->kernel_w; i++) {
        const int64_t row =
            oy * p->stride_h - p->pad_top + i / p->kernel_w * p->dilation_h;
        const int64_t column =
            ox * p->stride_w - p->pad_left + i % p->kernel_w * p->dilation_w;
        if (row >= 0 && row < p->in_h && column >= 0 && column < p->in_w) {
            const int value =
                byte_at(x, place(p, image, c, p->in_h, p->in_w, row, column), is_signed);
            seen.most = value > seen.most ? value : seen.most;
            seen.sum += value;
            seen.inside++;
        }
        seen.divisor += row < p->in_h + p->pad_bottom && column < p->in_w + p->pad_right;
    }
    seen.divisor = p->count_include_pad ? seen.divisor : seen.inside;
    return seen;
}

/* The average, rounded; float32 may round it to the other side of a half. */
static void check_average(const struct pool_bytes_average *form, const struct seen *seen,
                          int got) {
    const int low = form->is_signed ? -128 : 0;
    const double exact = seen->divisor == 0
                             ? 0
                             : (double)(seen->sum - seen->inside * form->x_zero) *
                                   (double)form->x_scale /
                                   ((double)form->y_scale * seen->divisor);
    const double value = fmin(fmax(exact + form->y_zero, low), low + 255) - (double)got;
    ck_assert_msg(fabs(value) <= 0.5 + 1e-4, "%d is %g away", got, value);
}

static void check_pool(const struct pool *pool, bool is_signed) {
    const int64_t batch = 2, image = pool->channels * pool->in_h * pool->in_w;
    const int64_t made = batch * pool->channels * pool->out_h * pool->out_w;
    const struct pool_bytes_average form = {
        .is_signed = is_signed,
        .x_scale = 0.03F,
        .y_scale = 0.02F,
        .x_zero = (int32_t)number_between(is_signed ? -20 : 0, 40),
        .y_zero = (int32_t)number_between(is_signed ? -20 : 0, 40)};
    const uint8_t *x = bytes_random(batch * image);
    uint8_t *most = bytes_guarded(made), *mean = bytes_guarded(made);
    pool_bytes_max(pool, batch, is_signed, x, most);
    pool_bytes_average(pool, &form, batch, x, mean,
                       memory_aligned(pool_bytes_scratch_size(pool)));
    for (int64_t i = 0; i < made; i++) {
        const int64_t ox = i % pool->out_w, oy = i / pool->out_w % pool->out_h;
        const int64_t c = i / pool->out_w / pool->out_h % pool->channels;
        const int64_t n = i / pool->out_w / pool->out_h / pool->channels;
        const int64_t at = place(pool, n, c, pool->out_h, pool->out_w, oy, ox);
        const struct seen seen = window(pool, n, c, oy, ox, x, is_signed);
        ck_assert_int_eq(byte_at(most, at, is_signed), seen.most);
        check_average(&form, &seen, byte_at(mean, at, is_signed));
    }
    ck_assert_int_eq(most[made], GUARD);
    ck_assert_int_eq(mean[made], GUARD);
}

START_TEST(bytes_are_pooled) {
    FOR_EACH_LEVEL(level) {
        for (int i = 0; i < 60; i++) {
            const struct pool pool = random_pool(i % 2 == 0 ? LAYOUT_NCHW : LAYOUT_NHWC);
            check_pool(&pool, i / 2 % 2 == 0);
        }
    }
}
END_TEST

START_TEST(windows_of_many_pixels_are_pooled_in_parts) {
    FOR_EACH_LEVEL(level) {
        for (int i = 0; i < 4; i++) {
            const struct pool pool = {
                .channels = 70,
                .in_h = 11,
                .in_w = 13,
                .out_h = 1,
                .out_w = 1,
                .kernel_h = 11,
                .kernel_w = 13,
                .stride_h = 1,
                .stride_w = 1,
                .dilation_h = 1,
                .dilation_w = 1,
                .layout = i % 2 == 0 ? LAYOUT_NCHW : LAYOUT_NHWC,
            };
            check_pool(&pool, i / 2 == 0);
        }
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        bytes_are_added,
        bytes_are_multiplied,
        factors_that_are_no_numbers_give_the_lowest_byte,
        bytes_are_looked_up,
        bytes_become_floats,
        bytes_are_pooled,
        windows_of_many_pixels_are_pooled_in_parts,
    };
    return suite_run_kernels("engine kernels: bytes", tests, ARRAY_COUNT(tests));
}
