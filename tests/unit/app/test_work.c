/* test_work.c - what is left is told by what jobs have cost. */
#include "app/work.h"

#include "tests/unit/suite.h"

static void step(struct work *work, int64_t jobs, int64_t intake_us, int64_t compute_us) {
    const struct work_figures now = {.jobs = work->last.jobs + jobs,
                                     .intake_us = work->last.intake_us + intake_us,
                                     .compute_us = work->last.compute_us + compute_us};
    work_update(work, &now);
}

START_TEST(the_slower_kind_of_thread_decides) {
    struct work work = {0};
    step(&work, 100, 1000, 8000);
    ck_assert_int_eq(work_left_us(&work, 50, 1), 4000);
    ck_assert_int_eq(work_left_us(&work, 50, 4), 1000);
    ck_assert_int_eq(work_left_us(&work, 50, 16), 500); /* the intake's */
}
END_TEST

START_TEST(what_is_not_known_is_not_told) {
    struct work work = {0};
    ck_assert_int_eq(work_left_us(&work, 0, 1), 0);
    ck_assert_int_eq(work_left_us(&work, 5, 1), -1);
    step(&work, 10, 0, 1000);
    ck_assert_int_eq(work_left_us(&work, -1, 1), -1);
    ck_assert_int_eq(work_left_us(&work, INT64_MAX, 1), INT64_MAX / 2);
}
END_TEST

START_TEST(the_cost_follows_the_jobs_and_outlives_idle_times) {
    struct work work = {0};
    step(&work, 100, 0, 10000);
    for (int i = 0; i < 10000; i++) {
        step(&work, 0, 0, 0);
    }
    ck_assert_int_eq(work_left_us(&work, 10, 1), 1000);
    for (int i = 0; i < 1000; i++) {
        step(&work, 100, 0, 50000);
    }
    ck_assert_int_ge(work_left_us(&work, 10, 1), 4990);
    ck_assert_int_le(work_left_us(&work, 10, 1), 5010);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        the_slower_kind_of_thread_decides,
        what_is_not_known_is_not_told,
        the_cost_follows_the_jobs_and_outlives_idle_times,
    };
    return suite_run("work", tests, ARRAY_COUNT(tests));
}
