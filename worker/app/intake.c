/* intake.c - see intake.h. */
#include "app/intake.h"

#include "app/backlog.h"
#include "app/batches.h"
#include "app/failure.h"
#include "base/clock.h"
#include "base/fail_job.h"
#include "batch/batcher.h"
#include "codec/job.h"

/* Deadlines further away than this make no difference. */
#define WAIT_MS_MAX ((int64_t)1 << 40)

struct intake {
    struct intake_opts opts;
    struct batcher batcher;
    struct serving serving; /* which version of each model batches are made for */
    struct batches batches;
    struct backlog *backlogs; /* owned; by model */
    struct job job; /* the one being placed; too large for the stack of a callee */
    atomic_bool has_backlog;
    atomic_bool open;
};

static struct record nudge;

struct record *intake_nudge(void) {
    return &nudge;
}

/* ---- batches ---- */

static struct batch *on_take(void *opaque, int model_index) {
    struct intake *intake = opaque;
    return batches_take(&intake->batches, model_index);
}

static void on_emit(void *opaque, struct batch *batch) {
    struct intake *intake = opaque;
    batch->cost_us = batches_cost_of(&intake->batches, batch);
    if (!ready_push(intake->opts.ready, batch, clock_now_us())) {
        intake_give_back(intake, batch); /* stopping: its jobs stay uncommitted */
    }
}

static bool on_idle(void *opaque) {
    const struct intake *intake = opaque;
    return ready_is_idle(intake->opts.ready);
}

static void on_give_back(void *opaque, struct batch *batch) {
    intake_give_back(opaque, batch);
}

void intake_give_back(struct intake *intake, struct batch *batch) {
    batches_give_back(&intake->batches, batch);
}

void intake_note_cost(struct intake *intake, int model, int64_t compute_us) {
    batches_note_cost(&intake->batches, model, compute_us);
}

/* ---- versions ---- */

static void log_change(const struct loaded *from, const struct loaded *to) {
    log_event(LOG_INFO, "model_exchanged", LOG_TEXT("model", to->item.name),
              LOG_TEXT("version", to->version), LOG_TEXT("sha256", to->sha256_text),
              LOG_TEXT("before", from->version),
              LOG_TEXT("before_sha256", from->sha256_text));
}

/* The rows of a job are all of one version: a job that was begun is finished first. */
static bool change_version(struct intake *intake, int model) {
    struct loaded *next = backlog_begun(&intake->backlogs[model]) != NULL
                              ? NULL
                              : serving_next(&intake->serving, model);
    if (next == NULL) {
        return false;
    }
    batcher_empty(&intake->batcher, model);
    log_change(intake->opts.models->items[model], next);
    serving_change(&intake->serving, next);
    if (intake->opts.changed != NULL) {
        intake->opts.changed(intake->opts.version_opaque, next);
    }
    batches_changed(&intake->batches, model); /* its backlog goes on */
    return true;
}

static void change_versions(struct intake *intake) {
    bool changed = false;
    for (int m = 0; m < intake->opts.models->count; m++) {
        changed = change_version(intake, m) || changed;
    }
    if (serving_sweep(&intake->serving)) {
        batches_rebind(&intake->batches);
    }
    if (changed) {
        intake_resume(intake);
    }
}

void intake_offer(struct intake *intake, struct loaded *loaded) {
    serving_offer(&intake->serving, loaded);
}

/* ---- life ---- */

enum status intake_create(const struct intake_opts *opts, struct intake **out,
                          struct error *err) {
    struct intake *intake = calloc(1, sizeof(*intake));
    struct batcher_opts batcher;
    enum status status;
    *out = NULL;
    if (intake == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for the intake");
    }
    intake->opts = *opts;
    status = serving_init(&intake->serving, opts->models, opts->retire,
                          opts->version_opaque, err);
    if (status == STATUS_OK) {
        status = batches_init(&intake->batches, opts->config, &intake->serving, err);
    }
    if (status == STATUS_OK) {
        intake->backlogs = calloc((size_t)opts->models->count, sizeof(*intake->backlogs));
        status = intake->backlogs == NULL
                     ? error_set(err, STATUS_NO_MEMORY, "no memory for the intake")
                     : STATUS_OK;
    }
    if (status != STATUS_OK) {
        intake_destroy(intake);
        return status;
    }
    batcher = (struct batcher_opts){.models = intake->serving.items,
                                    .model_count = opts->models->count,
                                    .open_max = batches_open_max(opts->config),
                                    .parts = opts->parts,
                                    .take = on_take,
                                    .idle = on_idle,
                                    .emit = on_emit,
                                    .give_back = on_give_back,
                                    .opaque = intake};
    batcher_init(&intake->batcher, &batcher);
    *out = intake;
    return STATUS_OK;
}

void intake_destroy(struct intake *intake) {
    if (intake == NULL) {
        return;
    }
    batches_release(&intake->batches);
    batcher_release(&intake->batcher);
    serving_release(&intake->serving);
    free(intake->backlogs);
    free(intake);
}

void intake_stop(struct intake *intake) {
    batches_close(&intake->batches);
}

/* ---- records ---- */

static bool is_urgent(struct record *record, const struct job *job) {
    return record_number(record, JOB_PRIORITY_HEADER, job->priority) > 0;
}

static enum status choose_model(const struct intake *intake, const struct record *record,
                                const struct job *job, int *model, struct error *err) {
    const struct config_route *route = &intake->opts.config->routes[record->route];
    const char *version;
    *model = job->model.size == 0 ? route->model_index
                                  : models_find(intake->opts.models, job->model);
    if (*model < 0 && job->model.size == 0) {
        return error_set(err, STATUS_POISON,
                         "the job names no model and the route of '%s' has no default",
                         route->input);
    }
    if (*model < 0) {
        return error_set(err, STATUS_POISON,
                         "the job names a model that is not configured (a name of %zu "
                         "bytes); configured is '%s'%s",
                         job->model.size, intake->opts.models->items[0]->item.name,
                         intake->opts.models->count > 1 ? " and others" : "");
    }
    version = intake->opts.models->items[*model]->version;
    if (job->version.data != NULL && !span_is(job->version, version)) {
        return error_set(err, STATUS_POISON,
                         "the job asks for another version of model '%s' than '%s'",
                         intake->opts.models->items[*model]->item.name, version);
    }
    return STATUS_OK;
}

/* The job's deadline by the monotonic clock, INT64_MAX for none.  A header of the record
 * serves jobs that have none of their own. */
static int64_t deadline_us(struct record *record, const struct job *job, int64_t now_us) {
    int64_t at_ms = job->has_deadline
                        ? job->deadline_ms
                        : record_number(record, "millrace.deadline_ms", INT64_MAX);
    int64_t left_ms;
    if (at_ms == INT64_MAX) {
        return INT64_MAX;
    }
    left_ms = at_ms < 0 ? -WAIT_MS_MAX : at_ms - clock_wall_ms();
    left_ms = left_ms > WAIT_MS_MAX ? WAIT_MS_MAX : left_ms;
    left_ms = left_ms < -WAIT_MS_MAX ? -WAIT_MS_MAX : left_ms;
    return now_us + left_ms * 1000;
}

/* When a job with that deadline has to be run, but for what its batch takes: after one
 * that may be under way, of its model or of another. */
static int64_t run_us(const struct intake *intake, int model, int64_t row_deadline_us) {
    int64_t before_us = batches_cost_us(&intake->batches, model);
    if (row_deadline_us == INT64_MAX) {
        return INT64_MAX;
    }
    for (int m = 0; m < intake->opts.models->count; m++) {
        int64_t cost_us = batches_cost_us(&intake->batches, m);
        if (cost_us > before_us && ready_runs(intake->opts.ready, m)) {
            before_us = cost_us;
        }
    }
    return row_deadline_us - before_us;
}

/* The job of an envelope, or of a record of the route's. */
static enum status parse(struct intake *intake, struct record *record,
                         struct batch_row *row, bool *waits, struct error *err) {
    const struct config_route *route = &intake->opts.config->routes[record->route];
    *waits = false;
    return route->record == NULL ? job_parse(record->value, &intake->job, err)
                                 : records_parse(intake->opts.records, record,
                                                 &intake->job, row, waits, err);
}

/* ---- the backlog ---- */

static void wait_for_batch(struct intake *intake, struct record *record, int model,
                           const struct batcher_progress *progress) {
    struct backlog *backlog = &intake->backlogs[model];
    backlog_add(backlog, record, is_urgent(record, &intake->job), progress);
}

/* ---- one record ---- */

/* A job whose deadline is over; its rows that are in batches may have to be run first. */
static void expire(struct intake *intake, struct record *record,
                   struct batcher_progress *progress, int64_t late_us, bool *settled) {
    struct error reason;
    failure_late(late_us, &reason);
    if (batcher_abandon(progress, FAILURE_TOO_LATE, &reason)) {
        failure_expire(intake->opts.failure, record, record->model, late_us);
        *settled = true;
    }
}

/* A record without a value deletes its key; so does its answer. */
static bool is_tombstone(const struct config_route *route, const struct record *record) {
    return route->record != NULL && record->value.data == NULL &&
           route->record->tombstones == CONFIG_TOMBSTONES_PASS;
}

/* Into a row, or its backlog.  `progress` is NULL for a record that is new.  STATUS_AGAIN
 * for one of a backlog that has to stay there. */
static enum status place(struct intake *intake, struct record *record,
                         struct batcher_progress *progress, int64_t now_us, bool *settled,
                         struct error *err) {
    const struct config_route *route = &intake->opts.config->routes[record->route];
    struct batcher_progress fresh = {.parts = NULL};
    int model = -1;
    struct batch_row row = {.tag = record,
                            .timestamp_ms = record->timestamp_ms,
                            .received_us = record->received_us};
    struct job *job = &intake->job;
    enum status status;
    bool waits;
    if (record->value.size > (size_t)route->job_bytes_max) {
        return error_set(err, STATUS_POISON,
                         "the job has %zu bytes, over job_bytes_max = %d of the route",
                         record->value.size, route->job_bytes_max);
    }
    if (fail_job_hits(FAIL_NO_MEMORY, record->key, record->attempt)) {
        return error_set(err, STATUS_NO_MEMORY, "no memory, as a test wants it");
    }
    if (is_tombstone(route, record)) {
        record_set_result(record, span_of(NULL, 0), NULL);
        *settled = true;
        return STATUS_OK;
    }
    status = parse(intake, record, &row, &waits, err);
    if (status == STATUS_OK && waits) {
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = choose_model(intake, record, job, &model, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    record->model = intake->opts.models->items[model]->item.name;
    if (progress == NULL && intake->backlogs[model].count > 0) {
        wait_for_batch(intake, record, model, &fresh);
        return STATUS_OK;
    }
    row.deadline_us = deadline_us(record, job, now_us);
    if (row.deadline_us <= now_us) {
        expire(intake, record, progress == NULL ? &fresh : progress,
               now_us - row.deadline_us, settled);
        return STATUS_OK;
    }
    row.run_us = run_us(intake, model, row.deadline_us);
    row.urgent = is_urgent(record, job);
    status = batcher_add(&intake->batcher, model, job, &row,
                         progress == NULL ? &fresh : progress, now_us, err);
    if (status == STATUS_AGAIN && progress == NULL) {
        wait_for_batch(intake, record, model, &fresh);
        return STATUS_OK;
    }
    return status;
}

static void fail(struct intake *intake, struct record *record, const struct error *err,
                 bool *settled) {
    failure_settle(intake->opts.failure, record, METRIC_DEAD_DECODE, record->model,
                   err->status, err->text);
    *settled = true;
}

/* What the next one needs, which other threads have written. */
static void fetch_ahead(const struct record *next) {
    if (next == NULL) {
        return;
    }
    PREFETCH(next->next);
    PREFETCH(next->value.data);
    if (next->value.size > CACHE_LINE) {
        PREFETCH(next->value.data + CACHE_LINE);
    }
}

void intake_chain(struct intake *intake, struct record *chain) {
    int64_t from_us = clock_now_us();
    bool settled = false;
    while (chain != NULL) {
        struct record *record = chain;
        struct error err;
        chain = record->next; /* the record may be gone once it has an outcome */
        fetch_ahead(chain);
        if (place(intake, record, NULL, from_us, &settled, &err) != STATUS_OK) {
            fail(intake, record, &err, &settled);
        }
    }
    if (settled) {
        stream_wake(intake->opts.stream);
    }
    metrics_observe(intake->opts.metrics, METRIC_STAGE_DURATION, METRIC_STAGE_DECODE,
                    clock_now_us() - from_us, 1);
}

/* While another version waits, only what was begun is gone on with. */
static struct backlog_line *next_line(struct intake *intake, int model) {
    struct backlog *backlog = &intake->backlogs[model];
    return serving_awaits(&intake->serving, model) ? backlog_begun(backlog)
                                                   : backlog_next(backlog);
}

static void resume_model(struct intake *intake, int model, int64_t now_us,
                         bool *settled) {
    struct backlog *backlog = &intake->backlogs[model];
    int passed = backlog->passed;
    struct backlog_line *line;
    while ((line = next_line(intake, model)) != NULL) {
        struct record *record = line->first, *next = record->next;
        size_t size = record->value.size;
        struct error err;
        enum status status =
            place(intake, record, &line->progress, now_us, settled, &err);
        if (status == STATUS_AGAIN) {
            backlog->passed = passed; /* nobody was passed over */
            break;
        }
        if (status != STATUS_OK && batcher_abandon(&line->progress, 0, &err)) {
            fail(intake, record, &err, settled);
        }
        backlog_pop(backlog, line, next, size);
        passed = backlog->passed;
    }
}

void intake_resume(struct intake *intake) {
    int64_t from_us = clock_now_us();
    bool settled = false, waiting = false;
    for (int m = 0; m < intake->opts.models->count; m++) {
        struct backlog *backlog = &intake->backlogs[m];
        if (backlog->count > 0 && batches_returned(&intake->batches, m)) {
            resume_model(intake, m, from_us, &settled);
        }
        waiting = waiting || backlog->count > 0;
        metrics_set(intake->opts.metrics, METRIC_JOBS_WAITING, (size_t)m,
                    (int64_t)backlog->count);
    }
    atomic_store(&intake->has_backlog, waiting);
    if (settled) {
        stream_wake(intake->opts.stream);
    }
}

bool intake_wants_batches(const struct intake *intake, int model) {
    size_t half = batches_count(&intake->batches, model) / 2;
    return atomic_load(&intake->has_backlog) &&
           (size_t)ready_waiting_of(intake->opts.ready, model) <= half;
}

void intake_awaited(struct intake *intake) {
    struct record *chain =
        intake->opts.records == NULL ? NULL : records_take(intake->opts.records);
    if (chain != NULL) {
        intake_chain(intake, chain);
    }
}

void intake_flush(struct intake *intake, bool idle) {
    change_versions(intake);
    batcher_flush(&intake->batcher, clock_now_us(), idle);
    ready_wake(intake->opts.ready);
    atomic_store(&intake->open, batcher_due_us(&intake->batcher) != INT64_MAX);
}

int64_t intake_wait_us(const struct intake *intake, int64_t now_us) {
    int64_t due_us = batcher_due_us(&intake->batcher);
    if (due_us == INT64_MAX) {
        return INT64_MAX;
    }
    return due_us > now_us ? due_us - now_us : 0;
}

bool intake_has_open(const struct intake *intake) {
    return atomic_load(&intake->open);
}
