/* test_cpu.c - the level found is one we have, and a test may lower it. */
#include "base/cpu.h"

#include "tests/unit/suite.h"

START_TEST(every_level_has_a_name) {
    for (int i = 0; i < CPU_LEVEL_COUNT; i++) {
        ck_assert_ptr_nonnull(cpu_level_name((enum cpu_level)i));
    }
}
END_TEST

START_TEST(the_variable_lowers_the_level) {
    ck_assert_int_eq(setenv("MILLRACE_CPU", "portable", 1), 0);
    ck_assert_int_eq(cpu_level(), CPU_PORTABLE);
}
END_TEST

START_TEST(the_variable_never_raises_the_level) {
    enum cpu_level best;
    ck_assert_int_eq(unsetenv("MILLRACE_CPU"), 0);
    best = cpu_level();
    ck_assert_int_eq(setenv("MILLRACE_CPU", "amx", 1), 0);
    ck_assert_int_eq(cpu_level(), best);
    ck_assert_int_eq(setenv("MILLRACE_CPU", "no-such-level", 1), 0);
    ck_assert_int_eq(cpu_level(), best);
}
END_TEST

/* 1e-40, which is denormal; made where the compiler cannot. */
static float tiny_product(void) {
    volatile float a = 1e-20F, b = 1e-20F;
    return a * b;
}

START_TEST(tiny_results_are_zero_for_as_long_as_asked) {
    const unsigned state = cpu_flush_tiny();
    const float within = tiny_product();
    cpu_restore(state);
#if defined(__x86_64__)
    ck_assert_float_eq(within, 0.0F);
#endif
    ck_assert_float_eq_tol(tiny_product() * 1e20F, 1e-20F, 1e-25F);
}
END_TEST

START_TEST(there_is_a_processor) {
    ck_assert_int_ge(cpu_count(), 1);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        every_level_has_a_name,
        the_variable_lowers_the_level,
        the_variable_never_raises_the_level,
        tiny_results_are_zero_for_as_long_as_asked,
        there_is_a_processor,
    };
    return suite_run("cpu", tests, ARRAY_COUNT(tests));
}
