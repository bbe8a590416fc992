/* completion.h - what a shell may offer for a word of a command line.
 *
 * All of it is read from the tables of commands: a flag's argument, as --help calls it,
 * says what its values are.
 *
 * Depends on: tools/cli.h.  Ownership: nothing is kept.  Threads: main thread only. */
#ifndef MILLRACE_TOOLS_COMPLETION_H
#define MILLRACE_TOOLS_COMPLETION_H

#include "tools/cli.h"

enum completion_kind {
    COMPLETION_NONE,     /* the user alone knows */
    COMPLETION_FILES,    /* the argument's name holds FILE or .onnx */
    COMPLETION_FOLDERS,  /* it starts with DIR */
    COMPLETION_WORDS,    /* it is "one|other" */
    COMPLETION_SETTINGS, /* it is "KEY=VALUE" */
    COMPLETION_KINDS
};

/* `argument` of a flag, or the operands of a command; NULL for a switch. */
enum completion_kind completion_kind_of(const char *argument);

/* Prints "a b" of "a|b", or all settings as "worker.threads=". */
void completion_words(enum completion_kind kind, const char *argument);

/* Prints the text within '...' of the shell; line ends become blanks.  `quote` is what
 * stands for a quote in it, and a backslash goes before each of `special`. */
void completion_quoted(const char *text, const char *quote, const char *special);

/* The script for one shell. */
void completion_bash(const struct cli_group *group);
void completion_zsh(const struct cli_group *group);
void completion_fish(const struct cli_group *group);

#endif
