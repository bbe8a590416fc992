/* test_kernel_gemm_i16.c - products of 16-bit numbers: what the definition says, to the
 * bit, at every level and of any shape. */
#include "engine/kernels/gemm_i16.h"

#include "tests/unit/engine/kernel_test.h"

/* Room that ends where the sanitizers watch, at an address of the type's alignment. */
static int16_t *shorts(int64_t count, int64_t reach) {
    int16_t *x = (int16_t *)keep(malloc((size_t)(count + 1) * sizeof(*x))) + 1;
    for (int64_t i = 0; i < count; i++) {
        x[i] = (int16_t)number_between(-reach, reach);
    }
    return x;
}

static int16_t *pack(int64_t k, int64_t n, const int16_t *b) {
    int16_t *packed = memory_aligned(gemm_i16_pack_size(k, n));
    for (int64_t p = 0; p < k; p += 2) {
        gemm_i16_pack(k, n, p / 2, b + p * n, p + 1 < k ? b + (p + 1) * n : NULL, packed);
    }
    return packed;
}

static int32_t product(int64_t k, int64_t n, const int16_t *a, const int16_t *b) {
    uint32_t sum = 0;
    for (int64_t p = 0; p < k; p++) {
        sum += (uint32_t)(a[p] * b[p * n]);
    }
    return (int32_t)sum;
}

static void check(int64_t m, int64_t n, int64_t k, int64_t reach) {
    const int64_t lda = k + k % 2 + 2 * number_between(0, 3), ldc = n + 1;
    const int16_t *a = shorts(m * lda, reach), *b = shorts(k * n, reach);
    const int16_t *packed = pack(k, n, b);
    FOR_EACH_LEVEL(level) {
        int32_t *c = keep(malloc((size_t)(m * ldc + 1) * sizeof(*c)));
        for (int64_t i = 0; i < m * ldc; i++) {
            c[i] = 7;
        }
        gemm_i16(m, n, k, a, lda, packed, c, ldc);
        for (int64_t i = 0; i < m * n; i++) {
            const int64_t row = i / n, col = i % n;
            ck_assert_int_eq(c[row * ldc + col], product(k, n, a + row * lda, b + col));
        }
        for (int64_t i = 0; i < m; i++) {
            ck_assert_int_eq(c[i * ldc + n], 7);
        }
    }
}

START_TEST(product_is_exact_of_any_shape) {
    for (int i = 0; i < 300; i++) {
        check(number_between(1, 30), number_between(1, 80), number_between(0, 40), 255);
    }
    check(13, 33, 1001, 383);
}
END_TEST

START_TEST(sums_wrap_around) {
    check(5, 17, 301, INT16_MAX);
}
END_TEST

START_TEST(size_beyond_memory_is_told) {
    ck_assert_uint_eq(gemm_i16_pack_size(INT64_MAX, INT64_MAX / 2), SIZE_MAX);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        product_is_exact_of_any_shape,
        sums_wrap_around,
        size_beyond_memory_is_told,
    };
    return suite_run_kernels("engine kernels: gemm_i16", tests, ARRAY_COUNT(tests));
}
