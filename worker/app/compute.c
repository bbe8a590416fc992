/* compute.c - see compute.h. */
#include "app/compute.h"

#include <time.h>

#include "app/measure.h"
#include "base/clock.h"
#include "base/fail_job.h"

struct sink {
    const struct compute *compute;
    const char *model;
};

static void on_answered(void *opaque, const struct batch_row *row, struct span result,
                        void *holder) {
    struct sink *sink = opaque;
    if (row->parts != NULL) { /* count_latencies sees to the others */
        metrics_observe(sink->compute->metrics, METRIC_JOB_LATENCY, 0,
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
    failure_settle(sink->compute->failure, row->tag,
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

static void count_batch(struct metrics *metrics, const struct batch *batch,
                        const struct infer_times *times, int64_t wait_us) {
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

static void expire_row(struct failure *failure, const struct batch_row *row,
                       const char *model, int64_t late_us) {
    struct error reason;
    if (row->parts != NULL) { /* its other rows may be anywhere */
        failure_late(late_us, &reason);
        if (!parts_fail(row->parts, 1, FAILURE_TOO_LATE, &reason)) {
            return;
        }
        parts_give_back(row->parts);
    }
    failure_expire(failure, row->tag, model, late_us);
}

/* Takes out the rows that came too late while they waited. */
static void expire_rows(struct failure *failure, struct batch *batch, int64_t now_us) {
    for (int i = batch->count - 1; i >= 0; i--) {
        const struct batch_row *row = &batch->rows[i];
        if (row->deadline_us <= now_us) {
            expire_row(failure, row, batch->model->name, now_us - row->deadline_us);
            batch_drop(batch, i);
        }
    }
}

/* What batches of its model take, for those that come. */
static void note_cost(const struct compute *compute, const struct batch *batch,
                      const struct infer_times *times, int64_t used_ns) {
    intake_note_cost(compute->intake, batch->model_index, times->compute_us);
    if (batch->model->learn != NULL && times->runs == 1) {
        measure_learn(batch, used_ns, compute->metrics);
    }
}

/* Microseconds that it took. */
static int64_t run(const struct compute *compute, int thread, const struct batch *batch) {
    struct sink opaque = {.compute = compute, .model = batch->model->name};
    struct infer_sink sink = {
        .answered = on_answered, .failed = on_failed, .opaque = &opaque};
    struct session *session = loaded_of(batch)->sessions[thread];
    int64_t wait_us = clock_now_us() - batch->rows[0].received_us, from_ns;
    struct shadow_slot *shadow;
    struct infer_times times;
    if (fail_job_is_set()) {
        fail_if_asked(batch);
    }
    shadow = shadow_take(compute->shadows, batch);
    from_ns = batch->model->learn == NULL ? 0 : measure_now_ns();
    infer_run(session, batch, compute->answers, &sink, clock_now_us, &times);
    stream_wake(compute->stream);
    note_cost(compute, batch, &times,
              batch->model->learn == NULL ? 0 : measure_now_ns() - from_ns);
    shadow_give(compute->shadows, shadow, batch, session, &times);
    count_batch(compute->metrics, batch, &times, wait_us);
    return times.compute_us + times.encode_us;
}

void compute_batch(const struct compute *compute, int thread, struct batch *batch) {
    int64_t taken_us = 0;
    if (batch->deadline_us <= clock_now_us()) {
        expire_rows(compute->failure, batch, clock_now_us());
        stream_wake(compute->stream);
    }
    if (batch->count > 0) {
        taken_us = run(compute, thread, batch);
    }
    ready_done(compute->ready, batch, taken_us);
    intake_give_back(compute->intake, batch);
}
