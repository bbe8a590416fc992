/* pipeline.c - see pipeline.h. */
#include "app/pipeline.h"

#include <pthread.h>
#include <stdio.h>

#include "app/compute.h"
#include "base/clock.h"
#include "base/queue.h"
#include "base/thread.h"

enum {
    CHAINS_MAX = 4096, /* the window bounds the records in them */
    POLL_MS = 100,     /* how long stop may have to wait for a thread */
    COMMIT_WAIT_MS = 100,
    STOP_CHECK_US = 100000,
};

struct compute_thread {
    struct pipeline *pipeline;
    int number;
    size_t stage; /* of health */
    pthread_t thread;
    bool started;
};

struct pipeline {
    struct pipeline_opts opts;
    struct answers_pool answers;
    struct parts_pool parts;
    struct intake *intake;
    struct failure failures;
    struct queue chains; /* struct record *, poll to intake */
    struct ready ready;  /* intake to compute */
    struct compute compute;
    struct compute_thread *computes;
    int compute_count;
    pthread_t poll_thread, intake_thread, commit_thread;
    bool poll_started, intake_started, commit_started;
    size_t poll_stage, commit_stage; /* of health */
    atomic_bool stopping;
    pthread_mutex_t failure_lock;
    bool failed;                  /* under failure_lock */
    char failure[ERROR_TEXT_MAX]; /* under failure_lock; written once */
};

void pipeline_release(void *holder) {
    answers_unref(holder);
}

static void fail(struct pipeline *pipeline, const struct error *err) {
    (void)pthread_mutex_lock(&pipeline->failure_lock); /* fails only on misuse */
    if (!pipeline->failed) {
        (void)snprintf(pipeline->failure, sizeof(pipeline->failure), "%s", err->text);
        pipeline->failed = true;
    }
    (void)pthread_mutex_unlock(&pipeline->failure_lock);
}

int64_t pipeline_held(struct pipeline *pipeline) {
    return later_count(&pipeline->failures.later);
}

const char *pipeline_failure(struct pipeline *pipeline) {
    const char *text;
    (void)pthread_mutex_lock(&pipeline->failure_lock); /* fails only on misuse */
    text = pipeline->failed ? pipeline->failure : NULL;
    (void)pthread_mutex_unlock(&pipeline->failure_lock);
    return text;
}

/* ---- poll ---- */

static void count_received(struct pipeline *pipeline, const struct record *chain) {
    /* One metric update for each run of records of one route, and they come in runs. */
    while (chain != NULL) {
        int route = chain->route;
        uint64_t count = 0;
        for (; chain != NULL && chain->route == route; chain = chain->next) {
            count++;
        }
        metrics_add(pipeline->opts.metrics, METRIC_JOBS_RECEIVED, (size_t)route, count);
    }
}

static void *poll_main(void *opaque) {
    struct pipeline *pipeline = opaque;
    thread_name("poll");
    while (!atomic_load(&pipeline->stopping)) {
        struct record *chain = NULL;
        struct error err;
        enum status status;
        health_busy(pipeline->opts.health, pipeline->poll_stage, clock_now_us());
        status = stream_poll(pipeline->opts.stream, POLL_MS, &chain, &err);
        if (chain != NULL) {
            count_received(pipeline, chain);
            /* The window is smaller than the queue, so this waits only in theory. */
            if (!queue_push(&pipeline->chains, chain, QUEUE_FOREVER)) {
                break;
            }
        }
        if (status == STATUS_FATAL) {
            fail(pipeline, &err);
            break;
        }
    }
    health_idle(pipeline->opts.health, pipeline->poll_stage);
    return NULL;
}

/* ---- intake ---- */

static void *intake_main(void *opaque) {
    struct pipeline *pipeline = opaque;
    thread_name("intake");
    while (!atomic_load(&pipeline->stopping)) {
        int64_t wait_us = intake_wait_us(pipeline->intake, clock_now_us());
        struct record *chain;
        wait_us = wait_us < STOP_CHECK_US ? wait_us : STOP_CHECK_US;
        chain = queue_pop(&pipeline->chains, wait_us);
        if (chain != NULL && chain != intake_nudge()) {
            intake_chain(pipeline->intake, chain);
        }
        intake_resume(pipeline->intake);
        intake_awaited(pipeline->intake);
        chain = later_take(&pipeline->failures.later, clock_now_us());
        if (chain != NULL) {
            intake_chain(pipeline->intake, chain);
        }
        intake_flush(pipeline->intake, queue_count(&pipeline->chains) == 0 &&
                                           ready_waiting(&pipeline->ready) == 0);
    }
    return NULL;
}

void pipeline_nudge(void *opaque) {
    struct pipeline *pipeline = opaque;
    (void)!queue_push(&pipeline->chains, intake_nudge(), 0); /* a hint only */
}

/* ---- compute ---- */

static void *compute_main(void *opaque) {
    struct compute_thread *self = opaque;
    struct pipeline *pipeline = self->pipeline;
    struct health *health = pipeline->opts.health;
    thread_name("compute");
    while (!atomic_load(&pipeline->stopping)) {
        struct batch *batch = ready_pop(&pipeline->ready, 0);
        if (batch == NULL) {
            health_idle(health, self->stage);
            /* Nothing to compute: rows that wait for company wait for nothing. */
            if (intake_has_open(pipeline->intake)) {
                pipeline_nudge(pipeline);
            }
            batch = ready_pop(&pipeline->ready, STOP_CHECK_US);
        }
        if (batch != NULL) {
            int model = batch->model_index;
            health_busy(health, self->stage, clock_now_us());
            compute_batch(&pipeline->compute, self->number, batch);
            if (intake_wants_batches(pipeline->intake, model)) {
                pipeline_nudge(pipeline);
            }
        }
    }
    health_idle(health, self->stage);
    return NULL;
}

/* ---- commit ---- */

static void *commit_main(void *opaque) {
    struct pipeline *pipeline = opaque;
    thread_name("commit");
    while (!atomic_load(&pipeline->stopping)) {
        int64_t from_us = clock_now_us();
        size_t committed = 0;
        struct error err;
        enum status status;
        health_busy(pipeline->opts.health, pipeline->commit_stage, from_us);
        status = stream_commit(pipeline->opts.stream, COMMIT_WAIT_MS, &committed, &err);
        if (committed > 0) {
            metrics_observe(pipeline->opts.metrics, METRIC_STAGE_DURATION,
                            METRIC_STAGE_COMMIT, clock_now_us() - from_us, 1);
        }
        if (status == STATUS_FATAL) {
            fail(pipeline, &err);
            break;
        }
    }
    health_idle(pipeline->opts.health, pipeline->commit_stage);
    return NULL;
}

/* ---- life ---- */

static enum status create_computes(struct pipeline *pipeline, struct error *err) {
    int count = pipeline->opts.config->worker.threads;
    pipeline->computes = calloc((size_t)count, sizeof(*pipeline->computes));
    if (pipeline->computes == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for %d compute threads",
                         count);
    }
    for (int i = 0; i < count; i++) {
        struct compute_thread *thread = &pipeline->computes[i];
        char name[24];
        (void)snprintf(name, sizeof(name), "compute-%d", i);
        thread->pipeline = pipeline;
        thread->number = i;
        thread->stage = health_stage_add(pipeline->opts.health, name);
        pipeline->compute_count++;
    }
    metrics_set(pipeline->opts.metrics, METRIC_COMPUTE_THREADS, 0, count);
    return STATUS_OK;
}

enum status pipeline_create(const struct pipeline_opts *opts, struct pipeline **out,
                            struct error *err) {
    struct pipeline *pipeline = calloc(1, sizeof(*pipeline));
    struct intake_opts intake = {.config = opts->config,
                                 .models = opts->models,
                                 .records = opts->records,
                                 .changed = opts->changed,
                                 .retire = opts->retire,
                                 .version_opaque = opts->version_opaque,
                                 .metrics = opts->metrics,
                                 .stream = opts->stream};
    enum status status;
    *out = NULL;
    if (pipeline == NULL || !later_init(&pipeline->failures.later) ||
        !answers_pool_init(&pipeline->answers) || !parts_pool_init(&pipeline->parts)) {
        free(pipeline);
        return error_set(err, STATUS_NO_MEMORY, "no memory for the pipeline");
    }
    pipeline->opts = *opts;
    pipeline->failures.config = opts->config;
    pipeline->failures.metrics = opts->metrics;
    intake.failure = &pipeline->failures;
    intake.parts = &pipeline->parts;
    (void)pthread_mutex_init(&pipeline->failure_lock, NULL); /* cannot fail on Linux */
    pipeline->poll_stage = health_stage_add(opts->health, "poll");
    pipeline->commit_stage = health_stage_add(opts->health, "commit");
    intake.ready = &pipeline->ready;
    if (!queue_init(&pipeline->chains, CHAINS_MAX)) {
        status = error_set(err, STATUS_NO_MEMORY, "no memory for the queues");
        goto done;
    }
    status = ready_init(&pipeline->ready, opts->models, err);
    if (status == STATUS_OK) {
        status = create_computes(pipeline, err);
    }
    if (status == STATUS_OK) {
        status = intake_create(&intake, &pipeline->intake, err);
    }
    pipeline->compute = (struct compute){.stream = opts->stream,
                                         .metrics = opts->metrics,
                                         .shadows = opts->shadows,
                                         .failure = &pipeline->failures,
                                         .answers = &pipeline->answers,
                                         .ready = &pipeline->ready,
                                         .intake = pipeline->intake};
done:
    if (status != STATUS_OK) {
        pipeline_destroy(pipeline);
        return status;
    }
    *out = pipeline;
    return STATUS_OK;
}

void pipeline_offer(struct pipeline *pipeline, struct loaded *loaded) {
    intake_offer(pipeline->intake, loaded);
}

static enum status start(pthread_t *thread, bool *started, void *(*thread_main)(void *),
                         void *opaque, struct error *err) {
    int failure = pthread_create(thread, NULL, thread_main, opaque);
    if (failure != 0) {
        return error_set(err, STATUS_FATAL, "cannot start a thread (error %d)", failure);
    }
    *started = true;
    return STATUS_OK;
}

enum status pipeline_start(struct pipeline *p, struct error *err) {
    enum status status = STATUS_OK;
    for (int i = 0; i < p->compute_count && status == STATUS_OK; i++) {
        struct compute_thread *self = &p->computes[i];
        status = start(&self->thread, &self->started, compute_main, self, err);
    }
    if (status == STATUS_OK) {
        status = start(&p->commit_thread, &p->commit_started, commit_main, p, err);
    }
    if (status == STATUS_OK) {
        status = start(&p->intake_thread, &p->intake_started, intake_main, p, err);
    }
    if (status == STATUS_OK) {
        status = start(&p->poll_thread, &p->poll_started, poll_main, p, err);
    }
    if (status != STATUS_OK) {
        pipeline_stop(p);
    }
    return status;
}

static void join(pthread_t thread, bool *started) {
    if (*started) {
        (void)pthread_join(thread, NULL); /* fails only on misuse */
        *started = false;
    }
}

void pipeline_stop(struct pipeline *pipeline) {
    atomic_store(&pipeline->stopping, true);
    intake_stop(pipeline->intake);
    queue_close(&pipeline->chains);
    ready_close(&pipeline->ready);
    stream_wake(pipeline->opts.stream);
    join(pipeline->poll_thread, &pipeline->poll_started);
    join(pipeline->intake_thread, &pipeline->intake_started);
    for (int i = 0; i < pipeline->compute_count; i++) {
        join(pipeline->computes[i].thread, &pipeline->computes[i].started);
    }
    join(pipeline->commit_thread, &pipeline->commit_started);
}

void pipeline_destroy(struct pipeline *pipeline) {
    if (pipeline == NULL) {
        return;
    }
    free(pipeline->computes);
    intake_destroy(pipeline->intake);
    queue_release(&pipeline->chains);
    ready_release(&pipeline->ready);
    answers_pool_release(&pipeline->answers);
    parts_pool_release(&pipeline->parts);
    later_release(&pipeline->failures.later);
    (void)pthread_mutex_destroy(&pipeline->failure_lock); /* fails only while locked */
    free(pipeline);
}
