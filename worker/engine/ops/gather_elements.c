/* gather_elements.c - GatherElements and GatherND: elements chosen by index tensors. */
#include "engine/ops/indexing.h"
#include "engine/ops/ops.h"

struct gather_state {
    int64_t axis, batch_dims;
};

static enum status prepare(struct load *load, struct error *err) {
    struct gather_state *state = load_state(load, struct gather_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_int(load->node, "axis", 0, &state->axis, err);
    return status == STATUS_OK ? attr_int_in(load->node, "batch_dims", 0, 0,
                                             TENSOR_RANK_MAX, &state->batch_dims, err)
                               : status;
}

/* ---- GatherElements ---------------------------------------------------------------- */

static enum status elements_shape(struct exec *exec, struct error *err) {
    enum status status = indexing_check_elements(exec, exec->x[0], exec->x[1], err);
    if (status == STATUS_OK) {
        exec_same_shape(exec, 0, 1);
    }
    return status;
}

static enum status elements_run(struct exec *exec, struct error *err) {
    const struct gather_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *indices = exec->x[1];
    size_t size = dtype_size(x->dtype), count = tensor_count(indices);
    struct indexing walk;
    enum status status = indexing_init(&walk, exec, x, indices, state->axis, err);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        int64_t at = 0;
        status = indexing_next(&walk, i, &at, err);
        if (status == STATUS_OK) {
            memcpy((uint8_t *)exec->y[0]->data + i * size,
                   (const uint8_t *)x->data + (size_t)at * size, size);
        }
    }
    return status;
}

/* ---- GatherND ---------------------------------------------------------------------- */

static enum status nd_shape(struct exec *exec, struct error *err) {
    const struct gather_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *indices = exec->x[1];
    struct tensor *y = exec->y[0];
    int batch = (int)state->batch_dims, last, rank;
    bool fits = indices->rank >= 1 && batch < indices->rank && batch <= x->rank;
    last = fits ? (int)(indices->dims[indices->rank - 1] < TENSOR_RANK_MAX
                            ? indices->dims[indices->rank - 1]
                            : TENSOR_RANK_MAX + 1)
                : 0;
    fits = fits && last >= 1 && batch + last <= x->rank;
    for (int i = 0; fits && i < batch; i++) {
        fits = x->dims[i] == indices->dims[i];
    }
    rank = indices->rank - 1 + x->rank - batch - last;
    if (!fits || rank > TENSOR_RANK_MAX) {
        return indexing_misfit(exec, x, indices, err);
    }
    y->rank = 0;
    for (int i = 0; i < indices->rank - 1; i++) {
        y->dims[y->rank++] = indices->dims[i];
    }
    for (int i = batch + last; i < x->rank; i++) {
        y->dims[y->rank++] = x->dims[i];
    }
    return STATUS_OK;
}

static enum status nd_run(struct exec *exec, struct error *err) {
    const struct gather_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    size_t size = dtype_size(x->dtype);
    struct indexing_nd walk = indexing_nd_init(x, exec->x[1], (int)state->batch_dims);
    for (int64_t i = 0; i < walk.tuples; i++) {
        int64_t at = 0;
        enum status status = indexing_nd_at(&walk, exec, i, &at, err);
        if (status != STATUS_OK) {
            return status;
        }
        if (walk.slice > 0) {
            memcpy((uint8_t *)exec->y[0]->data + (size_t)(i * walk.slice) * size,
                   (const uint8_t *)x->data + (size_t)at * size,
                   (size_t)walk.slice * size);
        }
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "GatherElements",
        .since = 11,
        .inputs_min = 2,
        .inputs_max = 2,
        .types = {TYPES_ALL, TYPES_INDEX},
        .prepare = prepare,
        .shape = elements_shape,
        .run = elements_run,
    },
    {
        .name = "GatherND",
        .since = 11,
        .inputs_min = 2,
        .inputs_max = 2,
        .types = {TYPES_ALL, TYPES_I64},
        .prepare = prepare,
        .shape = nd_shape,
        .run = nd_run,
    },
};

const struct op_list ops_gather_elements = OP_LIST(ops);
