/* shape.c - Shape and Size: what a tensor's dims are, not what it holds. */
#include "engine/ops/ops.h"

struct shape_state {
    int64_t start, end;
    bool has_end;
};

static enum status shape_prepare(struct load *load, struct error *err) {
    struct shape_state *state = load_state(load, struct shape_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_int(load->node, "start", 0, &state->start, err);
    if (status != STATUS_OK) {
        return status;
    }
    state->has_end = attr_find(load->node, "end") != NULL;
    return attr_int(load->node, "end", 0, &state->end, err);
}

/* An end of the range, counted from the back where negative, into [0, rank]. */
static int clamp(int64_t axis, int rank) {
    axis = axis < 0 ? axis + rank : axis;
    return (int)(axis < 0 ? 0 : axis > rank ? rank : axis);
}

static void range(const struct exec *exec, int *first, int *count) {
    const struct shape_state *state = exec->node->state;
    int rank = exec->x[0]->rank;
    int end = state->has_end ? clamp(state->end, rank) : rank;
    *first = clamp(state->start, rank);
    *count = end > *first ? end - *first : 0;
}

static enum status shape_shape(struct exec *exec, struct error *err) {
    int first, count;
    (void)err; /* cannot fail */
    range(exec, &first, &count);
    exec->y[0]->rank = 1;
    exec->y[0]->dims[0] = count;
    return STATUS_OK;
}

static enum status shape_run(struct exec *exec, struct error *err) {
    int first, count;
    int64_t *y = exec->y[0]->data;
    (void)err; /* cannot fail */
    range(exec, &first, &count);
    for (int i = 0; i < count; i++) {
        y[i] = exec->x[0]->dims[first + i];
    }
    return STATUS_OK;
}

static enum status size_shape(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    exec->y[0]->rank = 0;
    return STATUS_OK;
}

static enum status size_run(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    *(int64_t *)exec->y[0]->data = (int64_t)tensor_count(exec->x[0]);
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Shape",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .flags = OP_READS_SHAPE_ONLY,
        .types = {TYPES_ALL},
        .output_dtype = DTYPE_I64,
        .prepare = shape_prepare,
        .shape = shape_shape,
        .run = shape_run,
    },
    {
        .name = "Size",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .flags = OP_READS_SHAPE_ONLY,
        .types = {TYPES_ALL},
        .output_dtype = DTYPE_I64,
        .shape = size_shape,
        .run = size_run,
    },
};

const struct op_list ops_shape = OP_LIST(ops);
