/* pipeline.h - the threads of a worker and the queues between them.
 *
 *     poll ──chains──► intake ──batches──► compute 1..N ──outcomes──► commit
 *     (stream)         (decode, batch)     (infer, encode)            (stream)
 *
 * Every queue is bounded.  Backwards flow only empty batches, and the window's room.
 *
 * Depends on: all layers.
 * Ownership: the pipeline borrows models, stream, metrics and health, and owns its
 * threads, queues and batches.
 * Threads: pipeline_* on the main thread, pipeline_offer on any. */
#ifndef MILLRACE_APP_PIPELINE_H
#define MILLRACE_APP_PIPELINE_H

#include "app/health.h"
#include "app/metrics.h"
#include "app/models.h"
#include "app/shadow.h"
#include "batch/infer.h"
#include "stream/stream.h"

struct pipeline_opts {
    const struct config *config;
    struct models *models;   /* loaded with a session for each of worker.threads */
    struct records *records; /* NULL where no route has records */
    struct metrics *metrics;
    struct health *health;
    void (*changed)(void *opaque, const struct loaded *loaded); /* see intake.h */
    void (*retire)(void *opaque, struct loaded *loaded);
    void *version_opaque;
    struct shadows *shadows; /* NULL for none */
    struct stream *stream;   /* opened with pipeline_release as its release hook */
};

struct pipeline;

/* Creates queues and batches; no thread runs yet, and health gets its stages. */
MUST_CHECK enum status pipeline_create(const struct pipeline_opts *opts,
                                       struct pipeline **pipeline, struct error *err);

/* Starts the threads. */
MUST_CHECK enum status pipeline_start(struct pipeline *pipeline, struct error *err);

/* Takes a version of a model, which is like the current one, to serve between two
 * batches.
 */
void pipeline_offer(struct pipeline *pipeline, struct loaded *loaded);

/* Why a thread had to end the worker, or NULL while all is well. */
const char *pipeline_failure(struct pipeline *pipeline);

/* Jobs that are put off in their place. */
int64_t pipeline_held(struct pipeline *pipeline);

/* Stops and joins the threads; what is in flight stays uncommitted.  Drain the stream
 * first to finish it. */
void pipeline_stop(struct pipeline *pipeline);

/* After pipeline_stop and stream_close, since records may hold answers until then. */
void pipeline_destroy(struct pipeline *pipeline);

/* Has the intake thread look for what has become possible. */
void pipeline_nudge(void *pipeline);

/* The release hook for struct stream_opts. */
void pipeline_release(void *holder);

#endif
