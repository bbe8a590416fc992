/* test_kernel_gemm_bytes.c - products of bytes: what the definition says, to the bit, at
 * every level and of any shape. */
#include "engine/kernels/gemm_bytes.h"

#include "tests/unit/engine/kernel_test.h"

/* Room that ends where the sanitizers watch, at an odd address. */
static uint8_t *bytes_random(int64_t count) {
    uint8_t *x = (uint8_t *)keep(malloc((size_t)count + 1)) + 1;
    for (int64_t i = 0; i < count; i++) {
        x[i] = (uint8_t)number_between(0, 255);
    }
    return x;
}

static int32_t *numbers_random(int64_t count, int64_t reach) {
    int32_t *x = keep(malloc((size_t)count * sizeof(*x)));
    for (int64_t i = 0; i < count; i++) {
        x[i] = (int32_t)number_between(-reach, reach);
    }
    return x;
}

struct shape {
    int64_t m, n, k, lda, ldc;
    bool trans;
    uint8_t flip;
};

static struct shape shape_random(void) {
    const int64_t deep = number_between(0, 3) == 0 ? 600 : 40;
    struct shape s = {number_between(1, 40),
                      number_between(1, 100),
                      number_between(0, deep),
                      0,
                      0,
                      number_between(0, 1) == 1,
                      0};
    s.flip = number_between(0, 1) == 1 ? GEMM_BYTES_FLIP : 0;
    s.lda = (s.k + 3) / 4 * 4 + number_between(0, 3);
    s.ldc = s.n + number_between(0, 3);
    return s;
}

/* Element [p,j] of B as it is multiplied. */
static int32_t right(const struct shape *s, const uint8_t *b, int64_t p, int64_t j) {
    return (int8_t)(b[s->trans ? j * s->k + p : p * s->n + j] ^ s->flip);
}

static int32_t sum_of(const struct shape *s, const struct gemm_bytes_tail *tail,
                      const uint8_t *a, const uint8_t *b, int64_t row, int64_t col) {
    uint32_t sum = (uint32_t)tail->add[col];
    for (int64_t p = 0; p < s->k; p++) {
        sum += (uint32_t)(a[row * s->lda + p] * right(s, b, p, col));
    }
    if (tail->b_zero != NULL) {
        sum -= (uint32_t)tail->row_sums[row] * (uint32_t)tail->b_zero[col];
    }
    return (int32_t)sum;
}

/* As the form says, of one sum: in double wherever that can show. */
static void check_element(const struct gemm_bytes_tail *tail, int32_t sum, int64_t col,
                          const void *c, int64_t at) {
    if (tail->form == GEMM_BYTES_SUMS) {
        ck_assert_int_eq(((const int32_t *)c)[at], sum);
        return;
    }
    const float scaled = (float)sum * tail->scale[col];
    if (tail->form == GEMM_BYTES_FLOATS) {
        const float y = tail->bias != NULL ? scaled + tail->bias[col] : scaled;
        ck_assert_msg(same_bits(1, (const float *)c + at, &y), "%g for %g",
                      (double)((const float *)c)[at], (double)y);
        return;
    }
    const double whole = nearbyint((double)scaled) + tail->zero;
    const double y =
        isnan(whole) ? tail->low : fmin(fmax(whole, tail->low), tail->low + 255);
    ck_assert_int_eq(((const uint8_t *)c)[at], (uint8_t)(int)y);
}

static struct gemm_bytes_tail tail_random(const struct shape *s, const uint8_t *a,
                                          int form) {
    struct gemm_bytes_tail tail = {.form = (enum gemm_bytes_form)form};
    float *scale = floats_random(s->n + GEMM_BYTES_SLACK);
    int32_t *sums = keep(malloc((size_t)s->m * sizeof(*sums)));
    tail.add = numbers_random(s->n + GEMM_BYTES_SLACK, 5000);
    tail.low = number_between(0, 1) == 1 ? -128 : 0;
    tail.zero = tail.low + (int32_t)number_between(0, 255);
    for (int64_t j = 0; j < s->n; j++) {
        scale[j] = fabsf(scale[j]) / 64;
        scale[j] = number_between(0, 30) == 0 ? NAN : scale[j];
    }
    scale[0] = 0.5F; /* many halves */
    tail.scale = scale;
    tail.bias = number_between(0, 1) == 1 ? floats_random(s->n + GEMM_BYTES_SLACK) : NULL;
    if (number_between(0, 1) == 1) {
        gemm_bytes_row_sums(s->m, s->k, a, s->lda, sums);
        tail.b_zero = numbers_random(s->n + GEMM_BYTES_SLACK, 128);
        tail.row_sums = sums;
    }
    return tail;
}

static void check(const struct shape *s, int form) {
    const uint8_t *a = bytes_random(s->m * s->lda), *b = bytes_random(s->k * s->n);
    const struct gemm_bytes_tail tail = tail_random(s, a, form);
    const size_t width = form == GEMM_BYTES_BYTES ? 1 : 4;
    const size_t size = (size_t)(s->m * s->ldc) * width;
    unsigned char *start = bytes_random((int64_t)size);
    FOR_EACH_LEVEL(level) {
        void *packed = memory_aligned(gemm_bytes_pack_size(s->k, s->n));
        unsigned char *c = keep(malloc(size));
        memcpy(c, start, size);
        gemm_bytes_pack(s->k, s->n, b, s->trans ? 1 : s->n, s->trans ? s->k : 1, s->flip,
                        packed);
        gemm_bytes(s->m, s->n, s->k, a, s->lda, packed, &tail, c, s->ldc);
        for (int64_t i = 0; i < s->m * s->ldc; i++) {
            const int64_t row = i / s->ldc, col = i % s->ldc;
            if (col < s->n) {
                check_element(&tail, sum_of(s, &tail, a, b, row, col), col, c, i);
            } else { /* between the rows nothing is written */
                ck_assert_int_eq(
                    memcmp(c + (size_t)i * width, start + (size_t)i * width, width), 0);
            }
        }
        for (int64_t j = 0; j < s->n; j++) {
            int32_t sum = 0;
            for (int64_t p = 0; p < s->k; p++) {
                sum += right(s, b, p, j);
            }
            ck_assert_int_eq(gemm_bytes_columns(packed)[j], sum);
        }
    }
}

START_TEST(product_is_exact_of_any_shape) {
    for (int i = 0; i < 200; i++) {
        const struct shape s = shape_random();
        check(&s, i % 3);
    }
}
END_TEST

/* k that fills the tiles of a matrix unit, with every number of rows and columns that
 * leaves some of a tile empty. */
START_TEST(tiles_are_filled_or_not) {
    for (int i = 0; i < 150; i++) {
        struct shape s = shape_random();
        s.m = number_between(1, 70);
        s.k = 64 * number_between(1, 4);
        s.lda = s.k + number_between(0, 3);
        check(&s, i % 3);
    }
}
END_TEST

START_TEST(many_rows_are_cut_in_blocks) {
    struct shape s = {.m = 230, .n = 33, .k = 2049, .lda = 2112, .ldc = 33};
    check(&s, GEMM_BYTES_SUMS);
}
END_TEST

/* 255 * -128 * k is past 32 bits. */
START_TEST(sums_wrap_around) {
    enum { K = 70000, N = 17 };
    uint8_t *a = bytes_random(K), *b = bytes_random(K);
    static const int32_t add[N + GEMM_BYTES_SLACK];
    const struct gemm_bytes_tail tail = {.form = GEMM_BYTES_SUMS, .add = add};
    memset(a, 255, K);
    memset(b, 0x80, K);
    FOR_EACH_LEVEL(level) {
        void *packed = memory_aligned(gemm_bytes_pack_size(K, N));
        int32_t c[N];
        gemm_bytes_pack(K, N, b, 1, 0, 0, packed);
        gemm_bytes(1, N, K, a, K, packed, &tail, c, N);
        for (int j = 0; j < N; j++) {
            ck_assert_int_eq(c[j], (int32_t)(255U * (uint32_t)-128 * K));
        }
    }
}
END_TEST

START_TEST(rows_are_copied_for_the_kernel) {
    for (int i = 0; i < 100; i++) {
        const int64_t m = number_between(1, 5), k = number_between(0, 1100);
        const int64_t ldx = k + number_between(0, 3), size = gemm_bytes_row_size(k);
        const uint8_t flip = i % 2 == 0 ? GEMM_BYTES_FLIP : 0;
        const uint8_t *x = bytes_random(m * ldx);
        uint8_t *a = keep(malloc((size_t)(m * size) + 1));
        ck_assert(size >= k && size % 4 == 0);
        gemm_bytes_copy(m, k, x, ldx, flip, a);
        for (int64_t j = 0; j < m * size; j++) {
            const int64_t row = j / size, col = j % size;
            ck_assert_int_eq(a[j], col < k ? x[row * ldx + col] ^ flip : 0);
        }
    }
}
END_TEST

START_TEST(size_beyond_memory_is_told) {
    ck_assert_uint_eq(gemm_bytes_pack_size(INT64_MAX, INT64_MAX / 2), SIZE_MAX);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        product_is_exact_of_any_shape,  tiles_are_filled_or_not,
        many_rows_are_cut_in_blocks,    sums_wrap_around,
        rows_are_copied_for_the_kernel, size_beyond_memory_is_told,
    };
    return suite_run_kernels("engine kernels: gemm_bytes", tests, ARRAY_COUNT(tests));
}
