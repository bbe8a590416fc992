/* test_commands.c - every command's table of flags is sound, and its help tells it. */
#include "tools/commands.h"

#include <unistd.h>

#include "tests/unit/suite.h"
#include "tools/cli.h"

static const struct cli_entry commands[] = {
    {"worker", "", worker_command},
    {"submit", "", submit_command},
    {"collect", "", collect_command},
    {"schema", "", schema_command},
    {"topics", "", topics_command},
    {"broker", "", broker_command},
    {"model", "", model_command},
    {"model inspect", "", model_inspect_command},
    {"model run", "", model_run_command},
    {"model test", "", model_test_command},
    {"model bench", "", model_bench_command},
};

static char output[1 << 14];

/* Runs the command with one argument; what it writes to `fd` goes to `output`. */
static int run(const struct cli_entry *entry, const char *argument, int fd) {
    char name[32], given[32];
    char *argv[] = {name, given, NULL};
    FILE *to = tmpfile();
    int code;
    (void)snprintf(name, sizeof(name), "%s", entry->name);
    (void)snprintf(given, sizeof(given), "%s", argument);
    ck_assert_ptr_nonnull(to);
    ck_assert_int_ge(fflush(NULL), 0);
    ck_assert_int_eq(dup2(fileno(to), fd), fd);
    code = entry->run(2, argv); /* asserts that the table is sound */
    ck_assert_int_ge(fflush(NULL), 0);
    rewind(to);
    output[fread(output, 1, sizeof(output) - 1, to)] = 0;
    return code;
}

/* The loop runs each in a process of its own. */
START_TEST(help_tells_how_each_command_is_used) {
    const struct cli_entry *entry = &commands[_i];
    char usage[64];
    (void)snprintf(usage, sizeof(usage), "usage: millrace %s ", entry->name);
    ck_assert_int_eq(run(entry, "--help", STDOUT_FILENO), EXIT_FINE);
    ck_assert_msg(strncmp(output, usage, strlen(usage)) == 0, "%s", output);
    ck_assert_ptr_nonnull(strstr(output, "--help"));
}
END_TEST

START_TEST(what_a_command_does_not_know_is_wrong_use) {
    const struct cli_entry *entry = &commands[_i];
    ck_assert_int_eq(run(entry, "--flog", STDERR_FILENO), EXIT_WRONG_USE);
    ck_assert_msg(strstr(output, "--flog") != NULL, "%s", output);
    ck_assert_ptr_nonnull(strstr(output, "help'"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("commands");
    TCase *all = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;
    tcase_add_loop_test(all, help_tells_how_each_command_is_used, 0,
                        (int)ARRAY_COUNT(commands));
    tcase_add_loop_test(all, what_a_command_does_not_know_is_wrong_use, 0,
                        (int)ARRAY_COUNT(commands));
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
