/* gather.c - Gather: slices of an axis, chosen by index. */
#include "engine/ops/ops.h"

struct gather_state {
    int64_t axis;
};

static enum status prepare(struct load *load, struct error *err) {
    struct gather_state *state = load_state(load, struct gather_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    return attr_int(load->node, "axis", 0, &state->axis, err);
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct gather_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *indices = exec->x[1];
    struct tensor *y = exec->y[0];
    int axis;
    enum status status = exec_axis(exec, state->axis, x->rank, &axis, err);
    if (status != STATUS_OK) {
        return status;
    }
    if (x->rank - 1 + indices->rank > TENSOR_RANK_MAX) {
        return node_error(exec->node, err, STATUS_POISON,
                          "would make more than %d dimensions", TENSOR_RANK_MAX);
    }
    y->rank = 0;
    for (int i = 0; i < axis; i++) {
        y->dims[y->rank++] = x->dims[i];
    }
    for (int i = 0; i < indices->rank; i++) {
        y->dims[y->rank++] = indices->dims[i];
    }
    for (int i = axis + 1; i < x->rank; i++) {
        y->dims[y->rank++] = x->dims[i];
    }
    return STATUS_OK;
}

static int64_t index_at(const struct tensor *indices, size_t i) {
    return indices->dtype == DTYPE_I64 ? ((const int64_t *)indices->data)[i]
                                       : ((const int32_t *)indices->data)[i];
}

static enum status run(struct exec *exec, struct error *err) {
    const struct gather_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *indices = exec->x[1];
    int axis = (int)(state->axis < 0 ? state->axis + x->rank : state->axis);
    int64_t dim = x->dims[axis];
    size_t slice = dtype_size(x->dtype), outer = 1, count = tensor_count(indices);
    const uint8_t *from = x->data;
    uint8_t *to = exec->y[0]->data;
    for (int i = 0; i < x->rank; i++) {
        if (i != axis) {
            *(i < axis ? &outer : &slice) *= (size_t)x->dims[i];
        }
    }
    for (size_t i = 0; i < outer; i++) {
        for (size_t j = 0; j < count; j++, to += slice) {
            int64_t index = index_at(indices, j);
            index = index < 0 ? index + dim : index;
            if (index < 0 || index >= dim) {
                return node_error(exec->node, err, STATUS_POISON,
                                  "an index is outside [-%lld, %lld)", (long long)dim,
                                  (long long)dim);
            }
            if (slice == sizeof(float)) {
                memcpy(to, from + (size_t)index * sizeof(float), sizeof(float));
            } else if (slice > 0) {
                memcpy(to, from + (size_t)index * slice, slice);
            }
        }
        from += (size_t)dim * slice;
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Gather",
        .since = 1,
        .inputs_min = 2,
        .inputs_max = 2,
        .types = {TYPES_ALL, TYPES_INDEX},
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_gather = OP_LIST(ops);
