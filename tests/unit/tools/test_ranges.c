/* Sets of offsets: what is added is held, in as few ranges as can be. */
#include "tools/ranges.h"

#include <string.h>

#include "tests/unit/suite.h"

#define OFFSETS 200

static void add(struct ranges *ranges, int64_t offset) {
    struct error err;
    ck_assert_int_eq(ranges_add(ranges, offset, &err), STATUS_OK);
}

static const char *text_of(const struct ranges *ranges) {
    static char text[RANGES_TEXT_MAX];
    struct error err;
    ck_assert_int_eq(ranges_print(ranges, text, sizeof(text), &err), STATUS_OK);
    return text;
}

START_TEST(neighbours_join_into_one_range) {
    struct ranges ranges = {.count = 0};
    add(&ranges, 5);
    add(&ranges, 7);
    ck_assert_str_eq(text_of(&ranges), "5,7");
    add(&ranges, 6);
    ck_assert_str_eq(text_of(&ranges), "5-7");
    add(&ranges, 6);
    add(&ranges, 4);
    add(&ranges, 0);
    add(&ranges, 8);
    ck_assert_str_eq(text_of(&ranges), "0,4-8");
}
END_TEST

/* In any order, against an array of flags, and through its text. */
START_TEST(a_set_holds_what_was_added_and_nothing_else) {
    struct ranges ranges = {.count = 0}, read;
    bool added[OFFSETS] = {false};
    unsigned random = 1;
    struct error err;
    for (int n = 0; n < 150; n++) {
        const char *text;
        random = random * 1103515245 + 12345;
        added[(random >> 8) % OFFSETS] = true;
        add(&ranges, (random >> 8) % OFFSETS);
        text = text_of(&ranges);
        ck_assert_int_eq(ranges_parse(text, strlen(text), &read, &err), STATUS_OK);
        for (int i = 0; i < OFFSETS; i++) {
            ck_assert_int_eq(ranges_hold(&ranges, i), added[i]);
            ck_assert_int_eq(ranges_hold(&read, i), added[i]);
        }
        for (int i = 1; i < ranges.count; i++) {
            ck_assert_int_gt(ranges.items[i].first, ranges.items[i - 1].last + 1);
        }
    }
}
END_TEST

START_TEST(a_text_that_is_no_set_is_refused) {
    static const char *const bad[] = {
        "x",
        "-1",
        "1-",
        "2-1",
        "1,",
        "1,,2",
        ",1",
        "3,1",
        "1,2",
        "1-5,5",
        "1-5,6",
        "1-2-3",
        "1 2",
        "99999999999999999999",
        "1;2",
        "0x10",
        "1-9223372036854775807",
    };
    struct ranges ranges;
    struct error err;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        ck_assert_msg(ranges_parse(bad[i], strlen(bad[i]), &ranges, &err) ==
                          STATUS_INVALID,
                      "'%s' was taken", bad[i]);
    }
    ck_assert_int_eq(ranges_parse("", 0, &ranges, &err), STATUS_OK);
    ck_assert_int_eq(ranges.count, 0);
}
END_TEST

START_TEST(a_set_has_its_limits) {
    struct ranges ranges = {.count = 0};
    char small[8];
    struct error err;
    for (int i = 0; i < RANGES_MAX; i++) {
        add(&ranges, 2 * (int64_t)i);
    }
    ck_assert_int_eq(ranges_add(&ranges, 10000, &err), STATUS_NO_MEMORY);
    ck_assert(!ranges_hold(&ranges, 10000));
    ck_assert_int_eq(ranges_print(&ranges, small, sizeof(small), &err), STATUS_NO_MEMORY);
    add(&ranges, 1); /* fills a gap */
    ck_assert_int_eq(ranges.count, RANGES_MAX - 1);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        neighbours_join_into_one_range,
        a_set_holds_what_was_added_and_nothing_else,
        a_text_that_is_no_set_is_refused,
        a_set_has_its_limits,
    };
    return suite_run("ranges", tests, ARRAY_COUNT(tests));
}
