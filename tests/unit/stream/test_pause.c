/* test_pause.c - what counts as a pause, and when it is over. */
#include "stream/pause.h"

#include "tests/unit/suite.h"

#define WALL_MS 1700000000000

static struct pause paused;
static const int64_t before_ms = WALL_MS - 5, after_ms = WALL_MS + 5, none_ms = -1;

/* Taken away at 1 s, given at 3 s. */
static void rebalance(void) {
    paused = (struct pause){0};
    pause_begin(&paused, 1000000);
    pause_assigned(&paused, 3000000, WALL_MS);
}

START_TEST(a_record_that_waited_ends_the_pause) {
    rebalance();
    ck_assert_int_eq(pause_end(&paused, 3500000, NULL), -1);
    ck_assert_int_eq(pause_end(&paused, 4500000, &before_ms), 3500000);
    ck_assert_int_eq(pause_end(&paused, 5000000, &before_ms), -1); /* counted once */
    rebalance();
    ck_assert_int_eq(pause_end(&paused, 4500000, &none_ms), 3500000);
}
END_TEST

START_TEST(a_record_made_later_was_not_waited_for) {
    rebalance();
    ck_assert_int_eq(pause_end(&paused, 9000000, &after_ms), 2000000);
}
END_TEST

START_TEST(where_nothing_comes_the_assignment_was_the_end) {
    rebalance();
    ck_assert_int_eq(pause_end(&paused, 3000000 + PAUSE_RECORD_WAIT_US, NULL), 2000000);
}
END_TEST

START_TEST(the_first_assignment_is_no_pause) {
    paused = (struct pause){0};
    pause_assigned(&paused, 3000000, WALL_MS);
    ck_assert_int_eq(pause_end(&paused, 4000000, &before_ms), -1);
}
END_TEST

START_TEST(what_is_taken_away_again_goes_on_pausing) {
    rebalance();
    pause_begin(&paused, 4000000);
    ck_assert_int_eq(pause_end(&paused, 4500000, &before_ms), -1);
    pause_assigned(&paused, 6000000, WALL_MS);
    ck_assert_int_eq(pause_end(&paused, 7000000, &before_ms), 6000000);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_record_that_waited_ends_the_pause,
        a_record_made_later_was_not_waited_for,
        where_nothing_comes_the_assignment_was_the_end,
        the_first_assignment_is_no_pause,
        what_is_taken_away_again_goes_on_pausing,
    };
    return suite_run("pause", tests, ARRAY_COUNT(tests));
}
