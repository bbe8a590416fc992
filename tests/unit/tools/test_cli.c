/* test_cli.c - flag tables: what is taken, what is refused. */
#include "tools/cli.h"

#include "tests/unit/suite.h"

#include <limits.h>

struct options {
    int64_t batch;
    double rate;
    const char *topic, *as, *then;
    bool json;
    struct cli_list inputs;
};

static const struct cli_flag flags[] = {
    {.name = "--batch",
     .argument = "N",
     .help = "rows",
     .type = CLI_INT,
     .offset = offsetof(struct options, batch),
     .initial = "8",
     .min = 1,
     .max = 100},
    {.name = "--rate",
     .argument = "R",
     .help = "per second",
     .type = CLI_REAL,
     .offset = offsetof(struct options, rate)},
    {.name = "--topic",
     .argument = "T",
     .help = "where",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, topic),
     .required = true},
    {.name = "--as",
     .argument = "job|record",
     .help = "what",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, as)},
    {.name = "--then",
     .argument = "stop|FILE",
     .help = "at last",
     .type = CLI_TEXT,
     .offset = offsetof(struct options, then)},
    {.name = "--json",
     .help = "as JSON",
     .type = CLI_SWITCH,
     .offset = offsetof(struct options, json)},
    {.name = "-X",
     .argument = "K=V",
     .help = "more",
     .type = CLI_LIST,
     .offset = offsetof(struct options, inputs)},
};

static const struct cli_command command = {
    .name = "test",
    .operands = "[FILE]...",
    .summary = "A command.",
    .operands_max = 2,
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
};

/* Parses a text of words; argv is left in `words`. */
static char line[4096];
static char *words[256];
static int operand_count;

static enum cli_outcome parse(const char *text, struct options *options) {
    int count = 0;
    *options = (struct options){0};
    (void)snprintf(line, sizeof(line), "%s", text);
    for (char *at = line; *at != 0 && count < 255;) {
        words[count++] = at;
        at += strcspn(at, " ");
        while (*at == ' ') {
            *at++ = 0;
        }
    }
    words[count] = NULL;
    return cli_parse(&command, count, words, options, &operand_count);
}

START_TEST(defaults_hold_until_a_flag_is_given) {
    struct options options;
    ck_assert_int_eq(parse("test --topic t", &options), CLI_RUN);
    ck_assert_int_eq(options.batch, 8);
    ck_assert(!options.json);
    ck_assert_int_eq(parse("test --topic t --batch 9 --json", &options), CLI_RUN);
    ck_assert_int_eq(options.batch, 9);
    ck_assert(options.json);
}
END_TEST

START_TEST(a_value_follows_or_stands_behind_the_equals_sign) {
    struct options options;
    ck_assert_int_eq(parse("test --topic=a=b --rate=2.5 -X k=v -X l=w", &options),
                     CLI_RUN);
    ck_assert_str_eq(options.topic, "a=b");
    ck_assert_double_eq(options.rate, 2.5);
    ck_assert_int_eq(options.inputs.count, 2);
    ck_assert_str_eq(options.inputs.items[1], "l=w");
}
END_TEST

START_TEST(operands_are_gathered_in_order_from_between_the_flags) {
    struct options options;
    ck_assert_int_eq(parse("test a --topic t -- --b", &options), CLI_RUN);
    ck_assert_int_eq(operand_count, 2);
    ck_assert_str_eq(words[1], "a");
    ck_assert_str_eq(words[2], "--b");
}
END_TEST

START_TEST(wrong_use_is_refused) {
    static const char *const wrong[] = {
        "test",                       /* --topic is needed */
        "test --topic",               /* its value is missing */
        "test --topic t --batch 0",   /* below the limit */
        "test --topic t --batch 101", /* above it */
        "test --topic t --batch 1x",  /* not a number */
        "test --topic t --batch 1.5", /* not a whole one */
        "test --topic t --rate nan",  /* no number at all */
        "test --topic t --rate inf",  /* nor this */
        "test --topic t --json=1",    /* a switch with a value */
        "test --topic t --nothing",   /* unknown */
        "test --topic t -Y",          /* unknown */
        "test --topic t -X ab",       /* no K=V */
        "test --topic t a b c",       /* an operand too many */
        "test --topic t --as jo",     /* not one of the choices */
        "test --topic t --as jobs",   /* nor this */
        "test --topic t --as=",       /* nor this */
    };
    struct options options;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        ck_assert_msg(parse(wrong[i], &options) == CLI_WRONG, "%s", wrong[i]);
    }
    ck_assert_int_eq(cli_exit(CLI_WRONG), EXIT_WRONG_USE);
}
END_TEST

START_TEST(one_of_the_choices_is_taken_and_a_file_may_have_any_name) {
    struct options options;
    ck_assert_int_eq(parse("test --topic t --as record --then stop", &options), CLI_RUN);
    ck_assert_str_eq(options.as, "record");
    ck_assert_int_eq(parse("test --topic t --as job --then x.jsonl", &options), CLI_RUN);
    ck_assert_str_eq(options.then, "x.jsonl");
}
END_TEST

START_TEST(what_was_asked_for_wrongly_is_told_from_what_failed) {
    static const struct {
        const char *text;
        enum status status;
        int code;
    } cases[] = {
        {"--as record: it takes a schema", STATUS_INVALID, EXIT_WRONG_USE},
        {"-X a=b: no such property", STATUS_INVALID, EXIT_WRONG_USE},
        {"--as: the disk is full", STATUS_FATAL, EXIT_FAILED},
        {"--asp: no flag of ours", STATUS_INVALID, EXIT_WRONG_USE},
        {"in.csv: it is empty", STATUS_INVALID, EXIT_WRONG_USE},
        {"m.onnx: no such operator", STATUS_UNSUPPORTED, EXIT_WRONG_USE},
        {"in.csv: row 4 is bad", STATUS_POISON, EXIT_FAILED},
        {"no memory", STATUS_NO_MEMORY, EXIT_FAILED},
        {"no broker answers", STATUS_AGAIN, EXIT_FAILED},
    };
    struct error err;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        (void)error_set(&err, cases[i].status, "%s", cases[i].text);
        ck_assert_msg(cli_fail(&command, &err) == cases[i].code, "%s", cases[i].text);
    }
}
END_TEST

START_TEST(a_list_has_a_limit) {
    struct options options;
    char text[CLI_LIST_MAX * 8 + 64] = "test --topic t";
    size_t used = strlen(text);
    for (int i = 0; i < CLI_LIST_MAX; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, " -X a=b");
    }
    ck_assert_int_eq(parse(text, &options), CLI_RUN);
    ck_assert_int_eq(options.inputs.count, CLI_LIST_MAX);
    (void)snprintf(text + used, sizeof(text) - used, " -X a=b");
    ck_assert_int_eq(parse(text, &options), CLI_WRONG);
}
END_TEST

START_TEST(help_wins_over_what_is_missing) {
    struct options options;
    ck_assert_int_eq(parse("test --help", &options), CLI_HELP);
    ck_assert_int_eq(cli_exit(CLI_HELP), EXIT_FINE);
}
END_TEST

static void note_ending(void *opaque, const struct cli_ending *ending) {
    char *told = opaque;
    size_t used = strlen(told);
    (void)snprintf(told + used, 256 - used, "%d %s;", ending->code, ending->when);
}

START_TEST(a_commands_own_words_stand_for_the_common_ones) {
    static const struct cli_command own = {
        .endings = {{EXIT_FAILED, "a row is bad"}, {75, "try again"}}};
    char common[256] = "", told[256] = "";
    cli_each_ending(NULL, note_ending, common);
    cli_each_ending(&own, note_ending, told);
    ck_assert_msg(strncmp(common, "0 all is well;1 it failed on the way;2 ", 39) == 0,
                  "%s", common);
    ck_assert_msg(strncmp(told, "0 all is well;1 a row is bad;2 ", 31) == 0, "%s", told);
    ck_assert_msg(strcmp(told + strlen(told) - 14, ";75 try again;") == 0, "%s", told);
}
END_TEST

static int last_argc;

static int record_call(int argc, char **argv) {
    ck_assert_str_eq(argv[0], "go");
    last_argc = argc;
    return 7;
}

START_TEST(dispatch_hands_on_the_command_and_its_arguments) {
    static const struct cli_command leaf = {.name = "up go", .run = record_call};
    static const struct cli_entry below[] = {{"go", "goes", .command = &leaf}};
    static const struct cli_group up = {"up", "ups", below, 1};
    static const struct cli_entry entries[] = {{"go", "goes", .command = &leaf},
                                               {"up", "ups", .group = &up}};
    static const struct cli_group top = {"", "tops", entries, 2};
    char *deep[] = {(char[]){"p"}, (char[]){"up"}, (char[]){"go"}, (char[]){"x"}, NULL};
    char *go[] = {(char[]){"p"}, (char[]){"go"}, (char[]){"x"}, NULL};
    char *help[] = {(char[]){"p"}, (char[]){"help"}, NULL};
    char *wrong[] = {(char[]){"p"}, (char[]){"og"}, NULL};
    ck_assert_int_eq(cli_dispatch(&top, 3, go), 7);
    ck_assert_int_eq(last_argc, 2);
    ck_assert_int_eq(cli_dispatch(&top, 4, deep), 7);
    ck_assert_int_eq(last_argc, 2);
    ck_assert_int_eq(cli_dispatch(&top, 2, deep), EXIT_WRONG_USE);
    ck_assert_int_eq(cli_dispatch(&top, 2, help), EXIT_FINE);
    ck_assert_int_eq(cli_dispatch(&top, 2, wrong), EXIT_WRONG_USE);
    ck_assert_int_eq(cli_dispatch(&top, 1, wrong), EXIT_WRONG_USE);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        defaults_hold_until_a_flag_is_given,
        a_value_follows_or_stands_behind_the_equals_sign,
        operands_are_gathered_in_order_from_between_the_flags,
        wrong_use_is_refused,
        one_of_the_choices_is_taken_and_a_file_may_have_any_name,
        what_was_asked_for_wrongly_is_told_from_what_failed,
        a_list_has_a_limit,
        help_wins_over_what_is_missing,
        a_commands_own_words_stand_for_the_common_ones,
        dispatch_hands_on_the_command_and_its_arguments,
    };
    return suite_run("cli", tests, ARRAY_COUNT(tests));
}
