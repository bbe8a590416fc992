/* fill.c - see fill.h. */
#include "batch/fill.h"

#include <assert.h>
#include <math.h>

#include "base/copy.h"
#include "base/size.h"
#include "batch/pad.h"

/* ---- which, and of what shape ---------------------------------------------------- */

static enum status match_inputs(struct fill *fill, struct error *err) {
    const struct batch_model *model = fill->model;
    const struct job *job = fill->job;
    int wanted = model_input_count(model->model);
    if (job->input_count != wanted) {
        return error_set(err, STATUS_POISON, "the job has %d inputs, model '%s' takes %d",
                         job->input_count, model->name, wanted);
    }
    for (int i = 0; i < wanted; i++) {
        fill->of_input[i] = -1;
        fill->staged[i] = NULL;
    }
    for (int i = 0; i < job->input_count; i++) {
        int input = model_input_find(model->model, job->inputs[i].name);
        if (input < 0 || fill->of_input[input] >= 0) {
            return error_set(err, STATUS_POISON,
                             "input %d of the job has a name that model '%s' does not "
                             "have, or has twice; its first input is '%s'",
                             i, model->name, model_input(model->model, 0)->name);
        }
        fill->of_input[input] = i;
    }
    return STATUS_OK;
}

/* The row's dimensions of every input, from the job's shapes and the model's, and the
 * rows, in which the inputs have to agree. */
static enum status row_shapes(struct fill *fill, struct error *err) {
    int inputs = model_input_count(fill->model->model);
    fill->many = false;
    for (int i = 0; i < inputs; i++) {
        const struct model_port *port = model_input(fill->model->model, i);
        int rows;
        enum status status =
            job_shape_check(&fill->job->inputs[fill->of_input[i]], &port->type.dims[1],
                            port->type.rank - 1, fill->shapes[i].dims, &rows, err);
        if (status != STATUS_OK) {
            return error_prefix(err, "input '%s'", port->name);
        }
        if (i > 0 && fill->rows != (rows < 0 ? 1 : rows)) {
            return error_set(err, STATUS_POISON,
                             "input '%s' has %d rows, but '%s' has %d", port->name,
                             rows < 0 ? 1 : rows,
                             model_input(fill->model->model, 0)->name, fill->rows);
        }
        fill->rows = rows < 0 ? 1 : rows;
        fill->many = fill->many || rows >= 0;
    }
    return STATUS_OK;
}

enum status fill_open(struct fill *fill, const struct batch_model *model,
                      const struct job *job, struct error *err) {
    enum status status;
    fill->model = model;
    fill->job = job;
    fill->rows = 1;
    fill->length = 0;
    fill->length_index = -1;
    status = match_inputs(fill, err);
    if (status == STATUS_OK) {
        status = row_shapes(fill, err);
    }
    if (status == STATUS_OK && model->pad.count > 0) {
        status = pad_shapes(model, fill->shapes, &fill->length, &fill->length_index, err);
    }
    return status;
}

/* ---- elements -------------------------------------------------------------------- */

static bool all_finite(enum dtype dtype, const void *data, size_t count) {
    bool finite = true;
    if (dtype == DTYPE_F32) {
        const float *values = data;
        for (size_t i = 0; i < count; i++) {
            finite &= isfinite(values[i]) != 0;
        }
    } else if (dtype == DTYPE_F64) {
        const double *values = data;
        for (size_t i = 0; i < count; i++) {
            finite &= isfinite(values[i]) != 0;
        }
    } else if (dtype == DTYPE_F16 || dtype == DTYPE_BF16) {
        /* An exponent of all ones is an infinity or NaN (IEEE 754). */
        const uint16_t *values = data;
        uint16_t exponent = dtype == DTYPE_F16 ? 0x7c00 : 0x7f80;
        for (size_t i = 0; i < count; i++) {
            finite &= (values[i] & exponent) != exponent;
        }
    }
    return finite;
}

/* Input `i` of the job, `count` elements of it, to `to`. */
static enum status fill_input(const struct fill *fill, int i, size_t count, void *to,
                              struct error *err) {
    const struct model_port *port = model_input(fill->model->model, i);
    enum status status =
        job_fill(&fill->job->inputs[fill->of_input[i]], port->type.dtype, count, to, err);
    if (status != STATUS_OK) {
        return error_prefix(err, "input '%s'", port->name);
    }
    if (fill->model->nan_rejected && !all_finite(port->type.dtype, to, count)) {
        return error_set(err, STATUS_POISON,
                         "input '%s' holds NaN or an infinity, which model '%s' is "
                         "configured to reject (nan = \"reject\")",
                         port->name, fill->model->name);
    }
    return STATUS_OK;
}

/* Input `i` of the job, `rows` rows of it, which have `count` elements once padded. */
static enum status fill_padded(const struct fill *fill, int i, int rows, size_t count,
                               void *to, struct error *err) {
    const struct tensor *type = &model_input(fill->model->model, i)->type;
    const struct batch_pad *pad = &fill->model->pad;
    int axis = fill->length > 0 ? pad->input_axis[i] : -1;
    struct pad_layout layout;
    int64_t padded;
    enum status status;
    if (axis < 0) {
        return fill_input(fill, i, count, to, err);
    }
    padded = pad->lengths[fill->length_index].length;
    status = fill_input(fill, i, count / (size_t)padded * (size_t)fill->length, to, err);
    if (status != STATUS_OK) {
        return status;
    }
    layout = pad_layout(type->dtype, fill->shapes[i].dims, type->rank - 1, axis);
    layout.count *= (size_t)rows;
    pad_spread(to, layout, fill->length, padded);
    return STATUS_OK;
}

/* ---- several rows ---------------------------------------------------------------- */

static enum status stage_reserve(struct fill_stage *stage, int i, size_t size,
                                 struct error *err) {
    if (size <= stage->room[i] && stage->data[i] != NULL) {
        return STATUS_OK;
    }
    free(stage->data[i]);
    stage->data[i] = malloc(size_max(size, 1));
    stage->room[i] = stage->data[i] == NULL ? 0 : size;
    if (stage->data[i] == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for %zu bytes of a job", size);
    }
    return STATUS_OK;
}

enum status fill_stage(struct fill *fill, struct fill_stage *stage, struct error *err) {
    int inputs = model_input_count(fill->model->model);
    for (int i = 0; i < inputs; i++) {
        const struct tensor *type = &model_input(fill->model->model, i)->type;
        size_t count, size;
        enum status status;
        /* job_shape_check has counted the same product against the job's bytes. */
        if (!tensor_dims_count(fill->shapes[i].dims, type->rank - 1, &count) ||
            !size_mul(count, (size_t)fill->rows, &count) ||
            !size_mul(count, dtype_size(type->dtype), &size)) {
            return error_set(err, STATUS_POISON, "the job's sizes overflow");
        }
        if (fill->length > 0 && size > BATCH_TENSOR_SIZE_MAX) {
            return error_set(
                err, STATUS_POISON,
                "the job's %d rows have %zu bytes once padded, over the limit "
                "of %zu; send fewer rows in one job",
                fill->rows, size, BATCH_TENSOR_SIZE_MAX);
        }
        status = stage_reserve(stage, i, size, err);
        if (status == STATUS_OK) {
            status = fill_padded(fill, i, fill->rows, count, stage->data[i], err);
        }
        if (status != STATUS_OK) {
            return status;
        }
        fill->staged[i] = stage->data[i];
    }
    return STATUS_OK;
}

void fill_stage_release(struct fill_stage *stage) {
    for (size_t i = 0; i < ARRAY_COUNT(stage->data); i++) {
        free(stage->data[i]);
    }
    *stage = (struct fill_stage){.data = {NULL}};
}

enum status fill_rows(const struct fill *fill, int first, int count,
                      const struct batch *batch, struct error *err) {
    int inputs = model_input_count(fill->model->model);
    for (int i = 0; i < inputs; i++) {
        const uint8_t *staged = fill->staged[i];
        size_t size = batch->row_size[i];
        void *to = batch_at(batch, i, batch->count);
        enum status status = STATUS_OK;
        if (staged == NULL) {
            assert(fill->rows == 1);
            status = fill_padded(fill, i, 1, size / dtype_size(batch->inputs[i].dtype),
                                 to, err);
        } else {
            copy_bytes(to, staged + (size_t)first * size, (size_t)count * size);
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}
