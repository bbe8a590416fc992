/* settings.h - the configuration as the worker and its check use it: read, told to the
 * stream, and which exit code a failure has.
 *
 * Depends on: config/, stream/stream.h.  Threads: the main thread. */
#ifndef MILLRACE_APP_SETTINGS_H
#define MILLRACE_APP_SETTINGS_H

#include "app/worker.h"
#include "stream/stream.h"

/* Exit codes; see worker.h. */
enum { SETTINGS_FINE = 0, SETTINGS_FAILED = 1, SETTINGS_WRONG = 2 };

/* What the stream is told; the lists are borrowed by it until it is closed. */
struct settings_lists {
    struct stream_property common[CONFIG_PROPERTIES_MAX];
    struct stream_property consumer[CONFIG_PROPERTIES_MAX];
    struct stream_property producer[CONFIG_PROPERTIES_MAX];
    struct stream_route routes[CONFIG_ROUTES_MAX];
};

/* Reads the configuration into *config, which config_free ends; SETTINGS_FINE, or the
 * code to end with once on_problem has been told all. */
MUST_CHECK int settings_read(const struct worker_opts *opts,
                             config_problem_fn *on_problem, void *opaque,
                             struct config **config);

/* Options that borrow from both. */
struct stream_opts settings_stream(const struct config *config,
                                   struct settings_lists *lists);

int settings_exit_code(enum status status);

#endif
