/* batcher.c - see batcher.h. */
#include "batch/batcher.h"

#include <assert.h>
#include <math.h>

#include "base/size.h"

void batcher_init(struct batcher *batcher, const struct batcher_opts *opts) {
    *batcher = (struct batcher){.opts = *opts};
}

static void emit_lane(struct batcher *batcher, int lane, enum batch_reason reason) {
    struct batch *batch = batcher->lanes[lane];
    int inputs = model_input_count(batch->model->model);
    batcher->lane_count--;
    memmove(&batcher->lanes[lane], &batcher->lanes[lane + 1],
            sizeof(batcher->lanes[0]) * (size_t)(batcher->lane_count - lane));
    for (int i = 0; i < inputs; i++) {
        batch->inputs[i].dims[0] = batch->count;
    }
    batch->reason = reason;
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

/* A fresh batch for the model.  Where none is free, an open one of the same model has
 * to go first: otherwise many row shapes could hold all batches open for ever. */
static struct batch *take_batch(struct batcher *batcher, int model_index) {
    const struct batcher_opts *opts = &batcher->opts;
    struct batch *batch = opts->take(opts->opaque, model_index, false);
    if (batch == NULL) {
        int lane = oldest_lane(batcher, model_index);
        if (lane < batcher->lane_count) {
            emit_lane(batcher, lane, BATCH_ROOM);
        }
        batch = opts->take(opts->opaque, model_index, true);
    }
    return batch;
}

static enum status open_lane(struct batcher *batcher, int model_index,
                             const struct row_shape *shapes, int *lane,
                             struct error *err) {
    struct batch *batch;
    enum status status;
    if (batcher->lane_count == BATCHER_LANES_MAX) {
        emit_lane(batcher, 0, BATCH_ROOM);
    }
    batch = take_batch(batcher, model_index);
    if (batch == NULL) {
        return error_set(err, STATUS_AGAIN, "the worker is stopping");
    }
    status = batch_shape(batch, shapes, err);
    if (status != STATUS_OK) {
        batcher->opts.give_back(batcher->opts.opaque, batch);
        return status;
    }
    *lane = batcher->lane_count++;
    batcher->lanes[*lane] = batch;
    return STATUS_OK;
}

static enum status find_lane(struct batcher *batcher, int model_index,
                             const struct row_shape *shapes, int *lane,
                             struct error *err) {
    for (int i = 0; i < batcher->lane_count; i++) {
        const struct batch *batch = batcher->lanes[i];
        if (batch->model_index == model_index && batch_fits(batch, shapes)) {
            *lane = i;
            return STATUS_OK;
        }
    }
    return open_lane(batcher, model_index, shapes, lane, err);
}

/* Which of the job's tensors is which input: of_input[i] indexes job->inputs. */
static enum status match_inputs(const struct batch_model *model, const struct job *job,
                                int *of_input, struct error *err) {
    int wanted = model_input_count(model->model);
    if (job->input_count != wanted) {
        return error_set(err, STATUS_POISON, "the job has %d inputs, model '%s' takes %d",
                         job->input_count, model->name, wanted);
    }
    for (int i = 0; i < wanted; i++) {
        of_input[i] = -1;
    }
    for (int i = 0; i < job->input_count; i++) {
        int input = model_input_find(model->model, job->inputs[i].name);
        if (input < 0 || of_input[input] >= 0) {
            return error_set(err, STATUS_POISON,
                             "input %d of the job has a name that model '%s' does not "
                             "have, or has twice; its first input is '%s'",
                             i, model->name, model_input(model->model, 0)->name);
        }
        of_input[input] = i;
    }
    return STATUS_OK;
}

static bool all_finite(const struct batch *batch, int input, int row) {
    const struct tensor *x = &batch->inputs[input];
    const void *data = batch_at(batch, input, row);
    bool finite = true;
    if (x->dtype == DTYPE_F32) {
        const float *values = data;
        for (size_t i = 0; i < batch->row_size[input] / sizeof(float); i++) {
            finite &= isfinite(values[i]) != 0;
        }
    } else if (x->dtype == DTYPE_F64) {
        const double *values = data;
        for (size_t i = 0; i < batch->row_size[input] / sizeof(double); i++) {
            finite &= isfinite(values[i]) != 0;
        }
    } else if (x->dtype == DTYPE_F16 || x->dtype == DTYPE_BF16) {
        /* An exponent of all ones is an infinity or NaN (IEEE 754). */
        const uint16_t *values = data;
        uint16_t exponent = x->dtype == DTYPE_F16 ? 0x7c00 : 0x7f80;
        for (size_t i = 0; i < batch->row_size[input] / sizeof(uint16_t); i++) {
            finite &= (values[i] & exponent) != exponent;
        }
    }
    return finite;
}

/* Copies the job's elements into the row after the last one, without counting it. */
static enum status fill_row(const struct batch *batch, const struct job *job,
                            const int *of_input, struct error *err) {
    int inputs = model_input_count(batch->model->model);
    for (int i = 0; i < inputs; i++) {
        const struct tensor *x = &batch->inputs[i];
        size_t count = batch->row_size[i] / dtype_size(x->dtype);
        enum status status = job_fill(&job->inputs[of_input[i]], x->dtype, count,
                                      batch_at(batch, i, batch->count), err);
        if (status != STATUS_OK) {
            return error_prefix(err, "input '%s'",
                                model_input(batch->model->model, i)->name);
        }
        if (batch->model->nan_rejected && !all_finite(batch, i, batch->count)) {
            return error_set(err, STATUS_POISON,
                             "input '%s' holds NaN or an infinity, which model '%s' is "
                             "configured to reject (nan = \"reject\")",
                             model_input(batch->model->model, i)->name,
                             batch->model->name);
        }
    }
    return STATUS_OK;
}

/* The row's dimensions of every input, from the job's shapes and the model's. */
static enum status row_shapes(const struct batch_model *model, const struct job *job,
                              const int *of_input, struct row_shape *shapes,
                              struct error *err) {
    int inputs = model_input_count(model->model);
    for (int i = 0; i < inputs; i++) {
        const struct model_port *port = model_input(model->model, i);
        enum status status =
            job_shape_check(&job->inputs[of_input[i]], &port->type.dims[1],
                            port->type.rank - 1, shapes[i].dims, err);
        if (status != STATUS_OK) {
            return error_prefix(err, "input '%s'", port->name);
        }
    }
    return STATUS_OK;
}

/* Counts the row after the last one, which is filled. */
static void count_row(struct batch *batch, const struct batch_row *row, int64_t now_us) {
    int64_t due_us = now_us + batch->model->linger_us;
    enum batch_reason reason = BATCH_LINGER;
    if (row->run_us < due_us) {
        due_us = row->run_us;
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

enum status batcher_add(struct batcher *batcher, int model_index, const struct job *job,
                        const struct batch_row *from, int64_t now_us, struct error *err) {
    struct row_shape shapes[MODEL_INPUTS_MAX];
    int of_input[MODEL_INPUTS_MAX];
    const struct batch_model *model;
    struct batch *batch;
    struct batch_row row = *from;
    enum status status;
    int lane = 0;
    assert(model_index >= 0);
    assert(model_index < batcher->opts.model_count);
    model = &batcher->opts.models[model_index];
    status = match_inputs(model, job, of_input, err);
    if (status == STATUS_OK) {
        status = row_shapes(model, job, of_input, shapes, err);
    }
    if (status == STATUS_OK) {
        status = find_lane(batcher, model_index, shapes, &lane, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    batch = batcher->lanes[lane];
    status = fill_row(batch, job, of_input, err);
    if (status != STATUS_OK) {
        return status; /* an empty lane stays open; flushing skips it */
    }
    row.id = job->id;
    row.headers = job->headers;
    count_row(batch, &row, now_us);
    if (batch->count == model->rows_max) {
        emit_lane(batcher, lane, BATCH_FULL);
    }
    return STATUS_OK;
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

int64_t batcher_due_us(const struct batcher *batcher) {
    int64_t due_us = INT64_MAX;
    for (int i = 0; i < batcher->lane_count; i++) {
        if (batcher->lanes[i]->due_us < due_us) {
            due_us = batcher->lanes[i]->due_us;
        }
    }
    return due_us;
}
