/* intake.h - from a record's bytes to a row of a batch: decode, check, place.
 *
 * A record that is no job, or fits no model, is set dead here, alone.
 *
 * Depends on: app/models.h, batch/batcher.h, codec/job.h, stream/record.h.
 * Ownership: owns the batches and hands them out to be run; what is borrowed in
 * struct intake_opts outlives it.
 * Threads: one intake thread; intake_note_cost, intake_give_back, intake_offer,
 * intake_has_open, intake_wants_batches, intake_nudge and intake_stop on any. */
#ifndef MILLRACE_APP_INTAKE_H
#define MILLRACE_APP_INTAKE_H

#include "app/failure.h"
#include "app/metrics.h"
#include "app/ready.h"
#include "app/records.h"
#include "app/serving.h"
#include "base/queue.h"
#include "stream/stream.h"

struct intake_opts {
    const struct config *config;
    struct models *models; /* the current versions; changed by the intake thread alone */
    struct records *records; /* NULL where no route has records */
    struct metrics *metrics;
    struct failure *failure;
    struct stream *stream;
    struct parts_pool *parts;
    /* A version serves from now on; one is not used any more, and taken.  May be NULL. */
    void (*changed)(void *opaque, const struct loaded *loaded);
    void (*retire)(void *opaque, struct loaded *loaded);
    void *version_opaque;
    struct ready *ready; /* where full batches go */
};

struct intake;

MUST_CHECK enum status intake_create(const struct intake_opts *opts,
                                     struct intake **intake, struct error *err);
/* Accepts NULL.  All batches are back, or the threads that hold them have ended. */
void intake_destroy(struct intake *intake);

/* Places a chain of records. */
void intake_chain(struct intake *intake, struct record *chain);

/* Places records whose schema has become known. */
void intake_awaited(struct intake *intake);

/* Takes the version, which is like the current one, to serve between two batches. */
void intake_offer(struct intake *intake, struct loaded *loaded);

/* Places records that waited for a batch, as far as some are free now. */
void intake_resume(struct intake *intake);

/* A batch of the model has been run: is it time to fill some again? */
bool intake_wants_batches(const struct intake *intake, int model);

/* Sends off what is due, and everything if `idle`; changes versions. */
void intake_flush(struct intake *intake, bool idle);

/* Microseconds until a batch is due, 0 if one is. */
int64_t intake_wait_us(const struct intake *intake, int64_t now_us);

/* What a batch of the model took. */
void intake_note_cost(struct intake *intake, int model, int64_t compute_us);

/* A batch that has been run. */
void intake_give_back(struct intake *intake, struct batch *batch);

/* Do rows wait for company? */
bool intake_has_open(const struct intake *intake);

/* What a compute thread without work pushes into the intake's queue of chains, so that
 * rows do not wait for company while processors idle. */
struct record *intake_nudge(void);

/* Ends every wait of the intake thread. */
void intake_stop(struct intake *intake);

#endif
