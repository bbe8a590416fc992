/* models.h - the configured models, loaded and proved fit to be batched.
 *
 * A model serves jobs row by row: the first dimension of every input and output is the
 * batch, free in the file, or 1, in which case its jobs are run one at a time.  Each is
 * run once at start with its largest batch, so that what does not fit shows then.
 *
 * Depends on: config, batch/batch.h, engine.
 * Ownership: models own what they load; the config must outlive them.
 * Threads: immutable after models_open. */
#ifndef MILLRACE_APP_MODELS_H
#define MILLRACE_APP_MODELS_H

#include "batch/batch.h"
#include "config/config.h"
#include "engine/session.h"

struct models {
    struct batch_model *items; /* in the configuration's order */
    int count;
};

/* Loads all; the error names the model. */
MUST_CHECK enum status models_open(const struct config *config, struct models *models,
                                   struct error *err);
/* The same for a report: loads each and runs its largest batch once, tells `on_problem`
 * of every model that cannot be served, and goes on; that model is NULL in its item.  The
 * status is that of the last such, or STATUS_OK. */
MUST_CHECK enum status models_check(const struct config *config,
                                    config_problem_fn *on_problem, void *opaque,
                                    struct models *models);
/* Accepts a zeroed struct and leaves one. */
void models_close(struct models *models);

/* The index of the model of this name, or -1. */
int models_find(const struct models *models, struct span name);

/* One session per model, each prepared for its largest batch where the model fixes the
 * rows' shape; for one compute thread. */
MUST_CHECK enum status models_sessions(const struct models *models,
                                       struct session ***sessions, struct error *err);
void models_sessions_destroy(const struct models *models, struct session **sessions);

#endif
