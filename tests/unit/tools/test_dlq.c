/* Times on the command line. */
#include "tools/dlq.h"

#include "tests/unit/suite.h"

START_TEST(times_are_read_as_utc) {
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"0", 0},
        {"1700000000000", 1700000000000},
        {"1970-01-01", 0},
        {"1970-01-02T00:00", 86400000},
        {"2000-02-29", 951782400000},
        {"2026-01-31T23:59", 1769903940000},
        {"2026-01-31T23:59:58Z", 1769903998000},
        {"2026-01-31T23:59:58.007Z", 1769903998007},
        {"2100-03-01", 4107542400000},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        int64_t ms;
        ck_assert_msg(dlq_time(cases[i].text, &ms), "'%s'", cases[i].text);
        ck_assert_int_eq(ms, cases[i].ms);
    }
}
END_TEST

START_TEST(what_is_shown_is_read_again) {
    static const int64_t times[] = {0, 7, 951782400000, 1769903998999, 4107542400000};
    char text[DLQ_TIME_TEXT_MAX];
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        int64_t ms;
        dlq_time_text(times[i], text, sizeof(text));
        ck_assert_msg(dlq_time(text, &ms), "'%s'", text);
        ck_assert_int_eq(ms, times[i]);
    }
    dlq_time_text(1769903998007, text, sizeof(text));
    ck_assert_str_eq(text, "2026-01-31T23:59:58.007Z");
    dlq_time_text(-1, text, sizeof(text));
    ck_assert_str_eq(text, "-");
}
END_TEST

START_TEST(what_is_no_time_is_refused) {
    static const char *const bad[] = {
        "",
        "now",
        "2026-13-01",
        "2026-01-32",
        "2026-1-1",
        "2026-01-31T",
        "1969-12-31",
        "2026-01-31T24:00",
        "2026-01-31T1:00",
        "2026-01-31T23:59:5",
        "2026-01-31T23:59:58.7",
        "2026-01-31 23:59",
        "2026-01-31Zx",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        int64_t ms;
        ck_assert_msg(!dlq_time(bad[i], &ms), "'%s' was taken", bad[i]);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {times_are_read_as_utc, what_is_shown_is_read_again,
                                  what_is_no_time_is_refused};
    return suite_run("dlq", tests, ARRAY_COUNT(tests));
}
