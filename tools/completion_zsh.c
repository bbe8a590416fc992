/* completion_zsh.c - the script for zsh: _arguments does the work. */
#include "tools/completion.h"

#define QUOTE "'\\''" /* ends the text, adds a quote, begins again */

static void print_value(const char *argument) {
    enum completion_kind kind = completion_kind_of(argument);
    putchar(':');
    completion_quoted(argument, QUOTE, ":[]");
    putchar(':');
    switch (kind) {
    case COMPLETION_FILES:
        fputs("_files", stdout);
        break;
    case COMPLETION_FOLDERS:
        fputs("_files -/", stdout);
        break;
    case COMPLETION_WORDS:
    case COMPLETION_SETTINGS:
        putchar('(');
        completion_words(kind, argument);
        putchar(')');
        break;
    case COMPLETION_NONE:
    case COMPLETION_KINDS:
        putchar(' ');
        break;
    }
}

static void print_flag(const struct cli_flag *flag) {
    bool dashes = flag->name[1] == '-';
    printf(" \\\n            '%s%s%s[", flag->type == CLI_LIST ? "*" : "", flag->name,
           flag->type != CLI_SWITCH && dashes ? "=" : "");
    completion_quoted(flag->help, QUOTE, ":[]");
    putchar(']');
    if (flag->type != CLI_SWITCH) {
        print_value(flag->argument);
    }
    putchar('\'');
}

static void print_command(void *opaque, const struct cli_command *command) {
    (void)opaque;
    printf("    ('%s')\n        _arguments", command->name);
    for (size_t i = 0; i < command->flag_count; i++) {
        print_flag(&command->flags[i]);
    }
    fputs(" \\\n            '--help[this text]'", stdout);
    if (command->operands[0] != 0) {
        fputs(" \\\n            '*", stdout);
        print_value(command->operands);
        putchar('\'');
    }
    puts(" ;;");
}

static void print_names(const struct cli_group *group) {
    for (size_t i = 0; i < group->entry_count; i++) {
        printf(" '%s:", group->entries[i].name);
        completion_quoted(group->entries[i].summary, QUOTE, ":");
        putchar('\'');
    }
}

void completion_zsh(const struct cli_group *group) {
    fputs("#compdef millrace\n"
          "# Completion of millrace for zsh: source <(millrace completion zsh)\n"
          "_millrace() {\n"
          "    local command=$words[2]\n"
          "    local -a names\n"
          "    if ((CURRENT == 2)); then\n"
          "        names=(",
          stdout);
    print_names(group);
    fputs(")\n"
          "        _describe command names\n"
          "        return\n"
          "    fi\n"
          "    case $command in\n",
          stdout);
    for (size_t i = 0; i < group->entry_count; i++) {
        if (group->entries[i].group != NULL) {
            printf("    (%s) names=(", group->entries[i].name);
            print_names(group->entries[i].group);
            puts(") ;;");
        }
    }
    fputs("    esac\n"
          "    if ((${#names} > 0 && CURRENT == 3)); then\n"
          "        _describe command names\n"
          "        return\n"
          "    fi\n"
          "    if ((${#names} > 0)); then\n"
          "        command+=\" $words[3]\"\n"
          "        shift words\n"
          "        ((CURRENT--))\n"
          "    fi\n"
          "    shift words\n"
          "    ((CURRENT--))\n"
          "    case $command in\n",
          stdout);
    cli_each(group, print_command, NULL);
    fputs("    esac\n"
          "}\n"
          "if [[ $funcstack[1] == _millrace ]]; then\n"
          "    _millrace \"$@\"\n"
          "else\n"
          "    compdef _millrace millrace\n"
          "fi\n",
          stdout);
}
