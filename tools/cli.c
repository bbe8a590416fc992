/* cli.c - see cli.h. */
#include "tools/cli.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>

#include "base/span.h"
#include "base/text.h"

#define PROGRAM "millrace"

/* Where parsing stands. */
struct cursor {
    const struct cli_command *command;
    int argc;
    char **argv;
    int next; /* the argument to look at next */
    void *options;
    bool *given; /* one per flag */
};

static void *field_of(const struct cli_flag *flag, void *options) {
    return (char *)options + flag->offset;
}

static bool number_in_range(const struct cli_flag *flag, double value) {
    bool limited = flag->min < flag->max;
    return !limited || (value >= flag->min && value <= flag->max);
}

static bool store_int(const struct cli_flag *flag, const char *value, void *options) {
    int64_t number = 0;
    if (!text_parse_int(value, &number) || !number_in_range(flag, (double)number)) {
        return false;
    }
    *(int64_t *)field_of(flag, options) = number;
    return true;
}

static bool store_real(const struct cli_flag *flag, const char *value, void *options) {
    char *end = NULL;
    errno = 0;
    double number = strtod(value, &end);
    /* The comparison refuses NaN too. */
    if (end == value || *end != 0 || errno != 0 || !(number - number <= 0.0)) {
        return false;
    }
    if (!number_in_range(flag, number)) {
        return false;
    }
    *(double *)field_of(flag, options) = number;
    return true;
}

static bool store_list(const struct cli_flag *flag, const char *value, void *options) {
    struct cli_list *list = field_of(flag, options);
    if (list->count == CLI_LIST_MAX) {
        return false;
    }
    list->items[list->count++] = value;
    return true;
}

static bool store(const struct cli_flag *flag, const char *value, void *options) {
    switch (flag->type) {
    case CLI_SWITCH:
        *(bool *)field_of(flag, options) = true;
        return true;
    case CLI_INT:
        return store_int(flag, value, options);
    case CLI_REAL:
        return store_real(flag, value, options);
    case CLI_TEXT:
        *(const char **)field_of(flag, options) = value;
        return true;
    case CLI_LIST:
        return store_list(flag, value, options);
    }
    return false;
}

static int misuse(const struct cli_command *command, const char *fmt, va_list args) {
    fprintf(stderr, PROGRAM " %s: ", command->name);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\nTry '" PROGRAM " %s --help'.\n", command->name);
    return EXIT_WRONG_USE;
}

int cli_misuse(const struct cli_command *command, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int code = misuse(command, fmt, args);
    va_end(args);
    return code;
}

static enum cli_outcome wrong(const struct cli_command *command, const char *fmt, ...)
    PRINTF_LIKE(2, 3);

static enum cli_outcome wrong(const struct cli_command *command, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    (void)misuse(command, fmt, args); /* the caller turns the outcome into the code */
    va_end(args);
    return CLI_WRONG;
}

/* Does the text begin with one of the command's flags? */
static bool blames_flag(const struct cli_command *command, const char *text) {
    size_t size = strcspn(text, " :=");
    for (size_t i = 0; i < command->flag_count; i++) {
        if (span_is(span_of(text, size), command->flags[i].name)) {
            return true;
        }
    }
    return false;
}

int cli_fail(const struct cli_command *command, const struct error *err) {
    if (err->status == STATUS_INVALID && blames_flag(command, err->text)) {
        return cli_misuse(command, "%s", err->text);
    }
    fprintf(stderr, PROGRAM " %s: %s\n", command->name, err->text);
    return err->status == STATUS_INVALID || err->status == STATUS_UNSUPPORTED
               ? EXIT_WRONG_USE
               : EXIT_FAILED;
}

int cli_exit(enum cli_outcome outcome) {
    assert(outcome != CLI_RUN);
    return outcome == CLI_HELP ? EXIT_FINE : EXIT_WRONG_USE;
}

static enum cli_outcome wrong_value(const struct cli_command *command,
                                    const struct cli_flag *flag, const char *value) {
    const char *kind = flag->type == CLI_INT ? "a whole number" : "a number";
    if (flag->type == CLI_LIST) {
        return wrong(command, "%s can be given %d times at most", flag->name,
                     CLI_LIST_MAX);
    }
    if (flag->min < flag->max) {
        return wrong(command, "%s %s: %s from %.15g to %.15g is needed", flag->name,
                     value, kind, flag->min, flag->max);
    }
    return wrong(command, "%s %s: %s is needed", flag->name, value, kind);
}

static enum cli_outcome wrong_flag(const struct cli_command *command, const char *name) {
    const char *names[CLI_FLAGS_MAX];
    for (size_t i = 0; i < command->flag_count; i++) {
        names[i] = command->flags[i].name;
    }
    const char *nearest = text_nearest(name, names, command->flag_count);
    if (nearest != NULL) {
        return wrong(command, "there is no flag %s; did you mean %s?", name, nearest);
    }
    return wrong(command, "there is no flag %s", name);
}

/* Is the flag's value "NAME=VALUE", and not "[NAME=]VALUE"? */
static bool wants_pair(const struct cli_flag *flag) {
    return flag->argument != NULL && flag->argument[0] != '[' &&
           strchr(flag->argument, '=') != NULL;
}

/* Is the flag's value "one|other", and not "one|FILE", and `value` none of these? */
static bool is_no_choice(const struct cli_flag *flag, const char *value) {
    const char *word = flag->argument;
    if (word == NULL || strchr(word, '|') == NULL ||
        strpbrk(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != NULL) {
        return false;
    }
    for (;;) {
        size_t size = strcspn(word, "|");
        if (span_is(span_of(word, size), value)) {
            return false;
        }
        if (word[size] == 0) {
            return true;
        }
        word += size + 1;
    }
}

static void print_help(const struct cli_command *command);

/* Takes the flag argv[next], with its value if it has one. */
static enum cli_outcome take_flag(struct cursor *cursor) {
    const struct cli_command *command = cursor->command;
    char *name = cursor->argv[cursor->next++];
    char *value = name[1] == '-' ? strchr(name, '=') : NULL;
    size_t index = 0;
    if (value != NULL) {
        *value++ = 0;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_help(command);
        return CLI_HELP;
    }
    while (index < command->flag_count && strcmp(command->flags[index].name, name) != 0) {
        index++;
    }
    if (index == command->flag_count) {
        return wrong_flag(command, name);
    }
    const struct cli_flag *flag = &command->flags[index];
    if (flag->type == CLI_SWITCH && value != NULL) {
        return wrong(command, "%s takes no value", name);
    }
    if (flag->type != CLI_SWITCH && value == NULL) {
        if (cursor->next == cursor->argc) {
            return wrong(command, "%s needs a value: %s", name, flag->argument);
        }
        value = cursor->argv[cursor->next++];
    }
    if ((wants_pair(flag) && strchr(value, '=') == NULL) || is_no_choice(flag, value)) {
        return wrong(command, "%s %s: %s is needed", name, value, flag->argument);
    }
    if (!store(flag, value, cursor->options)) {
        return wrong_value(command, flag, value);
    }
    cursor->given[index] = true;
    return CLI_RUN;
}

/* Our own promises about a table of flags. */
static bool flags_are_sound(const struct cli_command *command) {
    assert(command->flag_count <= CLI_FLAGS_MAX);
    for (size_t i = 0; i < command->flag_count; i++) {
        const struct cli_flag *flag = &command->flags[i];
        if (flag->name == NULL || flag->name[0] != '-' || flag->help == NULL ||
            (flag->argument == NULL) != (flag->type == CLI_SWITCH) ||
            (flag->initial != NULL && (flag->required || flag->initial[0] == 0))) {
            return false;
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(command->flags[k].name, flag->name) == 0 ||
                command->flags[k].offset == flag->offset) {
                return false;
            }
        }
    }
    return true;
}

static void store_defaults(const struct cli_command *command, void *options) {
    for (size_t i = 0; i < command->flag_count; i++) {
        const struct cli_flag *flag = &command->flags[i];
        if (flag->initial != NULL) {
            bool stored = store(flag, flag->initial, options);
            assert(stored);
            (void)stored; /* a default that is not valid is our own mistake */
        }
    }
}

static enum cli_outcome check_complete(const struct cursor *cursor, int operand_count) {
    const struct cli_command *command = cursor->command;
    for (size_t i = 0; i < command->flag_count; i++) {
        if (command->flags[i].required && !cursor->given[i]) {
            return wrong(command, "%s %s is needed", command->flags[i].name,
                         command->flags[i].argument);
        }
    }
    if (operand_count < command->operands_min) {
        return wrong(command, "%s is needed", command->operands);
    }
    if (operand_count > command->operands_max) {
        return wrong(command, "'%s' is one argument too many",
                     cursor->argv[command->operands_max + 1]);
    }
    return CLI_RUN;
}

enum cli_outcome cli_parse(const struct cli_command *command, int argc, char **argv,
                           void *options, int *operand_count) {
    bool given[CLI_FLAGS_MAX] = {false};
    struct cursor cursor = {.command = command,
                            .argc = argc,
                            .argv = argv,
                            .next = 1,
                            .options = options,
                            .given = given};
    bool flags_ended = false;
    int operands = 0;
    assert(flags_are_sound(command));
    store_defaults(command, options);
    while (cursor.next < argc) {
        char *argument = argv[cursor.next];
        if (!flags_ended && strcmp(argument, "--") == 0) {
            flags_ended = true;
            cursor.next++;
        } else if (flags_ended || argument[0] != '-' || argument[1] == 0) {
            argv[1 + operands++] = argument; /* never ahead of what is yet to be read */
            cursor.next++;
        } else {
            enum cli_outcome outcome = take_flag(&cursor);
            if (outcome != CLI_RUN) {
                return outcome;
            }
        }
    }
    *operand_count = operands;
    return check_complete(&cursor, operands);
}

/* Prints `help` behind the flag, with further lines below its first. */
static void print_flag(const char *head, const struct cli_flag *flag, int width) {
    const char *line = flag->help;
    const char *end = strchr(line, '\n');
    printf("  %-*s  ", width, head);
    while (end != NULL) {
        printf("%.*s\n  %*s  ", (int)(end - line), line, width, "");
        line = end + 1;
        end = strchr(line, '\n');
    }
    fputs(line, stdout);
    if (flag->required) {
        fputs(" (needed)", stdout);
    }
    if (flag->type == CLI_LIST) {
        fputs(" (may be given again)", stdout);
    }
    if (flag->initial != NULL) {
        printf(" (default %s)", flag->initial);
    }
    fputc('\n', stdout);
}

static const struct cli_ending *ending_of(const struct cli_ending *endings, int code) {
    for (; endings->when != NULL; endings++) {
        if (endings->code == code) {
            return endings;
        }
    }
    return NULL;
}

void cli_each_ending(const struct cli_command *command,
                     void (*see)(void *opaque, const struct cli_ending *ending),
                     void *opaque) {
    static const struct cli_ending common[] = {
        {EXIT_FINE, "all is well"},
        {EXIT_FAILED, "it failed on the way"},
        {EXIT_WRONG_USE,
         "what was asked for is wrong: arguments, configuration, model or file"},
        {0}};
    static const struct cli_ending none = {0};
    const struct cli_ending *own = command != NULL ? command->endings : &none;
    for (const struct cli_ending *ending = common; ending->when != NULL; ending++) {
        const struct cli_ending *instead = ending_of(own, ending->code);
        see(opaque, instead != NULL ? instead : ending);
    }
    for (; own->when != NULL; own++) {
        if (ending_of(common, own->code) == NULL) {
            see(opaque, own);
        }
    }
}

static void print_ending(void *opaque, const struct cli_ending *ending) {
    fprintf(opaque, "  %-2d  %s\n", ending->code, ending->when);
}

static void print_endings(FILE *out, const struct cli_command *command) {
    fputs("\nExit codes:\n", out);
    cli_each_ending(command, print_ending, out);
}

static void print_help(const struct cli_command *command) {
    static const struct cli_flag help = {.name = "--help", .help = "this text"};
    char head[64];
    int width = 0;
    printf("usage: " PROGRAM " %s%s%s%s\n\n%s\n", command->name,
           command->flag_count > 0 ? " [FLAG]..." : "",
           command->operands[0] != 0 ? " " : "", command->operands, command->summary);
    if (command->details != NULL) {
        printf("\n%s\n", command->details);
    }
    fputs("\nFlags:\n", stdout);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i <= command->flag_count; i++) {
            const struct cli_flag *flag =
                i < command->flag_count ? &command->flags[i] : &help;
            int n = snprintf(head, sizeof(head), "%s%s%s", flag->name,
                             flag->argument != NULL ? " " : "",
                             flag->argument != NULL ? flag->argument : "");
            if (pass == 0) {
                width = n > width ? n : width;
            } else {
                print_flag(head, flag, width);
            }
        }
    }
    print_endings(stdout, command);
}

/* "millrace", "millrace model". */
static void print_path(FILE *out, const struct cli_group *group) {
    fprintf(out, PROGRAM "%s%s", group->name[0] != 0 ? " " : "", group->name);
}

static void print_group(FILE *out, const struct cli_group *group) {
    int width = 0;
    for (size_t i = 0; i < group->entry_count; i++) {
        int size = (int)strlen(group->entries[i].name);
        width = size > width ? size : width;
    }
    fputs("usage: ", out);
    print_path(out, group);
    fprintf(out, " COMMAND [ARGUMENT]...\n\n%s\n\nCommands:\n", group->summary);
    for (size_t i = 0; i < group->entry_count; i++) {
        const struct cli_entry *entry = &group->entries[i];
        fprintf(out, "  %-*s  %s\n", width, entry->name, entry->summary);
    }
    fputs("\n'", out);
    print_path(out, group);
    fputs(" COMMAND --help' tells more.\n", out);
    print_endings(out, NULL);
}

static int no_command(const struct cli_group *group, const char *name) {
    const char *names[CLI_ENTRIES_MAX];
    for (size_t i = 0; i < group->entry_count; i++) {
        names[i] = group->entries[i].name;
    }
    bool flag = name[0] == '-';
    const char *nearest =
        flag ? text_nearest(name, (const char *const[]){"--help", "--version"}, 2)
             : text_nearest(name, names, group->entry_count);
    print_path(stderr, group);
    fprintf(stderr, ": there is no %s '%s'", flag ? "flag" : "command", name);
    if (nearest != NULL) {
        fprintf(stderr, "; did you mean '%s'?", nearest);
    }
    fputs("\nTry '", stderr);
    print_path(stderr, group);
    fputs(" help'.\n", stderr);
    return EXIT_WRONG_USE;
}

static bool entries_are_sound(const struct cli_group *group) {
    for (size_t i = 0; i < group->entry_count; i++) {
        const struct cli_entry *entry = &group->entries[i];
        if (entry->name == NULL || entry->summary == NULL ||
            (entry->command == NULL) == (entry->group == NULL)) {
            return false;
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(group->entries[k].name, entry->name) == 0) {
                return false;
            }
        }
    }
    return group->entry_count <= CLI_ENTRIES_MAX;
}

static bool asks_for_help(const char *word) {
    return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 ||
           strcmp(word, "-h") == 0;
}

static const struct cli_entry *find_entry(const struct cli_group *group,
                                          const char *name) {
    for (size_t i = 0; i < group->entry_count; i++) {
        if (strcmp(name, group->entries[i].name) == 0) {
            return &group->entries[i];
        }
    }
    return NULL;
}

/* "help", and of what. */
static int help(const struct cli_group *group, int argc, char **argv) {
    for (; argc > 1; argc--, argv++) {
        const struct cli_entry *entry = find_entry(group, argv[1]);
        if (entry == NULL) {
            return no_command(group, argv[1]);
        }
        if (entry->command != NULL) {
            print_help(entry->command);
            return EXIT_FINE;
        }
        group = entry->group;
    }
    print_group(stdout, group);
    return EXIT_FINE;
}

int cli_dispatch(const struct cli_group *group, int argc, char **argv) {
    while (argc > 1) {
        assert(entries_are_sound(group));
        if (asks_for_help(argv[1])) {
            return help(group, argc - 1, argv + 1);
        }
        const struct cli_entry *entry = find_entry(group, argv[1]);
        if (entry == NULL) {
            return no_command(group, argv[1]);
        }
        argc--;
        argv++;
        if (entry->command != NULL) {
            return entry->command->run(argc, argv);
        }
        group = entry->group;
    }
    print_group(stderr, group);
    return EXIT_WRONG_USE;
}

/* Tables head tables one level deep. */
void cli_each(const struct cli_group *group,
              void (*see)(void *opaque, const struct cli_command *command),
              void *opaque) {
    for (size_t i = 0; i < group->entry_count; i++) {
        const struct cli_entry *entry = &group->entries[i];
        if (entry->command != NULL) {
            see(opaque, entry->command);
            continue;
        }
        for (size_t k = 0; k < entry->group->entry_count; k++) {
            assert(entry->group->entries[k].command != NULL);
            see(opaque, entry->group->entries[k].command);
        }
    }
}
