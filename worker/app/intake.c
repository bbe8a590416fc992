/* intake.c - see intake.h. */
#include "app/intake.h"

#include "app/backlog.h"
#include "app/failure.h"
#include "base/clock.h"
#include "base/fail_job.h"
#include "batch/batcher.h"
#include "codec/job.h"

/* Deadlines further away than this make no difference. */
#define WAIT_MS_MAX ((int64_t)1 << 40)

/* Batches of a model beyond those that are needed: how many, what they may take to be
 * run, and how large they may be, all together. */
#define SPARE_MAX 16
#define SPARE_US 2000
#define SPARE_SIZE_MAX ((size_t)1 << 20)

struct intake {
    struct intake_opts opts;
    struct batcher batcher;
    struct serving serving; /* which version of each model batches are made for */
    struct queue *unused;   /* one per model: batches to be filled */
    int queue_count;
    struct batch **all; /* every batch, to be freed at the end */
    int all_count;
    struct job job; /* the one being placed; too large for the stack of a callee */
    _Atomic int64_t *costs_us; /* owned; by model: what a batch takes */
    struct backlog *backlogs;  /* owned; by model */
    atomic_bool *returned;     /* owned; by model: a batch has come back */
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
    struct batch *batch = queue_pop(&intake->unused[model_index], 0);
    if (batch != NULL) {
        serving_rebind(&intake->serving, batch);
    }
    return batch;
}

static int64_t expected_us(const struct intake *intake, const struct batch *batch) {
    int64_t ns = batch_cost_ns(batch, batch->count);
    return ns > 0 ? (ns + 999) / 1000
                  : atomic_load(&intake->costs_us[batch->model_index]);
}

static void on_emit(void *opaque, struct batch *batch) {
    struct intake *intake = opaque;
    batch->cost_us = expected_us(intake, batch);
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
    /* There is room for all; a closed queue only means that nobody wants it now. */
    (void)!queue_push(&intake->unused[batch->model_index], batch, 0);
    atomic_store(&intake->returned[batch->model_index], true);
}

/* Enough that each compute thread has one, one more waits for it, and the intake can
 * fill another meanwhile; one for each length, where rows are padded. */
static int batches_needed(const struct config *config) {
    size_t lengths = 1;
    for (size_t i = 0; i < config->model_count; i++) {
        size_t own = config->models[i].pad_length_count;
        lengths = own > lengths ? own : lengths;
    }
    return config->worker.threads * 3 + 1 + (int)lengths;
}

/* More of those that are small and quickly run, so that threads need not hand over each
 * one alone. */
static int batches_to_spare(const struct batch_model *item, int64_t cost_us) {
    size_t size = batch_fixed_size(item);
    int spare = SPARE_MAX;
    if (item->cost.count == 0 || size == 0) {
        return 0;
    }
    while (spare > 0 &&
           (spare * cost_us > SPARE_US || size > SPARE_SIZE_MAX / (size_t)spare)) {
        spare--;
    }
    return spare;
}

static enum status create_batches_of(struct intake *intake, int m, struct error *err) {
    const struct batch_model *item = &intake->opts.models->items[m]->item;
    int64_t cost_us = cost_ns(&item->cost, item->aim.rows) / 1000;
    int count = batches_needed(intake->opts.config) + batches_to_spare(item, cost_us);
    atomic_store(&intake->costs_us[m], cost_us);
    if (!queue_init(&intake->unused[m], (size_t)count)) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a queue");
    }
    intake->queue_count++;
    for (int i = 0; i < count; i++) {
        struct batch **batch = &intake->all[intake->all_count];
        enum status status = batch_create(item, m, batch, err);
        if (status != STATUS_OK) {
            return status;
        }
        intake->all_count++;
        serving_adopt(&intake->serving, *batch);
        intake_give_back(intake, *batch);
    }
    return STATUS_OK;
}

static enum status create_batches(struct intake *intake, struct error *err) {
    const struct models *models = intake->opts.models;
    size_t most =
        (size_t)models->count * (size_t)(batches_needed(intake->opts.config) + SPARE_MAX);
    enum status status = STATUS_OK;
    intake->unused = calloc((size_t)models->count, sizeof(*intake->unused));
    intake->all = calloc(most, sizeof(struct batch *));
    intake->costs_us = calloc((size_t)models->count, sizeof(*intake->costs_us));
    intake->backlogs = calloc((size_t)models->count, sizeof(*intake->backlogs));
    intake->returned = calloc((size_t)models->count, sizeof(*intake->returned));
    if (intake->unused == NULL || intake->all == NULL || intake->costs_us == NULL ||
        intake->backlogs == NULL || intake->returned == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for batches");
    }
    for (int m = 0; m < models->count && status == STATUS_OK; m++) {
        status = create_batches_of(intake, m, err);
    }
    return status;
}

/* ---- versions ---- */

/* Unused batches are made for the current version, so that an old one can leave though no
 * job comes. */
static void rebind_unused(struct intake *intake) {
    for (int m = 0; m < intake->queue_count; m++) {
        for (size_t left = queue_count(&intake->unused[m]); left > 0; left--) {
            struct batch *batch = queue_pop(&intake->unused[m], 0);
            if (batch == NULL) {
                break;
            }
            serving_rebind(&intake->serving, batch);
            intake_give_back(intake, batch);
        }
    }
}

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
    atomic_store(&intake->returned[model], true); /* its backlog goes on */
    return true;
}

static void change_versions(struct intake *intake) {
    bool changed = false;
    for (int m = 0; m < intake->queue_count; m++) {
        changed = change_version(intake, m) || changed;
    }
    if (serving_sweep(&intake->serving)) {
        rebind_unused(intake);
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
        status = create_batches(intake, err);
    }
    if (status != STATUS_OK) {
        intake_destroy(intake);
        return status;
    }
    batcher = (struct batcher_opts){.models = intake->serving.items,
                                    .model_count = opts->models->count,
                                    .open_max = batches_needed(opts->config) -
                                                opts->config->worker.threads - 1,
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
    for (int i = 0; i < intake->queue_count; i++) {
        queue_release(&intake->unused[i]);
    }
    for (int i = 0; i < intake->all_count; i++) {
        batch_destroy(intake->all[i]);
    }
    batcher_release(&intake->batcher);
    serving_release(&intake->serving);
    free(intake->costs_us);
    free(intake->backlogs);
    free(intake->returned);
    free(intake->unused);
    free(intake->all);
    free(intake);
}

void intake_stop(struct intake *intake) {
    for (int i = 0; i < intake->queue_count; i++) {
        queue_close(&intake->unused[i]);
    }
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
    int64_t before_us = atomic_load(&intake->costs_us[model]);
    if (row_deadline_us == INT64_MAX) {
        return INT64_MAX;
    }
    for (int m = 0; m < intake->opts.models->count; m++) {
        int64_t cost_us = atomic_load(&intake->costs_us[m]);
        if (cost_us > before_us && ready_runs(intake->opts.ready, m)) {
            before_us = cost_us;
        }
    }
    return row_deadline_us - before_us;
}

void intake_note_cost(struct intake *intake, int model, int64_t compute_us) {
    /* Slow batches count at once, fast ones little by little. */
    int64_t before_us = atomic_load(&intake->costs_us[model]);
    atomic_store(&intake->costs_us[model],
                 compute_us > before_us ? compute_us : (7 * before_us + compute_us) / 8);
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
        if (backlog->count > 0 && atomic_exchange(&intake->returned[m], false)) {
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
    size_t half = intake->unused[model].capacity / 2;
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
