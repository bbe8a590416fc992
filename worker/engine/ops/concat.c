/* concat.c - Concat: tensors one behind the other along an axis. */
#include "engine/ops/ops.h"

struct concat_state {
    int64_t axis;
};

static enum status prepare(struct load *load, struct error *err) {
    struct concat_state *state = load_state(load, struct concat_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    if (load->node->opset >= 4 && attr_find(load->node, "axis") == NULL) {
        return node_error(load->node, err, STATUS_INVALID, "attribute axis is missing");
    }
    return attr_int(load->node, "axis", 1, &state->axis, err);
}

static bool fits(const struct tensor *a, const struct tensor *b, int axis) {
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++) {
        same = i == axis || a->dims[i] == b->dims[i];
    }
    return same;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct concat_state *state = exec->node->state;
    const struct tensor *first = exec->x[0];
    int axis;
    enum status status = exec_axis(exec, state->axis, first->rank, &axis, err);
    if (status != STATUS_OK) {
        return status;
    }
    exec_same_shape(exec, 0, 0);
    for (int i = 1; i < exec->node->input_count; i++) {
        const struct tensor *x = exec->x[i];
        char a[TENSOR_SHAPE_TEXT_MAX], b[TENSOR_SHAPE_TEXT_MAX];
        if (x == NULL || !fits(first, x, axis)) {
            return node_error(
                exec->node, err, STATUS_POISON,
                "shape %s does not go behind %s on axis %d",
                x == NULL ? "none" : tensor_shape_text(x->dims, x->rank, b, sizeof(b)),
                tensor_shape_text(first->dims, first->rank, a, sizeof(a)), axis);
        }
        exec->y[0]->dims[axis] += x->dims[axis];
    }
    return STATUS_OK;
}

/* Bytes of `x` from `axis` on: what is copied at once. */
static size_t chunk_size(const struct tensor *x, int axis) {
    size_t size = dtype_size(x->dtype);
    for (int i = axis; i < x->rank; i++) {
        size *= (size_t)x->dims[i];
    }
    return size;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct concat_state *state = exec->node->state;
    const struct tensor *y = exec->y[0];
    int axis = (int)(state->axis < 0 ? state->axis + y->rank : state->axis);
    size_t row = chunk_size(y, axis), outer = row == 0 ? 0 : tensor_size(y) / row;
    uint8_t *to = y->data;
    (void)err; /* cannot fail */
    for (int i = 0; i < exec->node->input_count; i++) {
        size_t chunk = chunk_size(exec->x[i], axis);
        const uint8_t *from = exec->x[i]->data;
        for (size_t j = 0; chunk > 0 && j < outer; j++) {
            memcpy(to + j * row, from + j * chunk, chunk);
        }
        to += chunk;
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Concat",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = OP_ANY_NUMBER,
        .types = {TYPES_ALL, 0, 0, 0, 0, 0},
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_concat = OP_LIST(ops);
