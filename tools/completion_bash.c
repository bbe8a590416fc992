/* completion_bash.c - the script for bash: one function with a case for every value. */
#include "tools/completion.h"

static void print_names(const struct cli_group *group) {
    for (size_t i = 0; i < group->entry_count; i++) {
        printf("%s%s", i > 0 ? " " : "", group->entries[i].name);
    }
}

static void print_value(enum completion_kind kind, const char *argument) {
    switch (kind) {
    case COMPLETION_FILES:
        fputs("kind=-f", stdout);
        break;
    case COMPLETION_FOLDERS:
        fputs("kind=-d", stdout);
        break;
    case COMPLETION_WORDS:
    case COMPLETION_SETTINGS:
        fputs("words='", stdout);
        completion_words(kind, argument);
        putchar('\'');
        break;
    case COMPLETION_NONE:
    case COMPLETION_KINDS:
        putchar(':');
        break;
    }
}

static void print_flag_values(void *opaque, const struct cli_command *command) {
    (void)opaque;
    for (size_t i = 0; i < command->flag_count; i++) {
        const struct cli_flag *flag = &command->flags[i];
        if (flag->type != CLI_SWITCH) {
            printf("    '%s %s') ", command->name, flag->name);
            print_value(completion_kind_of(flag->argument), flag->argument);
            puts(" ;;");
        }
    }
}

static void print_command(void *opaque, const struct cli_command *command) {
    (void)opaque;
    printf("        '%s')\n            flags='", command->name);
    for (size_t i = 0; i < command->flag_count; i++) {
        printf("%s ", command->flags[i].name);
    }
    fputs("--help'\n            ", stdout);
    print_value(completion_kind_of(command->operands), command->operands);
    puts(" ;;");
}

static void print_groups(const struct cli_group *group) {
    printf("        '') words='");
    print_names(group);
    puts(" help' ;;");
    for (size_t i = 0; i < group->entry_count; i++) {
        if (group->entries[i].group != NULL) {
            printf("        '%s') words='", group->entries[i].name);
            print_names(group->entries[i].group);
            puts(" help' ;;");
        }
    }
}

static void print_group_pattern(const struct cli_group *group) {
    const char *gap = "";
    for (size_t i = 0; i < group->entry_count; i++) {
        if (group->entries[i].group != NULL) {
            printf("%s%s", gap, group->entries[i].name);
            gap = " | ";
        }
    }
}

/* To bash "=" is a word of its own, in "--flag=VALUE" and in "--flag NAME=VALUE". */
static const char head[] =
    "# Completion of millrace for bash: source <(millrace completion bash)\n"
    "_millrace() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} at=$((COMP_CWORD - 1)) command='' flag\n"
    "    local kind='' words='' flags=''\n"
    "    COMPREPLY=()\n"
    "    if [[ $cur == '=' ]]; then cur=''; fi\n"
    "    while ((at > 1)) && [[ ${COMP_WORDS[at]} == '=' ||\n"
    "        ${COMP_WORDS[at + 1]} == '=' && ${COMP_WORDS[at]} != -* ]]; do\n"
    "        at=$((at - 1))\n"
    "    done\n"
    "    flag=${COMP_WORDS[at]}\n"
    "    if ((COMP_CWORD > 1)); then command=${COMP_WORDS[1]}; fi\n"
    "    case $command in\n"
    "    ";

static const char tail[] =
    "        esac\n"
    "        ;;\n"
    "    esac\n"
    "    if [[ -n $flags && ($cur == -* || -z $kind$words) ]]; then\n"
    "        kind='' words=$flags\n"
    "    fi\n"
    "    if [[ -n $kind ]]; then\n"
    "        compopt -o filenames\n"
    "        mapfile -t COMPREPLY < <(compgen \"$kind\" -- \"$cur\")\n"
    "    elif [[ -n $words ]]; then\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
    "        if [[ ${COMPREPLY[0]-} == *= ]]; then compopt -o nospace; fi\n"
    "    fi\n"
    "}\n"
    "complete -F _millrace millrace\n";

void completion_bash(const struct cli_group *group) {
    fputs(head, stdout);
    print_group_pattern(group);
    puts(")\n        if ((COMP_CWORD > 2)); then command+=\" ${COMP_WORDS[2]}\"; fi ;;\n"
         "    esac\n"
         "    case \"$command $flag\" in");
    cli_each(group, print_flag_values, NULL);
    puts("    *)\n        case $command in");
    print_groups(group);
    cli_each(group, print_command, NULL);
    fputs(tail, stdout);
}
