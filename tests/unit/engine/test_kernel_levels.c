/* test_kernel_levels.c - each loop of each level beside the portable one, over random
 * sizes, tails, strides and places, and that it writes nothing but its result.
 *
 * The families' own tests check them against formulas; here no loop is left out, also
 * those that families call for some sizes only. */
#include "kernel_test.h"

enum { ROUNDS = 300, COUNT_MAX = 150, GUARD = 16 };

/* Sums in another order, exponentials by another polynomial. */
#define TOLERANCE 4e-6

/* Room for results between guards, at any multiple of 4 bytes. */
struct guarded {
    float *all, *y;
    int64_t count;
};

static struct guarded guard(int64_t count, const float *start) {
    struct guarded made = {.count = count};
    int64_t skip = number_between(0, 15);
    made.all = floats_unaligned(count + 2 * GUARD + 16) + skip;
    made.y = made.all + GUARD;
    for (int64_t i = 0; i < count + 2 * GUARD; i++) {
        made.all[i] = 12345.0F;
    }
    if (count > 0) {
        memcpy(made.y, start, (size_t)count * sizeof(*start));
    }
    return made;
}

static void check_same(const char *what, enum cpu_level level, const struct guarded *have,
                       const struct guarded *want) {
    for (int64_t i = 0; i < GUARD; i++) {
        ck_assert_msg(have->all[i] == 12345.0F && have->y[have->count + i] == 12345.0F,
                      "%s, %s: wrote outside its %lld results", cpu_level_name(level),
                      what, (long long)have->count);
    }
    for (int64_t i = 0; i < want->count; i++) {
        const double a = (double)have->y[i], b = (double)want->y[i];
        ck_assert_msg(
            a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= TOLERANCE * (1 + fabs(b)),
            "%s, %s: element %lld of %lld is %.9g, portable %.9g", cpu_level_name(level),
            what, (long long)i, (long long)want->count, a, b);
    }
}

static int64_t any_count(void) {
    return number_between(0, COUNT_MAX);
}

/* Runs `call`, which uses `k` and `y`, with the level's table and the portable one, on
 * results of `size` floats that begin as `start`, and compares. */
#define COMPARE(what, size, start, call)                          \
    do {                                                          \
        struct guarded have = guard(size, start);                 \
        struct guarded want = guard(size, start);                 \
        const struct kernels *k = kernels_current();              \
        float *y = have.y;                                        \
        call;                                                     \
        k = &kernels_portable;                                    \
        y = want.y;                                               \
        call;                                                     \
        check_same(what, kernels_current()->level, &have, &want); \
    } while (0)

START_TEST(maps) {
    FOR_EACH_LEVEL(level) {
        for (int round = 0; round < ROUNDS; round++) {
            const int64_t n = any_count();
            float *x = floats_random(n + 1), *positive = floats_random(n + 1);
            for (int64_t i = 0; i < n; i++) {
                positive[i] = fabsf(positive[i]) * 10 + 0.01F;
                x[i] *= 5;
            }
            COMPARE("exp", n, x, k->exp(n, x, y));
            COMPARE("log", n, x, k->log(n, positive, y));
            COMPARE("erf", n, x, k->erf(n, x, y));
            COMPARE("sqrt", n, x, k->sqrt(n, positive, y));
            for (int a = 0; a < ACT_KIND_COUNT; a++) {
                const struct act act = {
                    .kind = (enum act_kind)a, .alpha = 0.3F, .beta = 0.8F};
                COMPARE("act", n, x, k->act[a](&act, n, x, y));
                COMPARE("act in place", n, x, k->act[a](&act, n, y, y));
            }
            release_kept();
        }
    }
}
END_TEST

START_TEST(pairs) {
    FOR_EACH_LEVEL(level) {
        for (int round = 0; round < ROUNDS; round++) {
            const int64_t n = any_count();
            const float *a = floats_random(n + 1), *b = floats_random(n + 1);
            for (int op = 0; op < EW_OP_COUNT; op++) {
                for (int form = 0; form < EW_FORM_COUNT; form++) {
                    COMPARE("binary", n, a, k->binary[op][form](n, a, b, y));
                }
            }
            COMPARE("mul_add", n, a, k->mul_add(n, a, b, y));
            COMPARE("scale_shift", n, a, k->scale_shift(n, 0.7F, -0.2F, a, y));
            COMPARE("scale_shift_each", n, a, k->scale_shift_each(n, a, b, b, y));
            release_kept();
        }
    }
}
END_TEST

START_TEST(strides) {
    FOR_EACH_LEVEL(level) {
        for (int round = 0; round < ROUNDS; round++) {
            const int64_t n = any_count(), stride = number_between(1, 4);
            const float *x = floats_random(n * stride + 1), *start = floats_random(n + 1);
            COMPARE("axpy", n, start, k->axpy(n, 0.6F, x, stride, y));
            COMPARE("max_into", n, start, k->max_into(n, x, stride, y));
            COMPARE("add_into", n, start, k->add_into(n, x, stride, y));
            release_kept();
        }
    }
}
END_TEST

START_TEST(reductions) {
    FOR_EACH_LEVEL(level) {
        for (int round = 0; round < ROUNDS; round++) {
            const int64_t n = any_count();
            const float *a = floats_random(n + 1), *b = floats_random(n + 1);
            COMPARE("dot", 1, a, y[0] = k->dot(n, a, b));
            COMPARE("sum", 1, a, y[0] = k->sum(n, a));
            COMPARE("max", 1, a, y[0] = k->max(n, a));
            release_kept();
        }
    }
}
END_TEST

START_TEST(pools) {
    FOR_EACH_LEVEL(level) {
        for (int round = 0; round < ROUNDS; round++) {
            const int64_t n = any_count(), pixels = number_between(1, 9);
            const float *x = floats_random(n * pixels + 1);
            const float *rows = floats_random(4 * n + 4);
            const float *from[9];
            for (int64_t p = 0; p < pixels; p++) {
                from[p] = x + n * number_between(0, pixels - 1);
            }
            COMPARE("pool_max_2x2", n, rows, k->pool_max_2x2(n, rows, rows + 2 * n, y));
            COMPARE("pool_max_pixels", n, rows, k->pool_max_pixels(n, pixels, from, y));
            COMPARE("pool_sum_pixels", n, rows, k->pool_sum_pixels(n, pixels, from, y));
            release_kept();
        }
    }
}
END_TEST

START_TEST(rows) {
    FOR_EACH_LEVEL(level) {
        for (int round = 0; round < ROUNDS; round++) {
            const int64_t r = number_between(0, 5), n = number_between(1, COUNT_MAX);
            const float *x = floats_random(r * n + 1), *scale = floats_random(n);
            const float *bias = floats_random(n);
            COMPARE("softmax", r * n, x, k->softmax(r, n, x, y));
            COMPARE("log_softmax", r * n, x, k->log_softmax(r, n, x, y));
            COMPARE("layer_norm", r * n, x,
                    k->layer_norm(r, n, 1e-5F, scale, bias, x, y));
            COMPARE("softmax in place", r * n, x, k->softmax(r, n, y, y));
            release_kept();
        }
    }
}
END_TEST

START_TEST(transposes_of_parts) {
    FOR_EACH_LEVEL(level) {
        for (int round = 0; round < ROUNDS; round++) {
            const int64_t r = number_between(1, 40), c = number_between(1, 40);
            const int64_t ldx = c + number_between(0, 5), ldy = r + number_between(0, 5);
            const float *x = floats_random(r * ldx), *start = floats_random(c * ldy);
            COMPARE("transpose", c * ldy, start, k->transpose(r, c, x, ldx, y, ldy));
            release_kept();
        }
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        maps, pairs, strides, reductions, pools, rows, transposes_of_parts,
    };
    return suite_run_kernels("engine kernels: levels", tests, ARRAY_COUNT(tests));
}
