/* check_config.h - what `check-config` and `worker --check` share.
 *
 * Depends on: app/worker.h.  Threads: main thread only. */
#ifndef MILLRACE_TOOLS_CHECK_CONFIG_H
#define MILLRACE_TOOLS_CHECK_CONFIG_H

#include <stdbool.h>

#include "app/worker.h"

/* Prints what is wrong on standard error, on standard output that all is fine, and before
 * that what would run if `report` is set.  Returns the exit code. */
int check_config_run(const struct worker_opts *opts, bool report);

#endif
