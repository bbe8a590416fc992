/* completion_fish.c - the script for fish: one line for each word. */
#include "tools/completion.h"

static void print_value(enum completion_kind kind, const char *argument) {
    switch (kind) {
    case COMPLETION_FILES:
        fputs(" -F", stdout);
        break;
    case COMPLETION_FOLDERS:
        fputs(" -a '(__fish_complete_directories)'", stdout);
        break;
    case COMPLETION_WORDS:
    case COMPLETION_SETTINGS:
        fputs(" -a '", stdout);
        completion_words(kind, argument);
        putchar('\'');
        break;
    case COMPLETION_NONE:
    case COMPLETION_KINDS:
        break;
    }
}

static void print_help(const char *text) {
    fputs(" -d '", stdout);
    completion_quoted(text, "\\'", "\\");
    fputs("'\n", stdout);
}

static void print_flag(const struct cli_command *command, const struct cli_flag *flag) {
    bool dashes = flag->name[1] == '-';
    printf("complete -c millrace -n '__millrace_in %s' %s %s", command->name,
           dashes ? "-l" : "-s", flag->name + (dashes ? 2 : 1));
    if (flag->type != CLI_SWITCH) {
        enum completion_kind kind = completion_kind_of(flag->argument);
        fputs(kind == COMPLETION_FILES ? " -r" : " -x", stdout); /* -x: and no file */
        print_value(kind, flag->argument);
    }
    print_help(flag->help);
}

static void print_command(void *opaque, const struct cli_command *command) {
    static const struct cli_flag help = {.name = "--help", .help = "this text"};
    enum completion_kind kind = completion_kind_of(command->operands);
    (void)opaque;
    for (size_t i = 0; i < command->flag_count; i++) {
        print_flag(command, &command->flags[i]);
    }
    print_flag(command, &help);
    if (kind != COMPLETION_NONE) {
        printf("complete -c millrace -n '__millrace_in %s'", command->name);
        print_value(kind, command->operands);
        putchar('\n');
    }
}

static void print_names(const struct cli_group *group) {
    for (size_t i = 0; i < group->entry_count; i++) {
        printf("complete -c millrace -n '__millrace_at %s' -a %s", group->name,
               group->entries[i].name);
        print_help(group->entries[i].summary);
        if (group->entries[i].group != NULL) {
            const struct cli_group *below = group->entries[i].group;
            for (size_t k = 0; k < below->entry_count; k++) {
                printf("complete -c millrace -n '__millrace_at %s' -a %s", below->name,
                       below->entries[k].name);
                print_help(below->entries[k].summary);
            }
        }
    }
}

void completion_fish(const struct cli_group *group) {
    fputs("# Completion of millrace for fish: millrace completion fish | source\n"
          "function __millrace_at # are these all the words so far?\n"
          "    set -l words (commandline -opc)\n"
          "    test \"$words[2..]\" = \"$argv\"\n"
          "end\n"
          "function __millrace_in # are these the first words, and a blank behind?\n"
          "    set -l words (commandline -opc)\n"
          "    string match -q -- \"$argv *\" \"$words[2..] \"\n"
          "end\n"
          "complete -c millrace -f\n",
          stdout);
    print_names(group);
    cli_each(group, print_command, NULL);
}
