/* models.h - the configured models, each in the version that serves now.
 *
 * Depends on: app/loaded.h.
 * Ownership: models own the versions they hold; the config must outlive them.
 * Threads: whoever may exchange a version says so (app/serving.h). */
#ifndef MILLRACE_APP_MODELS_H
#define MILLRACE_APP_MODELS_H

#include "app/loaded.h"

struct models {
    struct loaded **items; /* in the configuration's order */
    int count;
};

/* How long a batch may take where several models share the threads; 0: any time. */
int models_slice_ms(const struct config *config);

/* Loads all, with sessions for `threads` compute threads; the error names the model. */
MUST_CHECK enum status models_open(const struct config *config, int threads,
                                   struct models *models, struct error *err);
/* The same for a report: loads each and runs its largest batch once, tells `on_problem`
 * of every model that cannot be served, and goes on; that item is NULL.  The status is
 * that of the last such, or STATUS_OK. */
MUST_CHECK enum status models_check(const struct config *config,
                                    config_problem_fn *on_problem, void *opaque,
                                    struct models *models);
/* Accepts a zeroed struct and leaves one. */
void models_close(struct models *models);

/* The index of the model of this name, or -1. */
int models_find(const struct models *models, struct span name);

#endif
