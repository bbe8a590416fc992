/* test_text.c - near words, numbers, and UTF-8. */
#include "base/text.h"

#include "tests/unit/suite.h"

START_TEST(distance_counts_single_changes) {
    ck_assert_uint_eq(text_distance("", ""), 0);
    ck_assert_uint_eq(text_distance("", "abc"), 3);
    ck_assert_uint_eq(text_distance("abc", ""), 3);
    ck_assert_uint_eq(text_distance("threads", "thread"), 1);
    ck_assert_uint_eq(text_distance("threads", "thraeds"), 1); /* one swap */
    ck_assert_uint_eq(text_distance("kitten", "sitting"), 3);
}
END_TEST

START_TEST(distance_is_the_same_both_ways) {
    ck_assert_uint_eq(text_distance("linger_ms", "lnger_sm"),
                      text_distance("lnger_sm", "linger_ms"));
}
END_TEST

START_TEST(words_past_the_limit_are_near_to_nothing) {
    char word[TEXT_NEAREST_SIZE_MAX + 2];
    memset(word, 'a', sizeof(word) - 1);
    word[sizeof(word) - 1] = 0;
    ck_assert_uint_eq(text_distance(word, "a"), SIZE_MAX);
    word[TEXT_NEAREST_SIZE_MAX] = 0;
    ck_assert_uint_eq(text_distance(word, "a"), TEXT_NEAREST_SIZE_MAX - 1);
}
END_TEST

START_TEST(nearest_finds_what_was_meant_or_nothing) {
    static const char *const words[] = {"group", "threads", "window_jobs", "window_mb"};
    ck_assert_str_eq(text_nearest("treads", words, ARRAY_COUNT(words)), "threads");
    ck_assert_str_eq(text_nearest("windows_mb", words, ARRAY_COUNT(words)), "window_mb");
    ck_assert_ptr_null(text_nearest("colour", words, ARRAY_COUNT(words)));
    ck_assert_ptr_null(text_nearest("group", words, 0));
}
END_TEST

START_TEST(numbers_are_whole_and_fit) {
    static const char *const bad[] = {
        "", " 1", "1 ", "1.5", "0x1", "-", "+", "9223372036854775808", "1e3", "\t\n1"};
    int64_t out = 7;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        ck_assert_msg(!text_parse_int(bad[i], &out), "'%s' was read", bad[i]);
    }
    ck_assert_int_eq(out, 7);
    ck_assert(text_parse_int("-9223372036854775808", &out));
    ck_assert(out == INT64_MIN);
    ck_assert(text_parse_int("+0042", &out));
    ck_assert_int_eq(out, 42);
}
END_TEST

START_TEST(well_formed_utf8_is_taken) {
    ck_assert(text_is_utf8(""));
    ck_assert(text_is_utf8("plain"));
    ck_assert(text_is_utf8("\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80"));
    ck_assert(text_is_utf8("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"));
}
END_TEST

START_TEST(malformed_utf8_is_refused) {
    static const char *const bad[] = {
        "\x80",             /* a continuation byte alone */
        "\xc3",             /* cut */
        "\xe2\x82",         /* cut */
        "\xf0\x9f\x98",     /* cut */
        "\xc3(",            /* not continued */
        "\xc0\xaf",         /* overlong */
        "\xe0\x9f\xbf",     /* overlong */
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xed\xa0\x80",     /* a surrogate */
        "\xf4\x90\x80\x80", /* past U+10FFFF */
        "\xff",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        ck_assert_msg(!text_is_utf8(bad[i]), "case %zu was taken", i);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        distance_counts_single_changes,
        distance_is_the_same_both_ways,
        words_past_the_limit_are_near_to_nothing,
        nearest_finds_what_was_meant_or_nothing,
        numbers_are_whole_and_fit,
        well_formed_utf8_is_taken,
        malformed_utf8_is_refused,
    };
    return suite_run("text", tests, ARRAY_COUNT(tests));
}
