/* kernel_test.h - what the kernels' tests share: numbers, guarded arrays, levels. */
#ifndef MILLRACE_TESTS_UNIT_ENGINE_KERNEL_TEST_H
#define MILLRACE_TESTS_UNIT_ENGINE_KERNEL_TEST_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernels/kernels.h"
#include "tests/unit/suite.h"

/* Every level this processor has; the body runs with its kernels selected. */
#define FOR_EACH_LEVEL(level)                                                       \
    for (int level = 0; level <= (int)cpu_level() && (kernels_select(level), true); \
         level++)

/* Those whose loops over floats differ: the levels above have other ones over bytes. */
#define FOR_EACH_FLOAT_LEVEL(level)                                              \
    for (int level = 0; level <= (int)cpu_level() && level <= (int)CPU_AVX512 && \
                        (kernels_select(level), true);                           \
         level++)

static uint64_t number_state = 42;

/* Whole numbers in [low, high]. */
static inline int64_t number_between(int64_t low, int64_t high) {
    number_state = number_state * 6364136223846793005U + 1442695040888963407U;
    return low + (int64_t)((number_state >> 33) % (uint64_t)(high - low + 1));
}

/* In [-1, 1). */
static inline float number(void) {
    return (float)number_between(-(1 << 23), (1 << 23) - 1) / (float)(1 << 23);
}

/* What the helpers below hand out; suite_run_kernels frees it after each test. */
static struct {
    void **items;
    size_t count, room;
} kept;

static inline void *keep(void *memory) {
    ck_assert_ptr_nonnull(memory);
    if (kept.count == kept.room) {
        kept.room = 2 * kept.room + 64;
        kept.items = realloc(kept.items, kept.room * sizeof(*kept.items));
        ck_assert_ptr_nonnull(kept.items);
    }
    kept.items[kept.count++] = memory;
    return memory;
}

static void release_kept(void) {
    while (kept.count > 0) {
        free(kept.items[--kept.count]);
    }
    free(kept.items);
    kept.items = NULL;
    kept.room = 0;
}

static inline int suite_run_kernels(const char *name, const TTest *const *tests,
                                    size_t count) {
    return suite_run_with(name, tests, count, NULL, release_kept);
}

/* Room for `count` floats, at an address that is a multiple of 4 bytes only: kernels
 * must not rely on more. */
static inline float *floats_unaligned(int64_t count) {
    float *all = keep(malloc((size_t)(count + 1) * sizeof(float)));
    return all + 1;
}

/* For packed weights and scratch: 64 bytes, of the exact size. */
static inline void *memory_aligned(size_t size) {
    void *memory = NULL;
    ck_assert_int_eq(posix_memalign(&memory, 64, size > 0 ? size : 1), 0);
    (void)keep(memory);
    memset(memory, 0xff, size); /* NaN, to be found in results */
    return memory;
}

static inline float *floats_random(int64_t count) {
    float *x = floats_unaligned(count);
    for (int64_t i = 0; i < count; i++) {
        x[i] = number();
    }
    return x;
}

static inline float *floats_copy(int64_t count, const float *x) {
    float *y = floats_unaligned(count);
    memcpy(y, x, (size_t)count * sizeof(*x));
    return y;
}

static inline bool same_bits(int64_t count, const float *x, const float *y) {
    return memcmp(x, y, (size_t)count * sizeof(*x)) == 0;
}

/* An activation as its formula says, in double. */
static inline double act_reference(const struct act *act, double x) {
    const double a = (double)act->alpha, b = (double)act->beta;
    switch (act->kind) {
    case ACT_NONE:
    case ACT_KIND_COUNT:
        return x;
    case ACT_RELU:
        return x < 0 ? 0 : x;
    case ACT_LEAKY_RELU:
        return x < 0 ? a * x : x;
    case ACT_CLIP:
        return x < a ? a : (x > b ? b : x);
    case ACT_HARD_SIGMOID:
        return a * x + b < 0 ? 0 : (a * x + b > 1 ? 1 : a * x + b);
    case ACT_AFFINE:
        return a * x + b;
    case ACT_THRESHOLD:
        return x > a ? x : 0;
    case ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case ACT_TANH:
        return tanh(x);
    case ACT_SCALED_TANH:
        return a * tanh(b * x);
    case ACT_SOFTPLUS:
        return x > 40 ? x : log1p(exp(x));
    case ACT_SOFTSIGN:
        return x / (1 + fabs(x));
    case ACT_ELU:
        return x < 0 ? a * expm1(x) : x;
    case ACT_SELU:
        return b * (x < 0 ? a * expm1(x) : x);
    case ACT_GELU:
        return x / 2 * (1 + erf(x / sqrt(2.0)));
    case ACT_GELU_TANH:
        return x / 2 * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    case ACT_SWISH:
        return x / (1 + exp(-a * x));
    case ACT_HARD_SWISH:
        return x * fmin(fmax(x / 6 + 0.5, 0), 1);
    }
    return x;
}

#endif
