/* test_expect.c - ids, duplicates, accuracy and latencies of answers. */
#include "tools/expect.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/suite.h"

static struct result answer(int64_t job_ms) {
    return (struct result){
        .model = span_text("digits"), .job_timestamp_ms = job_ms, .batch_size = 4};
}

static struct tensor floats(float *data, int64_t count) {
    return (struct tensor){.dtype = DTYPE_F32, .rank = 1, .dims = {count}, .data = data};
}

/* An expectation of `count` ids with these labels. */
static struct expect with_labels(int64_t count, const struct tensor *labels) {
    char path[] = "/tmp/millrace-labels-XXXXXX";
    struct expect expect;
    struct error err;
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(npy_write(path, labels, &err), STATUS_OK);
    ck_assert_int_eq(expect_make(span_text("d-"), 0, count, path, &expect, &err),
                     STATUS_OK);
    close(fd);
    unlink(path);
    return expect;
}

START_TEST(an_id_is_prefix_and_number_within_the_count) {
    struct expect expect;
    struct error err;
    ck_assert_int_eq(expect_parse("d-=100", &expect, &err), STATUS_OK);
    ck_assert_int_eq(expect_number(&expect, span_text("d-000007")), 7);
    ck_assert_int_eq(expect_number(&expect, span_text("d-000099")), 99);
    ck_assert_int_eq(expect_number(&expect, span_text("d-000100")), -1);
    ck_assert_int_eq(expect_number(&expect, span_text("d-")), -1);
    ck_assert_int_eq(expect_number(&expect, span_text("d-7x")), -1);
    ck_assert_int_eq(expect_number(&expect, span_text("e-000007")), -1);
    ck_assert_int_eq(expect_number(&expect, span_text("d-99999999999999999999999")), -1);
    expect_release(&expect);
}
END_TEST

START_TEST(an_expectation_that_is_not_one_is_refused) {
    static const char *const wrong[] = {"",
                                        "d-",
                                        "d-=",
                                        "d-=x",
                                        "d-=-1",
                                        "d-=0",
                                        "d-=1:",
                                        "d-=1:/not/there.npy",
                                        "d-=99999999999999999999"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct expect expect;
        struct error err;
        ck_assert_msg(expect_parse(wrong[i], &expect, &err) != STATUS_OK, "%s", wrong[i]);
        expect_release(&expect);
    }
}
END_TEST

START_TEST(a_second_answer_is_a_duplicate_and_changes_nothing_else) {
    struct expect expect;
    struct error err;
    struct result result = answer(1000);
    ck_assert_int_eq(expect_parse("d-=2", &expect, &err), STATUS_OK);
    expect_answer(&expect, 1, &result, 1010, NULL);
    expect_answer(&expect, 1, &result, 9999, NULL);
    ck_assert_int_eq(expect.answered, 1);
    ck_assert_int_eq(expect.duplicates, 1);
    ck_assert_int_eq(expect.last_ms, 1010);
    ck_assert_str_eq(expect.model, "digits");
    expect_release(&expect);
}
END_TEST

START_TEST(several_values_are_judged_by_the_largest) {
    int64_t classes[] = {2, 0};
    float second[] = {0.1f, 0.2f, 0.7f};
    struct tensor labels = {.dtype = DTYPE_I64, .rank = 1, .dims = {2}, .data = classes};
    struct tensor y = floats(second, 3);
    struct expect expect = with_labels(4, &labels);
    struct result result = answer(1);
    for (int64_t i = 0; i < 4; i++) { /* rows 0, 1, 0, 1 */
        expect_answer(&expect, i, &result, 2, &y);
    }
    ck_assert_int_eq(expect.judged, 4);
    ck_assert_int_eq(expect.right, 2);
    expect_release(&expect);
}
END_TEST

START_TEST(a_single_value_is_judged_against_a_half) {
    int64_t classes[] = {1, 0};
    float likely[] = {0.9f}, unlikely[] = {0.2f};
    struct tensor labels = {.dtype = DTYPE_I64, .rank = 1, .dims = {2}, .data = classes};
    struct tensor yes = floats(likely, 1), no = floats(unlikely, 1);
    struct expect expect = with_labels(3, &labels);
    struct result result = answer(1);
    expect_answer(&expect, 0, &result, 2, &yes);
    expect_answer(&expect, 1, &result, 2, &no);
    expect_answer(&expect, 2, &result, 2, &no);
    ck_assert_int_eq(expect.judged, 3);
    ck_assert_int_eq(expect.right, 2);
    expect_release(&expect);
}
END_TEST

START_TEST(steps_are_judged_one_by_one_and_minus_one_is_not) {
    int64_t steps[] = {1, 0, -1, -1};
    float values[] = {0.9f, 0.8f, 0.9f, 0.1f};
    struct tensor labels = {.dtype = DTYPE_I64, .rank = 2, .dims = {1, 4}, .data = steps};
    struct tensor y = {.dtype = DTYPE_F32, .rank = 2, .dims = {4, 1}, .data = values};
    struct expect expect = with_labels(1, &labels);
    struct result result = answer(1);
    expect_answer(&expect, 0, &result, 2, &y);
    ck_assert_int_eq(expect.judged, 2);
    ck_assert_int_eq(expect.right, 1);
    expect_release(&expect);
}
END_TEST

START_TEST(an_answer_that_does_not_fit_its_labels_is_wrong) {
    int64_t steps[] = {1, 0, 1, 1};
    float values[] = {0.9f};
    struct tensor labels = {.dtype = DTYPE_I64, .rank = 2, .dims = {1, 4}, .data = steps};
    struct tensor y = floats(values, 1);
    struct expect expect = with_labels(2, &labels);
    struct result result = answer(1);
    expect_answer(&expect, 0, &result, 2, &y);
    expect_answer(&expect, 1, &result, 2, NULL);
    ck_assert_int_eq(expect.judged, 8);
    ck_assert_int_eq(expect.right, 0);
    expect_release(&expect);
}
END_TEST

START_TEST(latencies_and_rate_follow_the_timestamps) {
    struct expect expect;
    struct error err;
    ck_assert_int_eq(expect_parse("d-=100", &expect, &err), STATUS_OK);
    ck_assert_int_eq(expect_latency_ms(&expect, 0.5), -1);
    for (int64_t i = 0; i < 100; i++) {
        struct result result = answer(1000 + i);
        expect_answer(&expect, i, &result, 1000 + i + 100 - i, NULL); /* 100 .. 1 ms */
    }
    ck_assert_int_eq(expect_latency_ms(&expect, 0.50), 50);
    ck_assert_int_eq(expect_latency_ms(&expect, 0.99), 99);
    ck_assert_int_eq(expect_latency_ms(&expect, 1.00), 100);
    ck_assert_double_eq_tol(expect_rate(&expect), 1000.0, 1e-9); /* 100 in 100 ms */
    expect_release(&expect);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        an_id_is_prefix_and_number_within_the_count,
        an_expectation_that_is_not_one_is_refused,
        a_second_answer_is_a_duplicate_and_changes_nothing_else,
        several_values_are_judged_by_the_largest,
        a_single_value_is_judged_against_a_half,
        steps_are_judged_one_by_one_and_minus_one_is_not,
        an_answer_that_does_not_fit_its_labels_is_wrong,
        latencies_and_rate_follow_the_timestamps,
    };
    return suite_run("expect", tests, ARRAY_COUNT(tests));
}
