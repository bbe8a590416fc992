/* test_element.c - elements as numbers, and the comparison of tensors. */
#include "tools/element.h"

#include <math.h>

#include "tests/unit/suite.h"

static struct tensor vector(enum dtype dtype, void *data, int64_t count) {
    return (struct tensor){.dtype = dtype, .rank = 1, .dims = {count}, .data = data};
}

static enum status compare(float got, float wanted) {
    struct tensor a = vector(DTYPE_F32, &got, 1), b = vector(DTYPE_F32, &wanted, 1);
    struct error err;
    return element_compare(&a, &b, 1e-3, 1e-5, &err);
}

START_TEST(sixteen_bit_floats_are_exact) {
    uint16_t half[] = {0x3C00, 0xC100, 0x0001, 0x7BFF, 0x7C00, 0x7E00};
    uint16_t bfloat[] = {0x3F80, 0xC020};
    struct tensor x = vector(DTYPE_F16, half, 6), y = vector(DTYPE_BF16, bfloat, 2);
    ck_assert_double_eq(element_real(&x, 0), 1.0);
    ck_assert_double_eq(element_real(&x, 1), -2.5);
    ck_assert_double_eq(element_real(&x, 2), 0x1p-24);
    ck_assert_double_eq(element_real(&x, 3), 65504.0);
    ck_assert_double_infinite(element_real(&x, 4));
    ck_assert_double_nan(element_real(&x, 5));
    ck_assert_double_eq(element_real(&y, 0), 1.0);
    ck_assert_double_eq(element_real(&y, 1), -2.5);
}
END_TEST

START_TEST(tolerance_is_absolute_plus_relative_to_the_wanted) {
    ck_assert_int_eq(compare(1.0009f, 1.0f), STATUS_OK);
    ck_assert_int_ne(compare(1.0020f, 1.0f), STATUS_OK);
    ck_assert_int_ne(compare(1001.0008f, 1000.0f), STATUS_OK); /* not to what came */
    ck_assert_int_eq(compare(0.9e-5f, 0.0f), STATUS_OK);
    ck_assert_int_ne(compare(1.2e-5f, 0.0f), STATUS_OK);
}
END_TEST

START_TEST(nan_agrees_with_nan_and_infinity_with_itself_alone) {
    ck_assert_int_eq(compare(NAN, NAN), STATUS_OK);
    ck_assert_int_ne(compare(NAN, 1.0f), STATUS_OK);
    ck_assert_int_ne(compare(1.0f, NAN), STATUS_OK);
    ck_assert_int_eq(compare(INFINITY, INFINITY), STATUS_OK);
    ck_assert_int_ne(compare(-INFINITY, INFINITY), STATUS_OK);
    ck_assert_int_ne(compare(1.0f, INFINITY), STATUS_OK);
    ck_assert_int_ne(compare(INFINITY, 1.0f), STATUS_OK);
}
END_TEST

START_TEST(dtype_and_shape_must_be_equal) {
    int32_t data[4] = {0};
    struct tensor a = vector(DTYPE_I32, data, 4), b = vector(DTYPE_F32, data, 4);
    struct tensor c = {.dtype = DTYPE_I32, .rank = 2, .dims = {2, 2}, .data = data};
    struct tensor d = {.dtype = DTYPE_I32, .rank = 2, .dims = {4, 1}, .data = data};
    struct error err;
    ck_assert_int_eq(element_compare(&a, &a, 0, 0, &err), STATUS_OK);
    ck_assert_int_ne(element_compare(&a, &b, 1, 1, &err), STATUS_OK);
    ck_assert_int_ne(element_compare(&a, &c, 1, 1, &err), STATUS_OK);
    ck_assert_int_ne(element_compare(&c, &d, 1, 1, &err), STATUS_OK);
    ck_assert_str_eq(err.text, "the shape is [2,2], not [4,1]");
}
END_TEST

START_TEST(texts_are_compared_byte_by_byte) {
    struct span one[] = {span_text("a"), span_text("b")};
    struct span two[] = {span_text("a"), span_text("B")};
    struct tensor a = vector(DTYPE_STRING, one, 2), b = vector(DTYPE_STRING, two, 2);
    struct error err;
    ck_assert_int_eq(element_compare(&a, &a, 0, 0, &err), STATUS_OK);
    ck_assert_int_ne(element_compare(&a, &b, 1, 1, &err), STATUS_OK);
    ck_assert_str_eq(err.text, "text 1 is 'b', not 'B'");
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        sixteen_bit_floats_are_exact,
        tolerance_is_absolute_plus_relative_to_the_wanted,
        nan_agrees_with_nan_and_infinity_with_itself_alone,
        dtype_and_shape_must_be_equal,
        texts_are_compared_byte_by_byte,
    };
    return suite_run("element", tests, ARRAY_COUNT(tests));
}
