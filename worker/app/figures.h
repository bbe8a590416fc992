/* figures.h - what the page and /readyz tell of the stream: taken from it every now and
 * then.
 *
 * Depends on: app/metrics.h, app/health.h, app/pipeline.h, app/records.h, app/work.h.
 * Ownership: everything is borrowed.
 * Threads: the main one. */
#ifndef MILLRACE_APP_FIGURES_H
#define MILLRACE_APP_FIGURES_H

#include "app/health.h"
#include "app/metrics.h"
#include "app/pipeline.h"
#include "app/records.h"
#include "app/work.h"

struct figures {
    const struct config *config;
    struct metrics *metrics;
    struct health *health;
    struct stream *stream;
    struct pipeline *pipeline;
    struct records *records; /* NULL where no route has records */
    struct work work;        /* zeroed at first */
};

/* Also into *stats; in even steps. */
void figures_take(struct figures *figures, struct stream_stats *stats);

#endif
