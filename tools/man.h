/* man.h - manual pages, made of the tables of commands and of settings.
 *
 * Depends on: tools/cli.h, config/config.h.  Threads: main thread only. */
#ifndef MILLRACE_TOOLS_MAN_H
#define MILLRACE_TOOLS_MAN_H

#include "tools/cli.h"

#define MAN_NAME_MAX 64 /* bytes, "millrace-model-bench" */

/* "millrace-model-bench" of "model bench". */
void man_name(const struct cli_command *command, char *name, size_t size);

/* millrace.1, a page of one command, millrace.conf.5: as roff, to standard output.  The
 * last is false without memory. */
void man_program(const struct cli_group *group);
void man_command(const struct cli_command *command);
MUST_CHECK bool man_settings(void);

#endif
