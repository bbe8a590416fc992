/* test_size.c - no wrap goes unnoticed. */
#include "base/size.h"

#include "tests/unit/suite.h"

START_TEST(products_that_fit_are_exact) {
    size_t out = 1;
    ck_assert(size_mul(0, SIZE_MAX, &out));
    ck_assert_uint_eq(out, 0);
    ck_assert(size_mul(SIZE_MAX, 0, &out));
    ck_assert_uint_eq(out, 0);
    ck_assert(size_mul(SIZE_MAX, 1, &out));
    ck_assert_uint_eq(out, SIZE_MAX);
    ck_assert(size_mul(SIZE_MAX / 3, 3, &out));
    ck_assert_uint_eq(out, SIZE_MAX / 3 * 3);
}
END_TEST

START_TEST(products_that_wrap_are_refused_and_leave_out_alone) {
    size_t out = 42;
    ck_assert(!size_mul(SIZE_MAX, 2, &out));
    ck_assert(!size_mul(2, SIZE_MAX, &out));
    ck_assert(!size_mul(SIZE_MAX / 2 + 1, 2, &out));
    ck_assert(!size_mul((size_t)1 << 32, (size_t)1 << 32, &out));
    ck_assert_uint_eq(out, 42);
}
END_TEST

START_TEST(sums_are_exact_or_refused) {
    size_t out = 42;
    ck_assert(!size_add(SIZE_MAX, 1, &out));
    ck_assert(!size_add(SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 1, &out));
    ck_assert_uint_eq(out, 42);
    ck_assert(size_add(SIZE_MAX, 0, &out));
    ck_assert_uint_eq(out, SIZE_MAX);
    ck_assert(size_add(SIZE_MAX - 1, 1, &out));
    ck_assert_uint_eq(out, SIZE_MAX);
}
END_TEST

START_TEST(alignment_rounds_up) {
    ck_assert_uint_eq(size_align(0, 64), 0);
    ck_assert_uint_eq(size_align(1, 64), 64);
    ck_assert_uint_eq(size_align(64, 64), 64);
    ck_assert_uint_eq(size_align(65, 64), 128);
    ck_assert_uint_eq(size_align(7, 1), 7);
}
END_TEST

START_TEST(min_and_max_choose) {
    ck_assert_uint_eq(size_min(1, 2), 1);
    ck_assert_uint_eq(size_min(2, 1), 1);
    ck_assert_uint_eq(size_max(1, 2), 2);
    ck_assert_uint_eq(size_max(2, 1), 2);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        products_that_fit_are_exact, products_that_wrap_are_refused_and_leave_out_alone,
        sums_are_exact_or_refused,   alignment_rounds_up,
        min_and_max_choose,
    };
    return suite_run("size", tests, ARRAY_COUNT(tests));
}
