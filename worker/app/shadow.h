/* shadow.h - a second file of a model scores the same jobs, and is compared with the
 * first.
 *
 *     compute thread: shadow_take ─ infer_run ─ shadow_give ──copies──► shadow thread
 *                     inputs, ids                 outputs                 run, compare,
 * send
 *
 * It never harms the main answer: copies are made while there is a free slot, otherwise
 * the rows are counted as dropped; the thread has the lowest priority; what fails there
 * is counted there.  A model has one shadow at most, with the same inputs; it is loaded
 * at the start.
 *
 * Depends on: app/models.h, app/metrics.h, stream/side.h.
 * Ownership: owns its models, slots and thread.
 * Threads: shadow_take and shadow_give on any compute thread, the rest on the main one.
 */
#ifndef MILLRACE_APP_SHADOW_H
#define MILLRACE_APP_SHADOW_H

#include "app/metrics.h"
#include "app/models.h"
#include "batch/infer.h"
#include "stream/side.h"

struct shadow_opts {
    const struct config *config;
    const struct models *models;      /* as they are at the start */
    const struct stream_opts *stream; /* borrowed for the call alone */
    struct metrics *metrics;
};

struct shadows;
struct shadow_slot;

/* Loads the shadows and starts the thread; *shadows is NULL where no route has one. */
MUST_CHECK enum status shadows_create(const struct shadow_opts *opts,
                                      struct shadows **shadows, struct error *err);

/* The same for a report: loads each shadow of a model that is not NULL, and tells
 * `on_problem` of every one that cannot be served.  The status is that of the last such,
 * or STATUS_OK. */
MUST_CHECK enum status shadows_check(const struct config *config,
                                     const struct models *models,
                                     config_problem_fn *on_problem, void *opaque);

/* Accepts NULL.  No compute thread runs any more. */
void shadows_destroy(struct shadows *shadows);

/* Copies what the shadow of the batch's model needs, before the batch is run: ids and
 * keys go with their records.  NULL where there is nothing to do, or no room.  Accepts
 * NULL. */
struct shadow_slot *shadow_take(struct shadows *shadows, const struct batch *batch);

/* Copies the outputs of the run, and hands the slot on.  Accepts NULL. */
void shadow_give(struct shadows *shadows, struct shadow_slot *slot,
                 const struct batch *batch, const struct session *session,
                 const struct infer_times *times);

/* How two rows of one output compare. */
struct shadow_verdict {
    bool comparable;   /* both of the same number of floats */
    bool agree;        /* on the largest, or of a single one on whether it is over 0.5 */
    double difference; /* the largest; infinite where one has NaN and the other not */
};

struct shadow_verdict shadow_compare(const struct tensor *main,
                                     const struct tensor *other);

#endif
