/* completion.c - millrace completion: scripts by which shells complete our commands. */
#include "tools/completion.h"

#include "config/keys.h"
#include "tools/commands.h"

enum completion_kind completion_kind_of(const char *argument) {
    if (argument == NULL) {
        return COMPLETION_NONE;
    }
    if (strcmp(argument, "KEY=VALUE") == 0) {
        return COMPLETION_SETTINGS;
    }
    if (strncmp(argument, "DIR", 3) == 0) {
        return COMPLETION_FOLDERS;
    }
    if (strstr(argument, "FILE") != NULL || strstr(argument, ".onnx") != NULL) {
        return COMPLETION_FILES;
    }
    return strchr(argument, '|') != NULL ? COMPLETION_WORDS : COMPLETION_NONE;
}

static void print_settings(void) {
    size_t count;
    const struct section *const *all = sections(&count);
    const char *gap = "";
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; all[i]->kind == SECTION_GROUP && k < all[i]->key_count; k++) {
            printf("%s%s.%s=", gap, all[i]->name, all[i]->keys[k].name);
            gap = " ";
        }
    }
}

void completion_words(enum completion_kind kind, const char *argument) {
    if (kind == COMPLETION_SETTINGS) {
        print_settings();
        return;
    }
    for (const char *c = argument; *c != 0; c++) {
        putchar(*c == '|' ? ' ' : *c);
    }
}

void completion_quoted(const char *text, const char *quote, const char *special) {
    for (const char *c = text; *c != 0; c++) {
        if (*c == '\'') {
            fputs(quote, stdout);
            continue;
        }
        if (strchr(special, *c) != NULL) {
            putchar('\\');
        }
        putchar(*c == '\n' ? ' ' : *c);
    }
}

/* ---- the command --------------------------------------------------------------------
 */

static const struct {
    const char *name;
    void (*print)(const struct cli_group *group);
} shells[] = {
    {"bash", completion_bash},
    {"zsh", completion_zsh},
    {"fish", completion_fish},
};

static int run(int argc, char **argv);

const struct cli_command completion_cli = {
    .name = "completion",
    .operands = "bash|zsh|fish",
    .summary = "Prints a script by which the shell completes commands, flags and files.",
    .details =
        "'make install' puts the scripts where the shells look for them. For this\n"
        "shell alone:\n"
        "\n"
        "  source <(millrace completion bash)\n"
        "  source <(millrace completion zsh)\n"
        "  millrace completion fish | source",
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};

static int run(int argc, char **argv) {
    int operand_count = 0;
    enum cli_outcome outcome =
        cli_parse(&completion_cli, argc, argv, NULL, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    for (size_t i = 0; i < ARRAY_COUNT(shells); i++) {
        if (strcmp(argv[1], shells[i].name) == 0) {
            shells[i].print(&commands);
            return EXIT_FINE;
        }
    }
    return cli_misuse(&completion_cli, "'%s' is not known; bash, zsh or fish is needed",
                      argv[1]);
}
