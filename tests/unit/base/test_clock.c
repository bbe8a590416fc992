/* The steady clock tells the time of day and never jumps: `make faults FAULTS="--faults
 * clock_jump"` moves the wall clock under it. */
#include "base/clock.h"

#include "tests/unit/suite.h"

START_TEST(the_steady_clock_is_the_wall_clock_as_it_was_at_the_first_look) {
    int64_t before_ms = clock_wall_ms(), steady_ms = clock_steady_ms();
    ck_assert_int_ge(steady_ms, before_ms - 1);
    ck_assert_int_le(steady_ms, clock_wall_ms() + 1);
}
END_TEST

START_TEST(the_steady_clock_goes_with_the_monotonic_one) {
    int64_t apart_ms = clock_steady_ms() - clock_now_us() / 1000;
    int64_t until_us = clock_now_us() + 20000;
    while (clock_now_us() < until_us) {
        int64_t now_ms = clock_steady_ms() - clock_now_us() / 1000;
        ck_assert_int_ge(now_ms, apart_ms - 1000); /* a busy machine may come between */
        ck_assert_int_le(now_ms, apart_ms + 1000);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        the_steady_clock_is_the_wall_clock_as_it_was_at_the_first_look,
        the_steady_clock_goes_with_the_monotonic_one,
    };
    return suite_run("clock", tests, ARRAY_COUNT(tests));
}
