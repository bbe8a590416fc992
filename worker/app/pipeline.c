/* pipeline.c - see pipeline.h. */
#include "app/pipeline.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "app/failure.h"
#include "app/intake.h"
#include "app/measure.h"
#include "app/ready.h"
#include "base/clock.h"
#include "base/fail_job.h"
#include "base/queue.h"
#include "base/thread.h"

enum {
    CHAINS_MAX = 4096, /* the window bounds the records in them */
    POLL_MS = 100,     /* how long stop may have to wait for a thread */
    COMMIT_WAIT_MS = 100,
    STOP_CHECK_US = 100000,
};

struct compute {
    struct pipeline *pipeline;
    int index;    /* of its sessions, in every version of a model */
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
    struct compute *computes;
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

struct sink {
    struct pipeline *pipeline;
    const char *model;
};

static void on_answered(void *opaque, const struct batch_row *row, struct span result,
                        void *holder) {
    struct sink *sink = opaque;
    if (row->parts != NULL) { /* count_latencies sees to the others */
        metrics_observe(sink->pipeline->opts.metrics, METRIC_JOB_LATENCY, 0,
                        clock_now_us() - row->received_us, 1);
    }
    if (row->answer != NULL && row->answer->names_model) {
        const struct answers *answers = holder;
        record_set_model(row->tag, answers->version, answers->sha256);
    }
    record_set_result(row->tag, result, holder);
}

static void on_failed(void *opaque, const struct batch_row *row, int cause,
                      const struct error *reason) {
    struct sink *sink = opaque;
    failure_settle(&sink->pipeline->failures, row->tag,
                   cause == FAILURE_TOO_LATE ? METRIC_DEAD_DEADLINE : METRIC_DEAD_INFER,
                   sink->model, reason->status, reason->text);
}

/* Ends the process, or takes its time, where a test wants to see what comes of that. */
static void fail_if_asked(const struct batch *batch) {
    for (int i = 0; i < batch->count; i++) {
        const struct record *record = batch->rows[i].tag;
        if (fail_job_hits(FAIL_SLOW, record->key, record->attempt)) {
            (void)nanosleep(&(struct timespec){.tv_sec = FAIL_JOB_SLOW_S}, NULL);
        }
        if (fail_job_hits(FAIL_CRASH, record->key, record->attempt)) {
            abort();
        }
    }
}

/* Rows that were polled together share one observation; those of jobs with several are
 * no answers. */
static void count_latencies(struct metrics *metrics, const struct batch *batch,
                            int64_t now_us) {
    for (int first = 0, next; first < batch->count; first = next) {
        int64_t received_us = batch->rows[first].received_us;
        uint64_t count = 0;
        for (next = first;
             next < batch->count && batch->rows[next].received_us == received_us;
             next++) {
            count += batch->rows[next].parts == NULL;
        }
        metrics_observe(metrics, METRIC_JOB_LATENCY, 0, now_us - received_us, count);
    }
}

static void count_steps(struct metrics *metrics, const struct batch *batch) {
    const struct batch_pad *pad = &batch->model->pad;
    size_t model = (size_t)batch->model_index;
    uint64_t steps, filled = 0;
    if (batch->length_index < 0) {
        return;
    }
    steps = (uint64_t)(batch->count * pad->lengths[batch->length_index].length);
    for (int i = 0; i < batch->count; i++) {
        filled += (uint64_t)batch->rows[i].length;
    }
    metrics_add(metrics, METRIC_BATCH_STEPS, model, steps);
    metrics_add(metrics, METRIC_BATCH_PADDING, model, steps - filled);
}

static void count_batch(struct pipeline *pipeline, const struct batch *batch,
                        const struct infer_times *times, int64_t wait_us) {
    struct metrics *metrics = pipeline->opts.metrics;
    size_t model = (size_t)batch->model_index;
    metrics_add(metrics, METRIC_JOBS_ANSWERED, model, (uint64_t)times->answered);
    metrics_add(metrics, METRIC_BATCHES, model, 1);
    metrics_add(metrics, METRIC_BATCH_FLUSHES,
                metrics_label(metrics, METRIC_BATCH_FLUSHES, model, batch->reason), 1);
    metrics_add(metrics, METRIC_BATCH_ROOM, model, (uint64_t)batch->aim.rows);
    metrics_observe(metrics, METRIC_BATCH_ROWS, model, batch->count, 1);
    metrics_observe(metrics, METRIC_BATCH_DURATION, model, times->compute_us, 1);
    metrics_observe(metrics, METRIC_STAGE_DURATION, METRIC_STAGE_WAIT, wait_us, 1);
    metrics_observe(metrics, METRIC_STAGE_DURATION, METRIC_STAGE_COMPUTE,
                    times->compute_us, 1);
    metrics_observe(metrics, METRIC_STAGE_DURATION, METRIC_STAGE_ENCODE, times->encode_us,
                    1);
    count_latencies(metrics, batch, clock_now_us());
    count_steps(metrics, batch);
}

static void expire_row(struct pipeline *pipeline, const struct batch_row *row,
                       const char *model, int64_t late_us) {
    struct error reason;
    if (row->parts != NULL) { /* its other rows may be anywhere */
        failure_late(late_us, &reason);
        if (!parts_fail(row->parts, 1, FAILURE_TOO_LATE, &reason)) {
            return;
        }
        parts_give_back(row->parts);
    }
    failure_expire(&pipeline->failures, row->tag, model, late_us);
}

/* Takes out the rows that came too late while they waited. */
static void expire_rows(struct pipeline *pipeline, struct batch *batch, int64_t now_us) {
    for (int i = batch->count - 1; i >= 0; i--) {
        const struct batch_row *row = &batch->rows[i];
        if (row->deadline_us <= now_us) {
            expire_row(pipeline, row, batch->model->name, now_us - row->deadline_us);
            batch_drop(batch, i);
        }
    }
}

/* What batches of its model take, for those that come. */
static void note_cost(struct pipeline *pipeline, const struct batch *batch,
                      const struct infer_times *times, int64_t used_ns) {
    intake_note_cost(pipeline->intake, batch->model_index, times->compute_us);
    if (batch->model->learn != NULL && times->runs == 1) {
        measure_learn(batch, used_ns, pipeline->opts.metrics);
    }
}

/* Microseconds that it took. */
static int64_t run_batch(struct compute *compute, const struct batch *batch) {
    struct pipeline *pipeline = compute->pipeline;
    struct sink opaque = {.pipeline = pipeline, .model = batch->model->name};
    struct infer_sink sink = {
        .answered = on_answered, .failed = on_failed, .opaque = &opaque};
    struct session *session = loaded_of(batch)->sessions[compute->index];
    int64_t wait_us = clock_now_us() - batch->rows[0].received_us, from_ns;
    struct shadow_slot *shadow;
    struct infer_times times;
    if (fail_job_is_set()) {
        fail_if_asked(batch);
    }
    shadow = shadow_take(pipeline->opts.shadows, batch);
    from_ns = batch->model->learn == NULL ? 0 : measure_now_ns();
    infer_run(session, batch, &pipeline->answers, &sink, clock_now_us, &times);
    stream_wake(pipeline->opts.stream);
    note_cost(pipeline, batch, &times,
              batch->model->learn == NULL ? 0 : measure_now_ns() - from_ns);
    shadow_give(pipeline->opts.shadows, shadow, batch, session, &times);
    count_batch(pipeline, batch, &times, wait_us);
    return times.compute_us + times.encode_us;
}

static void compute_batch(struct compute *compute, struct batch *batch) {
    struct pipeline *pipeline = compute->pipeline;
    int64_t taken_us = 0;
    if (batch->deadline_us <= clock_now_us()) {
        expire_rows(pipeline, batch, clock_now_us());
        stream_wake(pipeline->opts.stream);
    }
    if (batch->count > 0) {
        taken_us = run_batch(compute, batch);
    }
    ready_done(&pipeline->ready, batch, taken_us);
    intake_give_back(pipeline->intake, batch);
    if (intake_has_backlog(pipeline->intake)) {
        pipeline_nudge(pipeline);
    }
}

static void *compute_main(void *opaque) {
    struct compute *compute = opaque;
    struct pipeline *pipeline = compute->pipeline;
    struct health *health = pipeline->opts.health;
    thread_name("compute");
    while (!atomic_load(&pipeline->stopping)) {
        struct batch *batch = ready_pop(&pipeline->ready, 0);
        if (batch == NULL) {
            health_idle(health, compute->stage);
            /* Nothing to compute: rows that wait for company wait for nothing. */
            if (intake_has_open(pipeline->intake)) {
                pipeline_nudge(pipeline);
            }
            batch = ready_pop(&pipeline->ready, STOP_CHECK_US);
        }
        if (batch != NULL) {
            health_busy(health, compute->stage, clock_now_us());
            compute_batch(compute, batch);
        }
    }
    health_idle(health, compute->stage);
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
        struct compute *compute = &pipeline->computes[i];
        char name[24];
        (void)snprintf(name, sizeof(name), "compute-%d", i);
        compute->pipeline = pipeline;
        compute->index = i;
        compute->stage = health_stage_add(pipeline->opts.health, name);
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
        struct compute *compute = &p->computes[i];
        status = start(&compute->thread, &compute->started, compute_main, compute, err);
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
