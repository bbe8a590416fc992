/* test_commands.c - every command's table of flags is sound, and its help tells it. */
#include "tools/commands.h"

#include <assert.h>
#include <unistd.h>

#include "tests/unit/suite.h"

#define COMMANDS_MAX 64
static const struct cli_command *all_commands[COMMANDS_MAX];
static int command_count;

static void gather(void *opaque, const struct cli_command *command) {
    (void)opaque;
    assert(command_count < COMMANDS_MAX);
    all_commands[command_count++] = command;
}

static char output[1 << 14];

/* Runs the command with one argument; what it writes to `fd` goes to `output`. */
static int run(const struct cli_command *command, const char *argument, int fd) {
    char name[32], given[32];
    char *argv[] = {name, given, NULL};
    FILE *to = tmpfile();
    int code;
    (void)snprintf(name, sizeof(name), "%s", command->name);
    (void)snprintf(given, sizeof(given), "%s", argument);
    ck_assert_ptr_nonnull(to);
    ck_assert_int_ge(fflush(NULL), 0);
    ck_assert_int_eq(dup2(fileno(to), fd), fd);
    code = command->run(2, argv); /* asserts that the table is sound */
    ck_assert_int_ge(fflush(NULL), 0);
    rewind(to);
    output[fread(output, 1, sizeof(output) - 1, to)] = 0;
    return code;
}

static void is_told(void *opaque, const struct cli_ending *ending) {
    char line[256];
    (void)opaque;
    (void)snprintf(line, sizeof(line), "\n  %-2d  %s\n", ending->code, ending->when);
    ck_assert_msg(strstr(output, line) != NULL, "%s%s", output, line);
}

/* The loop runs each in a process of its own. */
START_TEST(help_tells_how_each_command_is_used) {
    const struct cli_command *command = all_commands[_i];
    char usage[64];
    (void)snprintf(usage, sizeof(usage), "usage: millrace %s", command->name);
    ck_assert_int_eq(run(command, "--help", STDOUT_FILENO), EXIT_FINE);
    ck_assert_msg(strncmp(output, usage, strlen(usage)) == 0, "%s", output);
    ck_assert_ptr_nonnull(strstr(output, "--help"));
    cli_each_ending(command, is_told, NULL);
}
END_TEST

START_TEST(exit_codes_rise_and_stand_once) {
    const struct cli_ending *endings = all_commands[_i]->endings;
    for (int i = 0; i < CLI_ENDINGS_MAX && endings[i].when != NULL; i++) {
        ck_assert(i == 0 || endings[i - 1].code < endings[i].code);
    }
    ck_assert_ptr_null(endings[CLI_ENDINGS_MAX].when);
}
END_TEST

START_TEST(what_a_command_does_not_know_is_wrong_use) {
    const struct cli_command *command = all_commands[_i];
    ck_assert_int_eq(run(command, "--flog", STDERR_FILENO), EXIT_WRONG_USE);
    ck_assert_msg(strstr(output, "--flog") != NULL, "%s", output);
    ck_assert_ptr_nonnull(strstr(output, "help'"));
}
END_TEST

/* What stands in a table is found by the words of its name. */
START_TEST(a_command_is_called_by_its_name) {
    const struct cli_command *command = all_commands[_i];
    char name[32], help[] = "--help", program[] = "millrace";
    char *argv[5] = {program};
    int argc = 1;
    (void)snprintf(name, sizeof(name), "%s", command->name);
    for (char *word = name; word != NULL; argc++) {
        char *space = strchr(word, ' ');
        argv[argc] = word;
        word = space == NULL ? NULL : space + 1;
        if (space != NULL) {
            *space = 0;
        }
    }
    argv[argc++] = help;
    fflush(stdout);
    ck_assert_int_eq(cli_dispatch(&commands, argc, argv), EXIT_FINE);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("commands");
    TCase *all = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;
    cli_each(&commands, gather, NULL);
    tcase_add_loop_test(all, help_tells_how_each_command_is_used, 0, command_count);
    tcase_add_loop_test(all, exit_codes_rise_and_stand_once, 0, command_count);
    tcase_add_loop_test(all, what_a_command_does_not_know_is_wrong_use, 0, command_count);
    tcase_add_loop_test(all, a_command_is_called_by_its_name, 0, command_count);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
