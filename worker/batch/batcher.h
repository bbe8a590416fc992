/* batcher.h - which jobs go together, and when a batch is run.
 *
 * One open batch per model and row shape.  It leaves when it is full, when its oldest
 * job has waited for the model's linger time, when the deadline of one of its jobs is
 * near, or when the caller says that nothing more is waiting.
 *
 * A job of several rows shares batches with others, and is split over several where it is
 * larger than what is free in one.
 *
 * Depends on: batch/fill.h, batch/parts.h.  Knows no Kafka and has no clock.
 * Ownership: an open batch belongs to the batcher; emit() hands it on.
 * Threads: one thread. */
#ifndef MILLRACE_BATCH_BATCHER_H
#define MILLRACE_BATCH_BATCHER_H

#include "batch/batch.h"
#include "batch/fill.h"
#include "batch/parts.h"

#define BATCHER_LANES_MAX 64 /* batches open at once, over all models */

struct batcher_opts {
    /* Borrowed; may be exchanged after batcher_empty, for ones of the same inputs,
     * outputs and rows_max. */
    const struct batch_model *const *models;
    int model_count;
    /* So many batches of a model stay open where none is free: others of it are under way
     * then, and come back.  With more, the oldest has to go first. */
    int open_max;
    struct parts_pool *parts; /* borrowed; for jobs of several rows */
    /* An unused batch of models[model_index]; NULL if there is none. */
    struct batch *(*take)(void *opaque, int model_index);
    /* Has a thread nothing to do? */
    bool (*idle)(void *opaque);
    /* A batch to be run; its inputs' dims[0] are set. */
    void (*emit)(void *opaque, struct batch *batch);
    /* A batch that take() gave and that could not be used. */
    void (*give_back)(void *opaque, struct batch *batch);
    void *opaque;
};

struct batcher {
    struct batcher_opts opts;
    struct batch *lanes[BATCHER_LANES_MAX]; /* open batches, oldest first */
    int lane_count;
    struct fill_stage stage; /* a job of several rows on its way */
};

void batcher_init(struct batcher *batcher, const struct batcher_opts *opts);
/* Open batches are not touched: they are their owner's. */
void batcher_release(struct batcher *batcher);

/* How far a job of several rows has come; zeroed for one that is new. */
struct batcher_progress {
    struct parts *parts;
    int placed;
};

/* Puts a parsed job into batches of its model, which may emit some.  `row` has tag
 * and times; the batch is run early enough to be done at row->run_us, as far as its cost
 * is known, and at once if row->urgent.
 * STATUS_POISON: the job does not fit the model, nothing was changed for others;
 * STATUS_AGAIN: no batch is free; call again with the same job and progress. */
MUST_CHECK enum status batcher_add(struct batcher *batcher, int model_index,
                                   const struct job *job, const struct batch_row *row,
                                   struct batcher_progress *progress, int64_t now_us,
                                   struct error *err);

/* A job that was begun is not gone on with.  True: it has no rows in batches and the
 * caller tells what became of it; otherwise it fails like this once they have been run.
 */
MUST_CHECK bool batcher_abandon(struct batcher_progress *progress, int cause,
                                const struct error *reason);

/* Emits what is due at now_us; everything if `idle`, because then waiting wins nothing.
 */
void batcher_flush(struct batcher *batcher, int64_t now_us, bool idle);

/* No batch of the model is open any more: emits those with rows, gives back the others.
 */
void batcher_empty(struct batcher *batcher, int model_index);

/* When the next open batch is due, INT64_MAX if none is open. */
int64_t batcher_due_us(const struct batcher *batcher);

#endif
