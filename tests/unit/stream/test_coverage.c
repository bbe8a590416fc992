/* test_coverage.c - what a member's assignment says of the partitions that it holds. */
#include "stream/coverage.h"

#include "tests/unit/suite.h"

/* Version 1: "in" with partitions 0 and 3, "in.retry" with 1, no user data. */
static const uint8_t assignment[] = {
    0,   1,   0,   0,   0,   2,                                               /**/
    0,   2,   'i', 'n', 0,   0,   0,   2,   0,   0,   0, 0, 0, 0, 0, 3,       /**/
    0,   8,   'i', 'n', '.', 'r', 'e', 't', 'r', 'y', 0, 0, 0, 1, 0, 0, 0, 1, /**/
    255, 255, 255, 255,
};
#define TOPICS_END (sizeof assignment - 4)

START_TEST(partitions_are_counted_by_topic) {
    ck_assert_int_eq(coverage_count(assignment, sizeof assignment, "in"), 2);
    ck_assert_int_eq(coverage_count(assignment, sizeof assignment, "in.retry"), 1);
    ck_assert_int_eq(coverage_count(assignment, sizeof assignment, "i"), 0);
    ck_assert_int_eq(coverage_count(assignment, sizeof assignment, "out"), 0);
    ck_assert_int_eq(coverage_count(NULL, 0, "in"), 0);
}
END_TEST

START_TEST(what_is_cut_off_says_nothing) {
    static const char *const topics[] = {"out", "in", "in.retry"};
    for (size_t size = 1; size < TOPICS_END; size++) {
        uint8_t *cut = malloc(size); /* of its size, for sanitizers */
        ck_assert_ptr_nonnull(cut);
        memcpy(cut, assignment, size);
        for (size_t i = 0; i < ARRAY_COUNT(topics); i++) {
            ck_assert_int_eq(coverage_count(cut, size, topics[i]), -1);
        }
        free(cut);
    }
}
END_TEST

START_TEST(lengths_below_zero_say_nothing) {
    uint8_t bytes[sizeof assignment];

    for (size_t at = 6; at < TOPICS_END; at++) {
        memcpy(bytes, assignment, sizeof bytes);
        bytes[at] = 255;
        ck_assert_int_ge(coverage_count(bytes, sizeof bytes, "in"), -1);
    }
    memcpy(bytes, assignment, sizeof bytes);
    bytes[6] = 255;
    ck_assert_int_eq(coverage_count(bytes, sizeof bytes, "in"), -1);
    memcpy(bytes, assignment, sizeof bytes);
    bytes[10] = 255;
    ck_assert_int_eq(coverage_count(bytes, sizeof bytes, "in"), -1);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        partitions_are_counted_by_topic,
        what_is_cut_off_says_nothing,
        lengths_below_zero_say_nothing,
    };
    return suite_run("coverage", tests, ARRAY_COUNT(tests));
}
