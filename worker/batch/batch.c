/* batch.c - see batch.h. */
#include "batch/batch.h"

#include <assert.h>

#include "base/size.h"
#include "batch/learn.h"

enum { TENSOR_ALIGN = 64 }; /* what the kernels like best */

const char *const batch_reason_names[] = {
    [BATCH_FULL] = "full",         [BATCH_SLICE] = "slice",
    [BATCH_LINGER] = "linger",     [BATCH_DEADLINE] = "deadline",
    [BATCH_PRIORITY] = "priority", [BATCH_IDLE] = "idle",
    [BATCH_ROOM] = "room",
};

enum status batch_create(const struct batch_model *model, int model_index,
                         struct batch **out, struct error *err) {
    struct batch *batch = calloc(1, sizeof(*batch));
    *out = NULL;
    if (batch == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "model '%s': no memory for a batch",
                         model->name);
    }
    batch->rows = calloc((size_t)model->rows_max, sizeof(*batch->rows));
    if (batch->rows == NULL) {
        free(batch);
        return error_set(err, STATUS_NO_MEMORY, "model '%s': no memory for %d rows",
                         model->name, model->rows_max);
    }
    batch->model = model;
    batch->model_index = model_index;
    batch->length_index = -1;
    *out = batch;
    return STATUS_OK;
}

void batch_destroy(struct batch *batch) {
    if (batch == NULL) {
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(batch->inputs); i++) {
        free(batch->inputs[i].data);
    }
    free(batch->rows);
    free(batch);
}

/* Makes room for rows_max rows of input `i`, whose row_size is set. */
static enum status reserve(struct batch *batch, int i, struct error *err) {
    struct tensor *x = &batch->inputs[i];
    size_t rows = (size_t)batch->model->rows_max;
    size_t size;
    if (!size_mul(batch->row_size[i], rows, &size) || size > BATCH_TENSOR_SIZE_MAX) {
        return error_set(err, STATUS_POISON,
                         "input '%s': %zu rows of %zu bytes are over the limit of %zu",
                         model_input(batch->model->model, i)->name, rows,
                         batch->row_size[i], BATCH_TENSOR_SIZE_MAX);
    }
    if (size <= batch->room[i] && x->data != NULL) {
        return STATUS_OK;
    }
    free(x->data);
    batch->room[i] = 0;
    size = size_align(size_max(size, 1), TENSOR_ALIGN);
    x->data = aligned_alloc(TENSOR_ALIGN, size);
    if (x->data == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a batch of %zu bytes",
                         size);
    }
    batch->room[i] = size;
    return STATUS_OK;
}

static bool is_free(const struct tensor *type) {
    bool found = false;
    for (int i = 1; i < type->rank; i++) {
        found = found || type->dims[i] < 0;
    }
    return found;
}

enum status batch_shape(struct batch *batch, const struct row_shape *shapes,
                        int length_index, struct error *err) {
    size_t free_size = 0;
    int count = model_input_count(batch->model->model);
    batch->count = 0;
    batch->length_index = length_index;
    batch->due_us = INT64_MAX;
    batch->deadline_us = INT64_MAX;
    for (int i = 0; i < count; i++) {
        const struct tensor *type = &model_input(batch->model->model, i)->type;
        struct tensor *x = &batch->inputs[i];
        size_t elements;
        enum status status;
        assert(type->rank >= 1);
        x->dtype = type->dtype;
        x->rank = type->rank;
        memcpy(&x->dims[1], shapes[i].dims,
               sizeof(x->dims[0]) * (size_t)(type->rank - 1));
        if (!tensor_dims_count(shapes[i].dims, type->rank - 1, &elements) ||
            !size_mul(elements, dtype_size(type->dtype), &batch->row_size[i])) {
            return error_set(err, STATUS_POISON, "input '%s': the row is too large",
                             model_input(batch->model->model, i)->name);
        }
        status = reserve(batch, i, err);
        if (status != STATUS_OK) {
            return status;
        }
        free_size += is_free(type) ? batch->row_size[i] : 0;
    }
    batch->kind = learn_kind(free_size);
    return STATUS_OK;
}

size_t batch_fixed_size(const struct batch_model *model) {
    size_t all = 0;
    for (int i = 0; i < model_input_count(model->model); i++) {
        const struct tensor *type = &model_input(model->model, i)->type;
        size_t size;
        if (is_free(type) || !tensor_dims_count(&type->dims[1], type->rank - 1, &size) ||
            !size_mul(size, dtype_size(type->dtype) * (size_t)model->rows_max, &size) ||
            !size_add(all, size, &all)) {
            return 0;
        }
    }
    return all;
}

struct batch_aim batch_aim_of(const struct batch *batch) {
    const struct batch_model *model = batch->model;
    int i = batch->length_index;
    if (model->learn != NULL) {
        return learn_aim(model->learn, batch->kind);
    }
    return i < 0 ? model->aim : model->pad.lengths[i].aim;
}

int64_t batch_cost_ns(const struct batch *batch, int rows) {
    const struct batch_model *model = batch->model;
    int i = batch->length_index;
    if (model->learn != NULL) {
        return learn_ns(model->learn, batch->kind, rows);
    }
    return cost_ns(i < 0 ? &model->cost : &model->pad.lengths[i].cost, rows);
}

static int clamp(int rows, int rows_max) {
    return rows < 1 || rows > rows_max ? rows_max : rows;
}

void batch_aim_by(struct batch_aim *aim, const struct cost *cost, int rows_max,
                  int batch_size, int slice_ms) {
    aim->reason = BATCH_FULL;
    aim->rows = clamp(batch_size > 0 ? batch_size : cost_best_throughput(cost), rows_max);
    aim->early_rows =
        clamp(batch_size > 0 ? batch_size : cost_best_latency(cost), aim->rows);
    if (batch_size == 0 && slice_ms > 0 && cost->count > 0) {
        int most = cost_rows_within(cost, rows_max, (int64_t)slice_ms * 1000000);
        if (most < aim->rows) {
            aim->rows = most;
            aim->early_rows = clamp(aim->early_rows, most);
            aim->reason = BATCH_SLICE;
        }
    }
}

bool batch_fits(const struct batch *batch, const struct row_shape *shapes) {
    int count = model_input_count(batch->model->model);
    for (int i = 0; i < count; i++) {
        const struct tensor *x = &batch->inputs[i];
        size_t size = sizeof(x->dims[0]) * (size_t)(x->rank - 1);
        if (size > 0 && memcmp(&x->dims[1], shapes[i].dims, size) != 0) {
            return false;
        }
    }
    return true;
}

void *batch_at(const struct batch *batch, int input, int row) {
    return (unsigned char *)batch->inputs[input].data +
           (size_t)row * batch->row_size[input];
}

void batch_drop(struct batch *batch, int row) {
    int last = batch->count - 1;
    int inputs = model_input_count(batch->model->model);
    assert(row <= last);
    for (int i = 0; i < inputs; i++) {
        if (row != last) {
            memcpy(batch_at(batch, i, row), batch_at(batch, i, last), batch->row_size[i]);
        }
        batch->inputs[i].dims[0] = last;
    }
    batch->rows[row] = batch->rows[last];
    batch->count = last;
}
