/* reload.h - other versions of models, loaded beside the work and offered to it.
 *
 * One thread loads what is ordered, checks that it takes and answers what the version
 * before does, warms it up and offers it; the intake thread changes between two batches.
 * What cannot be loaded is refused with the reason in the log, and the one before goes
 * on.  The thread also frees the versions that have left.  At most one order waits for
 * each model; a later one takes its place.
 *
 * Depends on: app/models.h, app/metrics.h.
 * Ownership: orders are copied; the reload owns what has retired.
 * Threads: reload_order and reload_retire on any, the rest on the main thread. */
#ifndef MILLRACE_APP_RELOAD_H
#define MILLRACE_APP_RELOAD_H

#include "app/metrics.h"
#include "app/models.h"

struct reload_opts {
    const struct config *config;
    const struct models *models; /* as they are at the start */
    struct metrics *metrics;
    void (*offer)(void *opaque, struct loaded *loaded); /* takes it */
    void *opaque;
};

struct reload_order {
    const char *path, *version;
    const char *sha256; /* expected; NULL or "": any */
    const char *origin; /* static text: who wants it */
};

struct reload;

/* Starts the thread. */
MUST_CHECK enum status reload_create(const struct reload_opts *opts,
                                     struct reload **reload, struct error *err);

void reload_order(struct reload *reload, int model, const struct reload_order *order);

/* Orders what the configuration at `path` says now of path and version of the models; the
 * log names what else differs from the start, which takes a restart.  One with mistakes
 * is refused. */
void reload_configured(struct reload *reload, const char *path,
                       const char *const *overrides, size_t count);

/* Takes a version that nothing uses any more. */
void reload_retire(struct reload *reload, struct loaded *loaded);

/* Ends the thread, once it has finished what it is loading. */
void reload_stop(struct reload *reload);

/* Accepts NULL.  After reload_stop, and after whoever might retire a version. */
void reload_destroy(struct reload *reload);

#endif
