/* test_kernel_quantize.c - floats and bytes: what the definition says, to the
 * bit, at every level, of any length. */
#include "engine/kernels/quantize.h"

#include "tests/unit/engine/kernel_test.h"

#define COUNT_MAX 150

static uint8_t saturated(double value, double zero, int low) {
    value = nearbyint(value) + zero;
    return (uint8_t)(int)fmin(fmax(value, low), low + 255);
}

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

START_TEST(range_is_that_of_all_numbers_and_zero) {
    FOR_EACH_LEVEL(level) {
        for (int64_t count = 0; count < COUNT_MAX; count++) {
            float *x = floats_random(count), low = 7, high = 7, least = 0, most = 0;
            const float shift = (float)(count % 3 - 1);
            for (int64_t i = 0; i < count; i++) {
                x[i] = i % 11 == 5 ? NAN : x[i] + shift;
                least = x[i] < least ? x[i] : least;
                most = x[i] > most ? x[i] : most;
            }
            quantize_range(count, x, &low, &high);
            ck_assert(low == least && high == most);
        }
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        floats_become_bytes,
        range_is_that_of_all_numbers_and_zero,
    };
    return suite_run_kernels("engine kernels: quantize", tests, ARRAY_COUNT(tests));
}
