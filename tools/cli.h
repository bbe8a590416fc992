/* cli.h - flags of a command: one table gives parsing, checks and --help.
 *
 *     struct options { int64_t batch; const char *topic; };
 *     static const struct cli_flag flags[] = {
 *         {.name = "--batch", .argument = "N", .help = "rows in a batch",
 *          .type = CLI_INT, .offset = offsetof(struct options, batch),
 *          .initial = "1", .min = 1, .max = 4096},
 *     };
 *
 * Flags are "--name VALUE" or "--name=VALUE" and may stand between the operands; "--"
 * ends them.  "--help" is every command's.  An unknown flag is answered with the
 * nearest known one.
 *
 * Depends on: base/.
 * Ownership: parsed texts are borrowed from argv, defaults from the table.
 * Threads: any; nothing is kept. */
#ifndef MILLRACE_TOOLS_CLI_H
#define MILLRACE_TOOLS_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define CLI_LIST_MAX 64 /* times that a CLI_LIST flag may be given */

#define CLI_FLAGS_MAX 48
#define CLI_ENTRIES_MAX 32

/* Exit codes of every command. */
enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_WRONG_USE = 2 };
#define CLI_ENDINGS_MAX 4

/* An exit code, and when a command ends with it. */
struct cli_ending {
    int code;
    const char *when; /* one line */
};

/* What a flag's field in the options struct is. */
enum cli_type {
    CLI_SWITCH, /* bool; takes no value */
    CLI_INT,    /* int64_t within min .. max */
    CLI_REAL,   /* double within min .. max */
    CLI_TEXT,   /* const char *, NULL if not given */
    CLI_LIST    /* struct cli_list; may be given again and again */
};

struct cli_list {
    const char *items[CLI_LIST_MAX];
    int count;
};

struct cli_flag {
    const char *name;     /* as typed: "--batch", "-X" */
    const char *argument; /* what --help calls the value; NULL for a CLI_SWITCH.  Where
                             it is "NAME=VALUE", so must values be; where "one|other", one
                             of these; see completion.h, too */
    const char *help;
    enum cli_type type;
    size_t offset;       /* of the field in the options struct */
    const char *initial; /* the default as it would be typed; NULL for none */
    bool required;
    double min, max; /* of CLI_INT and CLI_REAL; both 0 for no limits */
};

struct cli_command {
    const char *name;     /* "model bench" */
    const char *operands; /* "MODEL.onnx", "" if it takes none */
    const char *summary;  /* one line */
    const char *details;  /* paragraphs for --help, broken at 80 columns; may be NULL */
    /* What the common words for an exit code do not say of this command, and codes of its
     * own, in rising order; the last has no `when`. */
    struct cli_ending endings[CLI_ENDINGS_MAX + 1];
    int operands_min, operands_max; /* INT_MAX for no limit */
    const struct cli_flag *flags;
    size_t flag_count;
    int (*run)(int argc, char **argv); /* argv[0] is its name; returns the exit code */
};

enum cli_outcome {
    CLI_RUN,  /* go on */
    CLI_HELP, /* help was printed; exit 0 */
    CLI_WRONG /* what is wrong was printed; exit 2 */
};

/* Fills the zeroed struct `options` with defaults and with what argv[1..] says.  The
 * operands are moved to argv[1..*operand_count]. */
MUST_CHECK enum cli_outcome cli_parse(const struct cli_command *command, int argc,
                                      char **argv, void *options, int *operand_count);

/* The exit code for an outcome other than CLI_RUN. */
int cli_exit(enum cli_outcome outcome);

/* "millrace COMMAND: text" on standard error.  Returns EXIT_WRONG_USE where what was
 * asked for is wrong (invalid, unsupported): arguments, configuration, model, file;
 * EXIT_FAILED where it failed on the way.  What begins with one of the command's flags
 * points to --help, as in cli_misuse. */
int cli_fail(const struct cli_command *command, const struct error *err);

/* The same for wrong use that only the command itself can see; returns
 * EXIT_WRONG_USE. */
int cli_misuse(const struct cli_command *command, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A command's line in a table of commands: its last word, and either what it is or the
 * table that it heads. */
struct cli_entry {
    const char *name;
    const char *summary; /* shorter than the command's own */
    const struct cli_command *command;
    const struct cli_group *group;
};

struct cli_group {
    const char *name; /* "model"; "" for the program itself */
    const char *summary;
    const struct cli_entry *entries;
    size_t entry_count;
};

/* Runs the entry argv[1], answers "help", "--help" and names that are not there. */
int cli_dispatch(const struct cli_group *group, int argc, char **argv);

/* Calls `see` for every exit code of the command, in rising order; of NULL: for those
 * that all commands share. */
void cli_each_ending(const struct cli_command *command,
                     void (*see)(void *opaque, const struct cli_ending *ending),
                     void *opaque);

/* Calls `see` for every command below the group, in the tables' order. */
void cli_each(const struct cli_group *group,
              void (*see)(void *opaque, const struct cli_command *command), void *opaque);

#endif
