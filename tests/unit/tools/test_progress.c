/* test_progress.c - when progress is shown, and what it says. */
#include "tools/progress.h"

#include "base/compiler.h"
#include "tests/unit/suite.h"

#define SECOND INT64_C(1000000)

START_TEST(nothing_is_due_in_the_first_two_seconds) {
    struct progress progress = {.started_us = 5 * SECOND};
    ck_assert(!progress_due(&progress, 7 * SECOND - 1));
    ck_assert(progress_due(&progress, 7 * SECOND));
}
END_TEST

START_TEST(a_log_gets_a_line_every_few_seconds_and_a_terminal_more) {
    struct progress log = {.started_us = 0, .shown_us = 10 * SECOND};
    struct progress terminal = {
        .started_us = 0, .shown_us = 10 * SECOND, .terminal = true};
    ck_assert(!progress_due(&log, 14 * SECOND));
    ck_assert(progress_due(&log, 15 * SECOND));
    ck_assert(progress_due(&terminal, 10 * SECOND + SECOND / 5));
}
END_TEST

START_TEST(the_line_tells_share_rate_and_time_left) {
    struct progress progress = {.label = "submit", .unit = "jobs", .total = 400};
    char text[PROGRESS_TEXT_MAX];
    progress_text(&progress, 100, 10 * SECOND, text);
    ck_assert_ptr_nonnull(strstr(text, " 25 %"));
    ck_assert_ptr_nonnull(strstr(text, "100/400 jobs"));
    ck_assert_ptr_nonnull(strstr(text, "10/s"));
    ck_assert_ptr_nonnull(strstr(text, "30 s left"));
}
END_TEST

START_TEST(work_of_unknown_size_or_past_its_end_still_has_a_line) {
    struct progress unknown = {.label = "read", .unit = "rows"};
    struct progress past = {.label = "read", .unit = "rows", .total = 10};
    char text[PROGRESS_TEXT_MAX];
    progress_text(&unknown, 50, 10 * SECOND, text);
    ck_assert_str_eq(text, "read: 50 rows, 5/s");
    progress_text(&past, 20, 10 * SECOND, text);
    ck_assert_ptr_nonnull(strstr(text, "100 %"));
    ck_assert_ptr_null(strchr(text, '-'));
    progress_text(&past, 0, 0, text);
    ck_assert_ptr_nonnull(strstr(text, "? left"));
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        nothing_is_due_in_the_first_two_seconds,
        a_log_gets_a_line_every_few_seconds_and_a_terminal_more,
        the_line_tells_share_rate_and_time_left,
        work_of_unknown_size_or_past_its_end_still_has_a_line,
    };
    return suite_run("progress", tests, ARRAY_COUNT(tests));
}
