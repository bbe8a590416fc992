/* man.c - millrace man: the manual pages of this very program. */
#include "tools/man.h"

#include "base/text.h"
#include "tools/commands.h"

#define SETTINGS_PAGE "millrace.conf"
#define PAGES_MAX 64

struct options {
    bool list;
};

static const struct cli_flag flags[] = {
    {.name = "--list",
     .help = "list the pages, with their sections: millrace.1",
     .type = CLI_SWITCH,
     .offset = offsetof(struct options, list)},
};

static int run(int argc, char **argv);

const struct cli_command man_cli = {
    .name = "man",
    .operands = "PAGE",
    .summary = "Prints a manual page, as roff: millrace man PAGE | man -l -",
    .details =
        "PAGE is millrace, millrace-COMMAND or millrace.conf, the configuration of\n"
        "the worker. 'make install' installs them all.",
    .operands_max = 1,
    .flags = flags,
    .flag_count = ARRAY_COUNT(flags),
    .run = run,
};

/* Every page, and the command of those that have one. */
struct pages {
    char names[PAGES_MAX][MAN_NAME_MAX];
    const struct cli_command *commands[PAGES_MAX];
    size_t count;
};

static void add_page(struct pages *pages, const char *name,
                     const struct cli_command *command) {
    if (pages->count < PAGES_MAX) {
        (void)snprintf(pages->names[pages->count], MAN_NAME_MAX, "%s", name);
        pages->commands[pages->count++] = command;
    }
}

static void add_command(void *opaque, const struct cli_command *command) {
    char name[MAN_NAME_MAX];
    man_name(command, name, sizeof(name));
    add_page(opaque, name, command);
}

static void list_pages(const struct pages *pages) {
    for (size_t i = 0; i < pages->count; i++) {
        printf("%s.%d\n", pages->names[i],
               strcmp(pages->names[i], SETTINGS_PAGE) == 0 ? 5 : 1);
    }
}

static size_t page_of(const struct pages *pages, const char *name) {
    size_t i = 0;
    while (i < pages->count && strcmp(pages->names[i], name) != 0) {
        i++;
    }
    return i;
}

static int print_page(const struct pages *pages, const char *wanted) {
    const char *names[PAGES_MAX];
    size_t page = page_of(pages, wanted);
    if (page < pages->count) {
        if (pages->commands[page] != NULL) {
            man_command(pages->commands[page]);
        } else if (strcmp(wanted, SETTINGS_PAGE) != 0) {
            man_program(&commands);
        } else if (!man_settings()) {
            return cli_fail(&man_cli, &(struct error){.text = "out of memory"});
        }
        return EXIT_FINE;
    }
    for (size_t i = 0; i < pages->count; i++) {
        names[i] = pages->names[i];
    }
    const char *nearest = text_nearest(wanted, names, pages->count);
    return cli_misuse(&man_cli, "there is no page '%s'; %s%s%s", wanted,
                      nearest != NULL ? "did you mean '" : "see --list",
                      nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
}

static int run(int argc, char **argv) {
    struct options options = {0};
    struct pages pages = {.count = 0};
    char full[MAN_NAME_MAX]; /* "worker" stands for "millrace-worker" */
    int operand_count = 0;
    enum cli_outcome outcome = cli_parse(&man_cli, argc, argv, &options, &operand_count);
    if (outcome != CLI_RUN) {
        return cli_exit(outcome);
    }
    add_page(&pages, "millrace", NULL);
    cli_each(&commands, add_command, &pages);
    add_page(&pages, SETTINGS_PAGE, NULL);
    if (options.list) {
        list_pages(&pages);
        return EXIT_FINE;
    }
    if (operand_count == 0) {
        return cli_misuse(&man_cli, "PAGE is needed; see --list");
    }
    (void)snprintf(full, sizeof(full), "millrace-%s", argv[1]);
    return print_page(&pages, page_of(&pages, full) < pages.count ? full : argv[1]);
}
