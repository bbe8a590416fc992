/* test_shadow.c - how two answers compare. */
#include <math.h>

#include "app/shadow.h"
#include "tests/unit/suite.h"

static struct shadow_verdict compare(const float *a, const float *b, int64_t count) {
    struct tensor x = {
        .dtype = DTYPE_F32, .rank = 1, .dims = {count}, .data = (void *)(uintptr_t)a};
    struct tensor y = {
        .dtype = DTYPE_F32, .rank = 1, .dims = {count}, .data = (void *)(uintptr_t)b};
    return shadow_compare(&x, &y);
}

START_TEST(several_values_agree_on_the_largest) {
    const float a[] = {0.1F, 0.7F, 0.2F}, b[] = {0.3F, 0.4F, 0.3F}, c[] = {1, 0, 0};
    struct shadow_verdict verdict = compare(a, b, 3);
    ck_assert(verdict.comparable);
    ck_assert(verdict.agree);
    ck_assert_double_eq_tol(verdict.difference, 0.3, 1e-6);
    verdict = compare(a, c, 3);
    ck_assert(!verdict.agree);
    ck_assert_double_eq_tol(verdict.difference, 0.9, 1e-6);
}
END_TEST

START_TEST(a_single_value_agrees_on_its_side_of_a_half) {
    const float low = 0.2F, high = 0.6F, higher = 0.9F;
    ck_assert(compare(&high, &higher, 1).agree);
    ck_assert(!compare(&low, &high, 1).agree);
}
END_TEST

START_TEST(nan_and_infinities_are_no_accident) {
    const float a[] = {NAN, INFINITY}, b[] = {NAN, INFINITY}, c[] = {0, INFINITY};
    ck_assert_double_eq(compare(a, b, 2).difference, 0);
    ck_assert(isinf(compare(a, c, 2).difference));
}
END_TEST

START_TEST(what_is_of_another_size_or_no_float_is_not_compared) {
    float a[4] = {0};
    double d[4] = {0};
    int64_t n[4] = {0};
    struct tensor x = {.dtype = DTYPE_F32, .rank = 1, .dims = {4}, .data = a};
    struct tensor y = {.dtype = DTYPE_F64, .rank = 2, .dims = {2, 2}, .data = d};
    ck_assert(shadow_compare(&x, &y).comparable); /* the same number of floats */
    y.dims[0] = 1;
    ck_assert(!shadow_compare(&x, &y).comparable);
    y = (struct tensor){.dtype = DTYPE_I64, .rank = 1, .dims = {4}, .data = n};
    ck_assert(!shadow_compare(&x, &y).comparable);
    x.dims[0] = y.dims[0] = 0;
    ck_assert(!shadow_compare(&x, &x).comparable);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        several_values_agree_on_the_largest,
        a_single_value_agrees_on_its_side_of_a_half,
        nan_and_infinities_are_no_accident,
        what_is_of_another_size_or_no_float_is_not_compared,
    };
    return suite_run("shadow", tests, ARRAY_COUNT(tests));
}
