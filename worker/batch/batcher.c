/* batcher.c - see batcher.h. */
#include "batch/batcher.h"

#include <assert.h>

void batcher_init(struct batcher *batcher, const struct batcher_opts *opts) {
    *batcher = (struct batcher){.opts = *opts};
}

void batcher_release(struct batcher *batcher) {
    fill_stage_release(&batcher->stage);
}

static void close_lane(struct batcher *batcher, int lane) {
    batcher->lane_count--;
    memmove(&batcher->lanes[lane], &batcher->lanes[lane + 1],
            sizeof(batcher->lanes[0]) * (size_t)(batcher->lane_count - lane));
}

/* What has an urgent row is run as such, also where it would have left anyway. */
static void emit_lane(struct batcher *batcher, int lane, enum batch_reason reason) {
    struct batch *batch = batcher->lanes[lane];
    int inputs = model_input_count(batch->model->model);
    close_lane(batcher, lane);
    for (int i = 0; i < inputs; i++) {
        batch->inputs[i].dims[0] = batch->count;
    }
    batch->reason = batch->due_reason == BATCH_PRIORITY ? BATCH_PRIORITY : reason;
    batcher->opts.emit(batcher->opts.opaque, batch);
}

/* The oldest open batch of the model, or lane_count. */
static int oldest_lane(const struct batcher *batcher, int model_index) {
    int lane = 0;
    while (lane < batcher->lane_count &&
           batcher->lanes[lane]->model_index != model_index) {
        lane++;
    }
    return lane;
}

static int count_open(const struct batcher *batcher, int model_index) {
    int count = 0;
    for (int i = 0; i < batcher->lane_count; i++) {
        count += batcher->lanes[i]->model_index == model_index;
    }
    return count;
}

/* A fresh batch for the model.  Where none is free and too many are open, one of these
 * has to go first: otherwise many row shapes could hold all batches open for ever.  With
 * enough under way it would only be run before it is full. */
static struct batch *take_batch(struct batcher *batcher, int model_index) {
    const struct batcher_opts *opts = &batcher->opts;
    struct batch *batch = opts->take(opts->opaque, model_index);
    if (batch == NULL && count_open(batcher, model_index) > opts->open_max) {
        emit_lane(batcher, oldest_lane(batcher, model_index), BATCH_ROOM);
        batch = opts->take(opts->opaque, model_index);
    }
    return batch;
}

static enum status open_lane(struct batcher *batcher, int model_index,
                             const struct fill *fill, int *lane, struct error *err) {
    struct batch *batch;
    enum status status;
    if (batcher->lane_count == BATCHER_LANES_MAX) {
        emit_lane(batcher, 0, BATCH_ROOM);
    }
    batch = take_batch(batcher, model_index);
    if (batch == NULL) {
        return error_set(err, STATUS_AGAIN, "no batch is free");
    }
    status = batch_shape(batch, fill->shapes, fill->length_index, err);
    if (status != STATUS_OK) {
        batcher->opts.give_back(batcher->opts.opaque, batch);
        return status;
    }
    batch->aim = batch_aim_of(batch);
    batch->full_us = batch_cost_ns(batch, batch->aim.rows) / 1000;
    *lane = batcher->lane_count++;
    batcher->lanes[*lane] = batch;
    return STATUS_OK;
}

static enum status find_lane(struct batcher *batcher, int model_index,
                             const struct fill *fill, int *lane, struct error *err) {
    for (int i = 0; i < batcher->lane_count; i++) {
        const struct batch *batch = batcher->lanes[i];
        if (batch->model_index == model_index && batch_fits(batch, fill->shapes)) {
            *lane = i;
            return STATUS_OK;
        }
    }
    return open_lane(batcher, model_index, fill, lane, err);
}

/* Counts the row after the last one, which is filled. */
static void count_row(struct batch *batch, const struct batch_row *row, int64_t now_us) {
    int64_t due_us = now_us + batch->model->linger_us;
    enum batch_reason reason = BATCH_LINGER;
    if (row->run_us - batch->full_us < due_us) {
        due_us = row->run_us - batch->full_us;
        reason = BATCH_DEADLINE;
    }
    if (row->urgent) {
        due_us = now_us;
        reason = BATCH_PRIORITY;
    }
    if (due_us < batch->due_us) {
        batch->due_us = due_us;
        batch->due_reason = reason;
    }
    if (row->deadline_us < batch->deadline_us) {
        batch->deadline_us = row->deadline_us;
    }
    batch->rows[batch->count++] = *row;
}

/* Emits the batch if it has the rows that are aimed at now. */
static void emit_full(struct batcher *batcher, int lane, int64_t now_us) {
    struct batch *batch = batcher->lanes[lane];
    bool late = batch->due_reason == BATCH_DEADLINE && batch->due_us <= now_us;
    if (batch->count >= batch->aim.rows) {
        emit_lane(batcher, lane, late ? BATCH_DEADLINE : batch->aim.reason);
    } else if (batch->count >= batch->aim.early_rows &&
               batcher->opts.idle(batcher->opts.opaque)) {
        batch->aim.rows = batch->count;
        emit_lane(batcher, lane, late ? BATCH_DEADLINE : BATCH_FULL);
    }
}

/* The rows of the job behind its first *placed ones, as many as go into one batch; counts
 * them there and in *placed. */
static enum status place(struct batcher *batcher, int model_index,
                         const struct fill *fill, struct batch_row *row, int64_t now_us,
                         int *placed, struct error *err) {
    struct batch *batch;
    int lane = 0, count, first = *placed;
    enum status status = find_lane(batcher, model_index, fill, &lane, err);
    if (status != STATUS_OK) {
        return status;
    }
    batch = batcher->lanes[lane];
    count = fill->rows - first;
    if (count > batch->aim.rows - batch->count) {
        count = batch->aim.rows - batch->count;
    }
    status = fill_rows(fill, first, count, batch, err);
    if (status != STATUS_OK) {
        return status; /* an empty lane stays open; flushing skips it */
    }
    for (int i = 0; i < count; i++) {
        row->part = first + i;
        count_row(batch, row, now_us);
    }
    *placed = first + count; /* before it is emitted: others may end the job then */
    emit_full(batcher, lane, now_us);
    return STATUS_OK;
}

bool batcher_abandon(struct batcher_progress *progress, int cause,
                     const struct error *reason) {
    struct parts *parts = progress->parts;
    int placed = progress->placed;
    *progress = (struct batcher_progress){.parts = NULL};
    if (parts == NULL) {
        return true;
    }
    if (!parts_fail(parts, parts->rows - placed, cause, reason)) {
        return false; /* whoever brings the last row answers the job */
    }
    parts_give_back(parts);
    return true;
}

static enum status place_many(struct batcher *batcher, int model_index, struct fill *fill,
                              struct batch_row *row, struct batcher_progress *progress,
                              int64_t now_us, struct error *err) {
    enum status status = fill_stage(fill, &batcher->stage, err);
    if (status == STATUS_OK && progress->parts == NULL) {
        progress->parts = parts_take(batcher->opts.parts, fill->rows);
        if (progress->parts == NULL) {
            status = error_set(err, STATUS_NO_MEMORY, "no memory for a job of %d rows",
                               fill->rows);
        }
    }
    row->parts = progress->parts;
    while (status == STATUS_OK && progress->placed < fill->rows) {
        status = place(batcher, model_index, fill, row, now_us, &progress->placed, err);
    }
    if (status == STATUS_OK) {
        *progress = (struct batcher_progress){.parts = NULL};
    } else if (status != STATUS_AGAIN && !batcher_abandon(progress, 0, err)) {
        status = STATUS_OK;
    }
    return status;
}

enum status batcher_add(struct batcher *batcher, int model_index, const struct job *job,
                        const struct batch_row *from, struct batcher_progress *progress,
                        int64_t now_us, struct error *err) {
    struct batch_row row = *from;
    struct fill fill;
    enum status status;
    int placed = 0;
    assert(model_index >= 0);
    assert(model_index < batcher->opts.model_count);
    status = fill_open(&fill, batcher->opts.models[model_index], job, err);
    if (status != STATUS_OK) {
        return status;
    }
    row.id = job->id;
    row.headers = job->headers;
    row.parts = NULL;
    row.length = fill.length;
    return fill.many
               ? place_many(batcher, model_index, &fill, &row, progress, now_us, err)
               : place(batcher, model_index, &fill, &row, now_us, &placed, err);
}

void batcher_flush(struct batcher *batcher, int64_t now_us, bool idle) {
    int lane = 0;
    while (lane < batcher->lane_count) {
        const struct batch *batch = batcher->lanes[lane];
        bool due = batch->due_us <= now_us;
        if (batch->count > 0 && (idle || due)) {
            /* The next one moves into its place. */
            emit_lane(batcher, lane, due ? batch->due_reason : BATCH_IDLE);
        } else {
            lane++;
        }
    }
}

void batcher_empty(struct batcher *batcher, int model_index) {
    int lane;
    while ((lane = oldest_lane(batcher, model_index)) < batcher->lane_count) {
        struct batch *batch = batcher->lanes[lane];
        if (batch->count > 0) {
            emit_lane(batcher, lane, BATCH_ROOM);
        } else {
            close_lane(batcher, lane);
            batcher->opts.give_back(batcher->opts.opaque, batch);
        }
    }
}

int64_t batcher_due_us(const struct batcher *batcher) {
    int64_t due_us = INT64_MAX;
    for (int i = 0; i < batcher->lane_count; i++) {
        if (batcher->lanes[i]->due_us < due_us) {
            due_us = batcher->lanes[i]->due_us;
        }
    }
    return due_us;
}
