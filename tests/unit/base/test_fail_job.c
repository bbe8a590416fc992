/* Failures on purpose hit what they name, and nothing without the variable. */
#include "base/fail_job.h"

#include <stdlib.h>

#include "tests/unit/suite.h"

static bool hits(enum fail_job point, const char *key, int attempt) {
    return fail_job_hits(point, span_text(key), attempt);
}

START_TEST(without_the_variable_nothing_fails) {
    (void)unsetenv("MILLRACE_FAIL_JOB");
    ck_assert_ptr_null(fail_job_load());
    ck_assert(!fail_job_is_set());
    ck_assert(!hits(FAIL_NO_MEMORY, "", 1));
    ck_assert(!hits(FAIL_CRASH, "a", 1));
}
END_TEST

START_TEST(a_point_hits_its_key_as_often_as_it_says) {
    (void)setenv("MILLRACE_FAIL_JOB", "no_memory:a:2", 1);
    ck_assert_str_eq(fail_job_load(), "no_memory:a:2");
    ck_assert(hits(FAIL_NO_MEMORY, "a", 1));
    ck_assert(hits(FAIL_NO_MEMORY, "a", 2));
    ck_assert(!hits(FAIL_NO_MEMORY, "a", 3));
    ck_assert(!hits(FAIL_NO_MEMORY, "b", 1));
    ck_assert(!hits(FAIL_CRASH, "a", 1));
    (void)setenv("MILLRACE_FAIL_JOB", "crash:a", 1);
    ck_assert_str_eq(fail_job_load(), "crash:a");
    ck_assert(hits(FAIL_CRASH, "a", 1000));
    (void)setenv("MILLRACE_FAIL_JOB", "crash:*", 1);
    ck_assert_str_eq(fail_job_load(), "crash:*");
    ck_assert(hits(FAIL_CRASH, "any", 1));
    ck_assert(!hits(FAIL_SLOW, "any", 1));
    (void)setenv("MILLRACE_FAIL_JOB", "slow:a", 1);
    ck_assert_str_eq(fail_job_load(), "slow:a");
    ck_assert(hits(FAIL_SLOW, "a", 1));
    ck_assert(!hits(FAIL_CRASH, "a", 1));
}
END_TEST

START_TEST(a_text_that_is_not_understood_does_nothing) {
    static const char *const bad[] = {"", "crash", "flood:a", "crash:a:x", "crash:a:"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        (void)setenv("MILLRACE_FAIL_JOB", bad[i], 1);
        ck_assert_str_eq(fail_job_load(), "");
        ck_assert(!fail_job_is_set());
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        without_the_variable_nothing_fails,
        a_point_hits_its_key_as_often_as_it_says,
        a_text_that_is_not_understood_does_nothing,
    };
    return suite_run("fail_job", tests, ARRAY_COUNT(tests));
}
