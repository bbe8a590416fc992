/* test_parts.c - the rows of one job, as they come back from the batches they were in. */
#include "batch/parts.h"

#include "tests/unit/suite.h"

static struct parts_pool pool;
static const float values[6] = {1, 2, 3, 4, 5, 6};

/* Rows whose output is `length` floats. */
static bool store(struct parts *parts, int first, int count, int64_t length) {
    const struct tensor output = {.dtype = DTYPE_F32,
                                  .rank = 1,
                                  .dims = {length},
                                  .data = (void *)(uintptr_t)values};
    const size_t stride = (size_t)length * sizeof values[0];
    const struct parts_rows rows = {.first = first,
                                    .count = count,
                                    .outputs = &output,
                                    .strides = &stride,
                                    .output_count = 1};
    return parts_store(parts, &rows);
}

static struct parts *take(int rows) {
    struct parts *parts = parts_take(&pool, rows);
    ck_assert_ptr_nonnull(parts);
    return parts;
}

START_TEST(rows_that_come_back_in_any_order_stand_in_their_own) {
    struct parts *parts;
    ck_assert(parts_pool_init(&pool));
    parts = take(3);
    ck_assert(!store(parts, 2, 1, 2));
    ck_assert(store(parts, 0, 2, 2));
    ck_assert_int_eq(parts->reason.status, STATUS_OK);
    ck_assert_int_eq(parts->outputs[0].dims[0], 3);
    ck_assert_mem_eq(parts->outputs[0].data, values, 4 * sizeof values[0]);
    ck_assert_mem_eq((const float *)parts->outputs[0].data + 4, values,
                     2 * sizeof values[0]);
    parts_give_back(parts);
    parts_pool_release(&pool);
}
END_TEST

START_TEST(rows_of_another_shape_fail_the_job_and_end_it) {
    struct parts *parts;
    ck_assert(parts_pool_init(&pool));
    parts = take(3);
    ck_assert(!store(parts, 0, 1, 2));
    ck_assert(store(parts, 1, 2, 3));
    ck_assert_int_eq(parts->reason.status, STATUS_POISON);
    ck_assert_ptr_nonnull(strstr(parts->reason.text, "another shape"));
    parts_give_back(parts);
    parts_pool_release(&pool);
}
END_TEST

START_TEST(outputs_beyond_the_limit_fail_the_job) {
    const int rows = (int)(PARTS_SIZE_MAX / (6 * sizeof values[0])) + 1;
    struct parts *parts;
    ck_assert(parts_pool_init(&pool));
    parts = take(rows);
    ck_assert(!store(parts, 0, 1, 6));
    ck_assert_int_eq(parts->reason.status, STATUS_POISON);
    ck_assert_ptr_nonnull(strstr(parts->reason.text, "send fewer rows"));
    ck_assert_uint_eq(parts->room, 0);
    parts_give_back(parts);
    parts_pool_release(&pool);
}
END_TEST

/* What is kept of the job before is memory alone. */
START_TEST(a_job_after_one_that_failed_begins_anew) {
    struct error err;
    struct parts *parts, *other;
    ck_assert(parts_pool_init(&pool));
    parts = take(2);
    (void)error_set(&err, STATUS_POISON, "bad");
    ck_assert(!store(parts, 0, 1, 2));
    ck_assert(parts_fail(parts, 1, 7, &err));
    parts_give_back(parts);
    ck_assert_ptr_eq(take(1), parts);
    ck_assert_int_eq(parts->reason.status, STATUS_OK);
    other = take(1);
    ck_assert_ptr_ne(other, parts); /* each job has its own */
    ck_assert(store(parts, 0, 1, 3));
    ck_assert_int_eq(parts->reason.status, STATUS_OK);
    ck_assert_int_eq(parts->outputs[0].dims[1], 3);
    parts_give_back(other);
    parts_give_back(parts);
    parts_pool_release(&pool);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        rows_that_come_back_in_any_order_stand_in_their_own,
        rows_of_another_shape_fail_the_job_and_end_it,
        outputs_beyond_the_limit_fail_the_job,
        a_job_after_one_that_failed_begins_anew,
    };
    return suite_run("parts", tests, ARRAY_COUNT(tests));
}
