/* suite.h - runs the tests of one file as one suite, each in a process of its own. */
#ifndef MILLRACE_TESTS_UNIT_SUITE_H
#define MILLRACE_TESTS_UNIT_SUITE_H

#include <check.h>
#include <stddef.h>

#include "base/compiler.h"

/* Returns what main returns: 0 if all passed.  set_up and tear_down run around each test,
 * in its process; either may be NULL. */
static inline int suite_run_with(const char *name, const TTest *const *tests,
                                 size_t count, void (*set_up)(void),
                                 void (*tear_down)(void)) {
    Suite *suite = suite_create(name);
    TCase *group = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;
    tcase_set_timeout(group, 300); /* ends what hangs; sanitizers are slow */
    tcase_add_checked_fixture(group, set_up, tear_down);
    for (size_t i = 0; i < count; i++) {
        tcase_add_test(group, tests[i]);
    }
    suite_add_tcase(suite, group);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

static inline int suite_run(const char *name, const TTest *const *tests, size_t count) {
    return suite_run_with(name, tests, count, NULL, NULL);
}

#endif
