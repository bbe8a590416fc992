/* test_kernel_quantize.c - bytes and wider numbers: what the definition says, to the
 * bit, at every level, of any length. */
#include "engine/kernels/quantize.h"

#include "tests/unit/engine/kernel_test.h"

#define COUNT_MAX 150

static uint8_t saturated(double value, double zero, int low) {
    value = nearbyint(value) + zero;
    return (uint8_t)(int)fmin(fmax(value, low), low + 255);
}

START_TEST(bytes_lose_their_zero_point) {
    uint8_t x[256];
    int16_t y[257];
    for (int i = 0; i < 256; i++) {
        x[i] = (uint8_t)i;
    }
    FOR_EACH_LEVEL(level) {
        for (int i = 0; i < 40; i++) {
            const int64_t first = number_between(0, 255), count = 256 - first;
            const int32_t zero = (int32_t)number_between(-128, 255);
            const int low = i % 2 == 0 ? 0 : -128;
            y[count] = 7;
            quantize_widen(count, x + first, low, zero, y);
            for (int64_t j = 0; j < count; j++) {
                const int value = low < 0 ? (int8_t)x[first + j] : x[first + j];
                ck_assert_int_eq(y[j], value - zero);
            }
            ck_assert_int_eq(y[count], 7);
        }
    }
}
END_TEST

START_TEST(floats_become_bytes) {
    const float odd[] = {NAN, INFINITY, -INFINITY, 1e30F, -1e30F, 0.25F, 0.75F, -1.25F};
    FOR_EACH_LEVEL(level) {
        for (int64_t count = 1; count < COUNT_MAX; count++) {
            const int low = count % 2 == 0 ? 0 : -128;
            const float zero = (float)number_between(low, low + 255), scale = 0.5F;
            float *x = floats_random(count);
            uint8_t y[COUNT_MAX + 1];
            for (int64_t i = 0; i < count; i++) {
                x[i] = i % 5 == 0 ? odd[(i / 5 + count) % 8] : x[i] * 100;
            }
            y[count] = 7;
            quantize_f32(count, x, scale, zero, low, y);
            for (int64_t i = 0; i < count; i++) {
                ck_assert_int_eq(y[i], isnan(x[i]) ? 0
                                                   : saturated((double)(x[i] / scale),
                                                               (double)zero, low));
            }
            ck_assert_int_eq(y[count], 7);
        }
    }
}
END_TEST

START_TEST(sums_become_bytes) {
    FOR_EACH_LEVEL(level) {
        for (int64_t count = 1; count < COUNT_MAX; count++) {
            const int low = count % 2 == 0 ? 0 : -128;
            const double zero = (double)number_between(low, low + 255), scale = 0.25;
            const int32_t bias = count % 7 == 0 ? INT32_MAX : (int32_t)count;
            int32_t sums[COUNT_MAX];
            uint8_t y[COUNT_MAX + 1];
            for (int64_t i = 0; i < count; i++) {
                sums[i] = i % 9 == 0   ? INT32_MAX
                          : i % 9 == 1 ? INT32_MIN
                                       : (int32_t)number_between(-900, 900);
            }
            y[count] = 7;
            quantize_sums(count, sums, bias, scale, zero, low, y);
            for (int64_t i = 0; i < count; i++) {
                ck_assert_int_eq(y[i],
                                 saturated(((double)sums[i] + bias) * scale, zero, low));
            }
            ck_assert_int_eq(y[count], 7);
        }
        {
            uint8_t y = 7;
            quantize_sums(1, (const int32_t[]){3}, 0, NAN, 9, 0, &y);
            ck_assert_int_eq(y, 0);
        }
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        bytes_lose_their_zero_point,
        floats_become_bytes,
        sums_become_bytes,
    };
    return suite_run_kernels("engine kernels: quantize", tests, ARRAY_COUNT(tests));
}
