/* test_batching.c - rows that depend on their batch are found, and no others. */
#include "tools/model_batching.h"

#include <math.h>

#include "tests/unit/suite.h"

#define ROWS 3

static enum status check(const char *path, const struct tensor *x, double tolerance,
                         struct error *err) {
    struct model *model;
    struct session *session;
    enum status status;
    ck_assert_int_eq(model_open(path, &model, err), STATUS_OK);
    ck_assert_int_eq(session_create(model, 0, &session, err), STATUS_OK);
    status = batching_check(model, session, x, tolerance, err);
    session_destroy(session);
    model_close(model);
    return status;
}

static struct tensor pairs(float *data, int64_t rows) {
    return (struct tensor){
        .dtype = DTYPE_F32, .rank = 2, .dims = {rows, 2}, .data = data};
}

START_TEST(rows_that_know_each_other_are_found) {
    float values[] = {0.0f, 1.0f, 2.0f, 4.0f, 8.0f, 16.0f};
    struct tensor x = pairs(values, ROWS);
    struct error err;
    ck_assert_int_eq(check("tests/data/models/mixing.onnx", &x, 1e-6, &err),
                     STATUS_INVALID);
    ck_assert_msg(strstr(err.text, "row ") != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, "'y'") != NULL, "%s", err.text);
}
END_TEST

START_TEST(rows_that_do_not_pass_and_a_nan_is_equal_to_itself) {
    float values[] = {0.0f, 1.0f, NAN, 4.0f, -8.0f, INFINITY};
    struct tensor x = pairs(values, ROWS);
    struct error err;
    ck_assert_int_eq(check("tests/data/models/twofold.onnx", &x, 0.0, &err), STATUS_OK);
}
END_TEST

START_TEST(a_model_without_batches_passes) {
    float values[8] = {0.0f};
    struct tensor x = pairs(values, 4);
    struct error err;
    ck_assert_int_eq(check("tests/data/models/fixed.onnx", &x, 0.0, &err), STATUS_OK);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        rows_that_know_each_other_are_found,
        rows_that_do_not_pass_and_a_nan_is_equal_to_itself,
        a_model_without_batches_passes,
    };
    return suite_run("batching", tests, ARRAY_COUNT(tests));
}
