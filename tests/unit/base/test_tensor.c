/* test_tensor.c - element types and shapes. */
#include "base/tensor.h"

#include "tests/unit/suite.h"

START_TEST(every_dtype_is_found_by_its_name) {
    size_t known = 0;
    for (int i = DTYPE_NONE + 1; i < DTYPE_PLAIN_COUNT; i++) {
        const char *name = dtype_name((enum dtype)i);
        if (strcmp(name, "none") == 0) {
            ck_assert_uint_eq(dtype_size((enum dtype)i), 0); /* a gap of ONNX's */
            continue;
        }
        ck_assert_int_eq(dtype_parse(span_text(name)), i);
        ck_assert_uint_gt(dtype_size((enum dtype)i), 0);
        known++;
    }
    ck_assert_uint_eq(known, 14);
}
END_TEST

START_TEST(other_names_are_no_dtype) {
    ck_assert_int_eq(dtype_parse(span_text("")), DTYPE_NONE);
    ck_assert_int_eq(dtype_parse(span_text("none")), DTYPE_NONE);
    ck_assert_int_eq(dtype_parse(span_text("float")), DTYPE_NONE);
    ck_assert_int_eq(dtype_parse(span_text("float32 ")), DTYPE_NONE);
    ck_assert_int_eq(dtype_parse(span_of("float32", 5)), DTYPE_NONE);
}
END_TEST

START_TEST(a_scalar_has_one_element_and_an_empty_tensor_none) {
    const int64_t dims[] = {3, 0, INT64_MAX};
    size_t count = 9;
    ck_assert(tensor_dims_count(NULL, 0, &count));
    ck_assert_uint_eq(count, 1);
    ck_assert(tensor_dims_count(dims, 2, &count));
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(free_and_overflowing_dimensions_have_no_count) {
    const int64_t open[] = {-1, 4};
    const int64_t huge[] = {INT64_MAX, 4};
    const int64_t endless[] = {(int64_t)1 << 29, 0}; /* to loop over, for nothing */
    size_t count = 9;
    ck_assert(!tensor_dims_count(open, 2, &count));
    ck_assert(!tensor_dims_count(huge, 2, &count));
    ck_assert(!tensor_dims_count(endless, 2, &count));
    ck_assert_uint_eq(count, 9);
}
END_TEST

START_TEST(size_is_count_times_element) {
    struct tensor x = {.dtype = DTYPE_F64, .rank = 2, .dims = {3, 5}};
    ck_assert_uint_eq(tensor_count(&x), 15);
    ck_assert_uint_eq(tensor_size(&x), 120);
    x.dtype = DTYPE_STRING;
    ck_assert_uint_eq(tensor_size(&x), 15 * sizeof(struct span));
}
END_TEST

START_TEST(shapes_are_written_for_people) {
    const int64_t dims[] = {-1, 28, 28, 1};
    const int64_t large[TENSOR_RANK_MAX] = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX,
                                            INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX};
    char text[TENSOR_SHAPE_TEXT_MAX];
    ck_assert_str_eq(tensor_shape_text(dims, 4, text, sizeof(text)), "[?,28,28,1]");
    ck_assert_str_eq(tensor_shape_text(dims, 0, text, sizeof(text)), "[]");
    ck_assert_uint_lt(
        strlen(tensor_shape_text(large, TENSOR_RANK_MAX, text, sizeof(text))),
        sizeof(text));
    ck_assert_str_eq(tensor_shape_text(dims, 4, text, 3), "[]");
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        every_dtype_is_found_by_its_name,
        other_names_are_no_dtype,
        a_scalar_has_one_element_and_an_empty_tensor_none,
        free_and_overflowing_dimensions_have_no_count,
        size_is_count_times_element,
        shapes_are_written_for_people,
    };
    return suite_run("tensor", tests, ARRAY_COUNT(tests));
}
