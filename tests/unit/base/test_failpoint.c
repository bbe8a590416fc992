/* test_failpoint.c - a place fails when the variable says so, and at no other time. */
#include "base/failpoint.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/suite.h"

static void set(const char *value) {
    ck_assert_int_eq(setenv("MILLRACE_FAIL_POINT", value, 1), 0);
}

START_TEST(nothing_fails_without_the_variable) {
    ck_assert_int_eq(unsetenv("MILLRACE_FAIL_POINT"), 0);
    ck_assert(!failpoint_hit("a.place"));
    failpoint_die("a.place");
}
END_TEST

START_TEST(a_place_fails_once_at_the_time_named) {
    set("a.place:3");
    ck_assert(!failpoint_hit("a.place"));
    ck_assert(!failpoint_hit("a.place"));
    ck_assert(failpoint_hit("a.place"));
    ck_assert(!failpoint_hit("a.place"));
}
END_TEST

START_TEST(a_place_fails_every_so_many_times) {
    set("a.place/2");
    for (int i = 0; i < 3; i++) {
        ck_assert(!failpoint_hit("a.place"));
        ck_assert(failpoint_hit("a.place"));
    }
}
END_TEST

START_TEST(other_places_do_not_fail) {
    set("a.place");
    ck_assert(!failpoint_hit("a.place.more"));
    ck_assert(!failpoint_hit("a"));
    ck_assert(failpoint_hit("a.place"));
}
END_TEST

START_TEST(the_process_dies_at_its_place) {
    pid_t child = fork();
    int status;
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        set("a.place");
        failpoint_die("a.place");
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGKILL);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        nothing_fails_without_the_variable, a_place_fails_once_at_the_time_named,
        a_place_fails_every_so_many_times,  other_places_do_not_fail,
        the_process_dies_at_its_place,
    };
    return suite_run("failpoint", tests, ARRAY_COUNT(tests));
}
