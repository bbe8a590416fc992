/* worker.h - `millrace worker`: the daemon.
 *
 * Depends on: everything.  Threads: the main thread. */
#ifndef MILLRACE_APP_WORKER_H
#define MILLRACE_APP_WORKER_H

#include <stddef.h>

/* What the command line asked for. */
struct worker_opts {
    const char *config_path;
    const char *const *overrides; /* "section.key=value" */
    size_t override_count;
};

#define WORKER_VERSION "0.1.0"

/* Runs until SIGTERM or SIGINT has been obeyed, or something fatal happens.  Returns
 * the exit code: 0 stopped as asked, 1 failed, 2 the configuration or a model is wrong.
 */
int worker_run(const struct worker_opts *opts);

/* Reads the configuration, loads the models and tries librdkafka's properties, and says
 * on standard error what is wrong; touches no broker.  Returns the exit code: 0 fine, 1
 * failed, 2 something is wrong. */
int worker_check(const struct worker_opts *opts);

#endif
