/* test_work.c - what is left is told by what jobs have cost. */
#include "app/work.h"

#include "tests/unit/suite.h"

static struct work work;

static void add(struct job_cost *cost, int64_t jobs, int64_t us) {
    job_cost_update(cost, cost->last_jobs + jobs, cost->last_us + us);
}

static int64_t left_us(int64_t jobs, int threads) {
    const struct work_route route = {.jobs = jobs, .model = -1};
    return work_left_us(&work, &route, 1, threads);
}

START_TEST(the_slower_kind_of_thread_decides) {
    add(&work.intake, 100, 1000);
    add(&work.compute, 100, 6000);
    add(&work.encode, 100, 2000);
    ck_assert_int_eq(left_us(50, 1), 4000);
    ck_assert_int_eq(left_us(50, 4), 1000);
    ck_assert_int_eq(left_us(50, 16), 500); /* the intake's */
}
END_TEST

START_TEST(jobs_of_a_route_cost_what_those_of_its_model_do) {
    struct work_route routes[] = {{100, 0}, {0, 1}, {0, 2}, {0, -1}};
    add(&work.models[0], 1000, 2000);
    add(&work.models[1], 1, 1000);
    add(&work.compute, 1001, 3003);
    ck_assert_int_eq(work_left_us(&work, routes, 4, 1), 200);
    routes[1].jobs = 100;
    ck_assert_int_eq(work_left_us(&work, routes, 4, 1), 100200);
    routes[2].jobs = routes[3].jobs = 10; /* of a new model, of any: what the mean is */
    ck_assert_int_eq(work_left_us(&work, routes, 4, 1), 100260);
}
END_TEST

START_TEST(what_is_not_known_is_not_told) {
    const struct work_route routes[] = {{5, -1}, {-1, -1}};
    ck_assert_int_eq(left_us(0, 1), 0);
    ck_assert_int_eq(left_us(5, 1), -1);
    add(&work.compute, 10, 1000);
    ck_assert_int_eq(left_us(5, 1), 500);
    ck_assert_int_eq(work_left_us(&work, routes, 2, 1), -1);
    ck_assert_int_eq(left_us(INT64_MAX, 1), INT64_MAX / 2);
}
END_TEST

START_TEST(the_cost_follows_the_jobs_and_outlives_idle_times) {
    add(&work.compute, 100, 10000);
    for (int i = 0; i < 10000; i++) {
        add(&work.compute, 0, 0);
    }
    ck_assert_int_eq(left_us(10, 1), 1000);
    for (int i = 0; i < 1000; i++) {
        add(&work.compute, 100, 50000);
    }
    ck_assert_int_ge(left_us(10, 1), 4990);
    ck_assert_int_le(left_us(10, 1), 5010);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        the_slower_kind_of_thread_decides,
        jobs_of_a_route_cost_what_those_of_its_model_do,
        what_is_not_known_is_not_told,
        the_cost_follows_the_jobs_and_outlives_idle_times,
    };
    return suite_run("work", tests, ARRAY_COUNT(tests));
}
