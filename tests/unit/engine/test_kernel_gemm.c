/* test_kernel_gemm.c - products at every level, and the promise that batching changes
 * nothing. */
#include "engine/kernels/gemm.h"

#include "tests/unit/engine/kernel_test.h"

/* A sum of k products of numbers below 1 is this close to the exact one. */
static double tolerance(int64_t k) {
    return 1e-6 + 1e-7 * (double)k;
}

struct sizes {
    int64_t m, n, k;
};

static struct sizes sizes_random(void) {
    const int64_t deep = number_between(0, 3) == 0 ? 700 : 60;
    struct sizes s = {number_between(1, 40), number_between(1, 80),
                      number_between(1, deep)};
    s.m = number_between(0, 4) == 0 ? number_between(65, 150) : s.m;
    return s;
}

/* B's elements packed as [k,n] or, transposed, [n,k], with distance `ldb`. */
static float *pack(const struct sizes *s, const float *b, int64_t ldb, bool trans) {
    float *packed = memory_aligned(gemm_pack_size(s->k, s->n));
    gemm_pack(s->k, s->n, b, ldb, trans, packed);
    return packed;
}

static void check_packed(const struct sizes *s, const struct gemm_tail *tail) {
    const int64_t lda = s->k + number_between(0, 3), ldc = s->n + number_between(0, 3);
    const bool trans = number_between(0, 1) == 1;
    const int64_t ldb = (trans ? s->k : s->n) + number_between(0, 3);
    const float *a = floats_random(s->m * lda);
    const float *b = floats_random((trans ? s->n : s->k) * ldb);
    const float *before = floats_random(s->m * ldc);
    float *c = floats_copy(s->m * ldc, before);
    gemm_run(s->m, s->n, s->k, a, lda, pack(s, b, ldb, trans), tail, c, ldc);
    for (int64_t i = 0; i < s->m; i++) {
        for (int64_t j = 0; j < ldc; j++) {
            double sum = tail->accumulate ? (double)before[i * ldc + j] : 0;
            for (int64_t p = 0; p < s->k && j < s->n; p++) {
                const float right = trans ? b[j * ldb + p] : b[p * ldb + j];
                sum += (double)a[i * lda + p] * (double)right;
            }
            sum *= (double)tail->alpha;
            sum += tail->bias != NULL && j < s->n ? (double)tail->bias[j] : 0;
            sum = act_reference(&tail->act, sum);
            if (j >= s->n) { /* between the rows nothing is written */
                sum = (double)before[i * ldc + j];
            }
            ck_assert_double_eq_tol(c[i * ldc + j], sum, tolerance(s->k));
        }
    }
}

START_TEST(packed_product_is_the_product) {
    FOR_EACH_FLOAT_LEVEL(level) {
        for (int round = 0; round < 150; round++) {
            const struct sizes s = sizes_random();
            const struct gemm_tail tail = {
                .alpha = number_between(0, 1) == 0 ? 1.0F : number(),
                .accumulate = number_between(0, 1) == 1,
                .bias = number_between(0, 1) == 1 ? floats_random(s.n) : NULL,
                .act = {(enum act_kind)number_between(0, ACT_KIND_COUNT - 1), 0.25F,
                        0.5F},
            };
            check_packed(&s, &tail);
        }
    }
}
END_TEST

/* The last rows of a batch of any size have the bits they have alone. */
START_TEST(row_has_the_same_bits_in_any_batch) {
    static const int64_t ms[] = {1, 2, 3, 4, 5, 7, 13, 14, 15, 29, 64, 71, 150};
    static const int64_t ns[] = {1, 2, 10, 16, 17, 32, 33, 64, 128, 200};
    static const int64_t ks[] = {1, 9, 128, 257, 600};
    enum { M_MAX = 150 };
    FOR_EACH_FLOAT_LEVEL(level) {
        for (size_t c = 0; c < ARRAY_COUNT(ns) * ARRAY_COUNT(ks); c++) {
            struct sizes s = {M_MAX, ns[c % ARRAY_COUNT(ns)], ks[c / ARRAY_COUNT(ns)]};
            const float *a = floats_random(s.m * s.k);
            const float *packed = pack(&s, floats_random(s.n * s.k), s.n, false);
            const struct gemm_tail tail = {.alpha = 1.0F, .bias = floats_random(s.n)};
            float *alone = floats_unaligned(s.m * s.n), *y = floats_unaligned(s.m * s.n);
            for (int64_t i = 0; i < s.m; i++) {
                gemm_run(1, s.n, s.k, a + i * s.k, s.k, packed, &tail, alone + i * s.n,
                         s.n);
            }
            for (size_t i = 0; i < ARRAY_COUNT(ms); i++) {
                const int64_t first = M_MAX - ms[i];
                gemm_run(ms[i], s.n, s.k, a + first * s.k, s.k, packed, &tail, y, s.n);
                ck_assert_msg(same_bits(ms[i] * s.n, y, alone + first * s.n),
                              "m %d n %d k %d", (int)ms[i], (int)s.n, (int)s.k);
            }
        }
    }
}
END_TEST

START_TEST(vector_levels_agree_to_the_bit) {
    for (int round = 0; round < 100 && cpu_level() >= CPU_AVX512; round++) {
        struct sizes s = sizes_random();
        s.n +=
            s.n == 1; /* one column is a dot product, whose sums are as many as lanes */
        const float *a = floats_random(s.m * s.k);
        const float *packed = pack(&s, floats_random(s.n * s.k), s.n, false);
        float *narrow = floats_unaligned(s.m * s.n), *wide = floats_unaligned(s.m * s.n);
        kernels_select(CPU_AVX2);
        gemm_run(s.m, s.n, s.k, a, s.k, packed, NULL, narrow, s.n);
        kernels_select(CPU_AVX512);
        gemm_run(s.m, s.n, s.k, a, s.k, packed, NULL, wide, s.n);
        ck_assert(same_bits(s.m * s.n, narrow, wide));
    }
}
END_TEST

struct dynamic {
    struct sizes s;
    bool trans_a, trans_b;
    int64_t lda, ldb, ldc;
    float alpha, beta;
};

static struct dynamic dynamic_random(void) {
    struct dynamic d = {.s = sizes_random()};
    d.trans_a = number_between(0, 1) == 1;
    d.trans_b = number_between(0, 1) == 1;
    d.lda = (d.trans_a ? d.s.m : d.s.k) + number_between(0, 3);
    d.ldb = (d.trans_b ? d.s.k : d.s.n) + number_between(0, 3);
    d.ldc = d.s.n + number_between(0, 3);
    d.alpha = (float)number_between(0, 2);
    d.beta = (float)number_between(0, 2) / 2;
    return d;
}

static double dynamic_reference(const struct dynamic *d, const float *a, const float *b,
                                double before, int64_t i, int64_t j) {
    double sum = 0;
    for (int64_t p = 0; p < d->s.k; p++) {
        sum += (double)(d->trans_a ? a[p * d->lda + i] : a[i * d->lda + p]) *
               (double)(d->trans_b ? b[j * d->ldb + p] : b[p * d->ldb + j]);
    }
    return (double)d->alpha * sum + (d->beta != 0 ? (double)d->beta * before : 0);
}

START_TEST(dynamic_product_takes_every_form) {
    FOR_EACH_FLOAT_LEVEL(level) {
        for (int round = 0; round < 150; round++) {
            struct dynamic d = dynamic_random();
            if (round == 0) { /* too large to be read in place */
                d.s = (struct sizes){6, 300, 300};
                d.trans_b = false;
                d.lda = d.ldb = d.ldc = 300;
            }
            const float *a = floats_random((d.trans_a ? d.s.k : d.s.m) * d.lda);
            const float *b = floats_random((d.trans_b ? d.s.n : d.s.k) * d.ldb);
            const float *before = floats_random(d.s.m * d.ldc);
            float *c = floats_copy(d.s.m * d.ldc, before);
            size_t size = gemm_f32_scratch_size(d.trans_b, d.s.m, d.s.n, d.s.k);
            c[0] = d.beta != 0 ? c[0] : NAN;
            gemm_f32(d.trans_a, d.trans_b, d.s.m, d.s.n, d.s.k, d.alpha, a, d.lda, b,
                     d.ldb, d.beta, c, d.ldc, memory_aligned(size));
            for (int64_t i = 0; i < d.s.m; i++) {
                for (int64_t j = 0; j < d.ldc; j++) {
                    double was = (double)before[i * d.ldc + j];
                    double is = j < d.s.n ? dynamic_reference(&d, a, b, was, i, j) : was;
                    ck_assert_double_eq_tol(c[i * d.ldc + j], is, 3 * tolerance(d.s.k));
                }
            }
        }
    }
}
END_TEST

/* Whether A is turned when it is needed or was packed before. */
START_TEST(column_has_the_same_bits_alone) {
    static const int64_t ms[] = {1, 5, 32, 33, 70};
    static const int64_t ks[] = {0, 1, 8, 128, 129, 700};
    enum { N = 3 };
    FOR_EACH_FLOAT_LEVEL(level) {
        for (size_t c = 0; c < ARRAY_COUNT(ms) * ARRAY_COUNT(ks); c++) {
            const struct sizes s = {1, ms[c % ARRAY_COUNT(ms)], ks[c / ARRAY_COUNT(ms)]};
            const int64_t m = s.n, k = s.k;
            const float *a = floats_random(m * k), *b = floats_random(k);
            const struct gemm_tail tail = {.alpha = 0.5F};
            float *many = floats_random(k * N), *c_many = floats_unaligned(m * N);
            float *alone = floats_unaligned(m), *packed = floats_unaligned(m);
            for (int64_t p = 0; p < k; p++) {
                many[p * N + 1] = b[p];
            }
            gemm_f32(false, false, m, N, k, 0.5F, a, k, many, N, 0, c_many, N, NULL);
            gemm_f32_column(m, k, 0.5F, a, k, b, alone);
            gemm_run(1, m, k, b, k, pack(&s, a, k, true), &tail, packed, m);
            for (int64_t i = 0; i < m; i++) {
                ck_assert(same_bits(1, alone + i, c_many + i * N + 1));
                ck_assert(m == 1 || same_bits(1, packed + i, c_many + i * N + 1));
            }
        }
    }
}
END_TEST

START_TEST(double_product_takes_every_form) {
    for (int form = 0; form < 4; form++) {
        const bool trans_a = form & 1, trans_b = form & 2;
        /* A = [1 2 3; 4 5 6], B = [1 2; 3 4; 5 6], each as stored. */
        const double a[] = {1, 2, 3, 4, 5, 6}, at[] = {1, 4, 2, 5, 3, 6};
        const double b[] = {1, 2, 3, 4, 5, 6}, bt[] = {1, 3, 5, 2, 4, 6};
        double c[] = {1, 1, 1, 1};
        gemm_f64(trans_a, trans_b, 2, 2, 3, 2.0, trans_a ? at : a, trans_a ? 2 : 3,
                 trans_b ? bt : b, trans_b ? 3 : 2, 0.5, c, 2);
        ck_assert(c[0] == 44.5 && c[1] == 56.5 && c[2] == 98.5 && c[3] == 128.5);
    }
}
END_TEST

START_TEST(integer_product_wraps) {
    const int32_t a[] = {INT32_MAX, 2}, b[] = {2, 3};
    const int64_t wide_a[] = {INT64_MAX, 1}, wide_b[] = {2, 5};
    int32_t c = 7;
    int64_t wide = 7;
    gemm_i32(1, 1, 2, a, 2, b, 1, &c, 1);
    ck_assert_int_eq(c, 4);
    gemm_i64(1, 1, 2, wide_a, 2, wide_b, 1, &wide, 1);
    ck_assert_int_eq(wide, 3);
}
END_TEST

START_TEST(empty_product_is_the_bias) {
    const float bias[] = {1.0F, -2.0F, 3.0F};
    const struct gemm_tail tail = {.alpha = 1.0F, .bias = bias, .act = {ACT_RELU, 0, 0}};
    FOR_EACH_FLOAT_LEVEL(level) {
        for (int64_t m = 0; m < 9; m++) {
            const struct sizes s = {m, 3, 0};
            float *c = floats_random(3 * m);
            gemm_run(m, 3, 0, c, 0, pack(&s, bias, 3, false), &tail, c, 3);
            for (int64_t i = 0; i < m; i++) {
                ck_assert(c[3 * i] == 1.0F && c[3 * i + 1] == 0.0F &&
                          c[3 * i + 2] == 3.0F);
            }
        }
    }
}
END_TEST

/* One job's bad numbers are its own. */
START_TEST(nan_stays_in_its_row) {
    FOR_EACH_FLOAT_LEVEL(level) {
        for (int64_t m = 1; m < 40; m++) {
            const struct sizes s = {m, 35, 300};
            const int64_t bad = number_between(0, m - 1);
            float *a = floats_random(s.m * s.k), *c = floats_random(s.m * s.n);
            const float *packed = pack(&s, floats_random(s.n * s.k), s.n, false);
            const struct gemm_tail tail = {.alpha = 1.0F, .act = {ACT_RELU, 0, 0}};
            a[bad * s.k + number_between(0, s.k - 1)] = NAN;
            gemm_run(s.m, s.n, s.k, a, s.k, packed, &tail, c, s.n);
            for (int64_t i = 0; i < s.m * s.n; i++) {
                ck_assert(isnan(c[i]) == (i / s.n == bad));
            }
        }
    }
}
END_TEST

START_TEST(packing_in_place_gives_the_same_bytes) {
    FOR_EACH_FLOAT_LEVEL(level) {
        for (int round = 0; round < 50; round++) {
            const struct sizes s = sizes_random();
            const size_t size = gemm_pack_size(s.k, s.n);
            const float *b = floats_random(s.n * s.k);
            float *there = memory_aligned(size), *apart = memory_aligned(size);
            float *scratch = memory_aligned(gemm_panel_count(s.k) * sizeof(float));
            memset(there, 0, size);
            memset(apart, 0, size);
            memcpy(there, b, (size_t)(s.n * s.k) * sizeof(*b));
            gemm_pack_in_place(s.k, s.n, there, scratch);
            gemm_pack(s.k, s.n, b, s.k, true, apart);
            ck_assert_int_eq(memcmp(there, apart, size), 0);
        }
    }
}
END_TEST

START_TEST(size_beyond_memory_is_told) {
    ck_assert_uint_eq(gemm_pack_size(INT64_MAX, INT64_MAX / 2), SIZE_MAX);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        packed_product_is_the_product,  row_has_the_same_bits_in_any_batch,
        vector_levels_agree_to_the_bit, dynamic_product_takes_every_form,
        column_has_the_same_bits_alone, double_product_takes_every_form,
        integer_product_wraps,          empty_product_is_the_bias,
        nan_stays_in_its_row,           packing_in_place_gives_the_same_bytes,
        size_beyond_memory_is_told,
    };
    return suite_run_kernels("engine kernels: gemm", tests, ARRAY_COUNT(tests));
}
