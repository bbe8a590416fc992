/* worker.h - `millrace worker`: the daemon.
 *
 * Depends on: everything.  Threads: the main thread. */
#ifndef MILLRACE_APP_WORKER_H
#define MILLRACE_APP_WORKER_H

#include <stddef.h>

#include "app/models.h"
#include "config/config.h"

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

/* Who hears of a check. */
struct worker_check {
    config_problem_fn *on_problem; /* for each mistake */
    /* Once, if the configuration could be read; may be NULL.  A model that could not be
     * loaded is NULL among the models. */
    void (*on_read)(void *opaque, const struct config *config,
                    const struct models *models);
    void *opaque;
};

/* Reads the configuration, tries librdkafka's properties, loads every model and runs it
 * once: all that a worker refuses to start for, but for what the brokers say; none is
 * touched.  Returns the exit code: 0 fine, 1 failed, 2 something is wrong. */
int worker_check(const struct worker_opts *opts, const struct worker_check *check);

#endif
