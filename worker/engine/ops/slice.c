/* slice.c - Slice: a range of each axis, with a step; attributes up to opset 9, inputs
 * from opset 10. */
#include "engine/ops/ops.h"
#include "engine/ops/strided.h"

struct slice_state {
    struct attr_ints starts, ends, axes; /* opset 1 to 9 */
};

struct slice_memo {
    struct strided copy;
    size_t offset; /* bytes */
};

/* The ranges as asked for: starts, ends, axes, steps. */
struct ranges {
    int count;
    int64_t start[TENSOR_RANK_MAX], end[TENSOR_RANK_MAX], axis[TENSOR_RANK_MAX],
        step[TENSOR_RANK_MAX];
};

static enum status attr_prepare(struct load *load, struct error *err) {
    struct slice_state *state = load_state(load, struct slice_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_ints(load->node, "starts", &state->starts, err);
    if (status == STATUS_OK) {
        status = attr_ints(load->node, "ends", &state->ends, err);
    }
    if (status == STATUS_OK) {
        status = attr_ints(load->node, "axes", &state->axes, err);
    }
    if (status == STATUS_OK &&
        (state->starts.count > TENSOR_RANK_MAX ||
         state->ends.count != state->starts.count ||
         (state->axes.values != NULL && state->axes.count != state->starts.count))) {
        status = node_error(load->node, err, STATUS_INVALID,
                            "starts, ends and axes differ in length");
    }
    return status;
}

static void attr_ranges(const struct slice_state *state, struct ranges *ranges) {
    ranges->count = (int)state->starts.count;
    for (int i = 0; i < ranges->count; i++) {
        ranges->start[i] = state->starts.values[i];
        ranges->end[i] = state->ends.values[i];
        ranges->axis[i] = state->axes.values != NULL ? state->axes.values[i] : i;
        ranges->step[i] = 1;
    }
}

static enum status input_ranges(struct exec *exec, struct ranges *ranges,
                                struct error *err) {
    int64_t *const lists[] = {ranges->start, ranges->end, ranges->axis, ranges->step};
    for (int i = 0; i < (int)ARRAY_COUNT(lists); i++) {
        int count = ranges->count;
        enum status status = STATUS_OK;
        if (exec_has(exec, i + 1)) {
            status = exec_ints(exec, i + 1, lists[i], TENSOR_RANK_MAX, &count, err);
        } else {
            for (int j = 0; j < count; j++) {
                lists[i][j] = i == 2 ? j : 1;
            }
        }
        if (status != STATUS_OK) {
            return status;
        }
        if (i > 0 && count != ranges->count) {
            return node_error(exec->node, err, STATUS_POISON,
                              "starts, ends, axes and steps differ in length");
        }
        ranges->count = count;
    }
    return STATUS_OK;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

/* Elements from `start` to `end` by `step` of an axis of size `dim`; *first is the index
 * of the first. */
static int64_t range_count(int64_t dim, int64_t start, int64_t end, int64_t step,
                           int64_t *first) {
    int64_t distance;
    uint64_t stride = step < 0 ? 0 - (uint64_t)step : (uint64_t)step;
    start = start < 0 ? start + dim : start;
    end = end < 0 ? end + dim : end;
    start = step < 0 ? clamp(start, 0, dim - 1) : clamp(start, 0, dim);
    end = step < 0 ? clamp(end, -1, dim - 1) : clamp(end, 0, dim);
    *first = start;
    distance = step < 0 ? start - end : end - start;
    if (distance <= 0 || dim == 0) {
        *first = 0;
        return 0;
    }
    return (int64_t)(((uint64_t)distance - 1) / stride + 1);
}

static enum status take_ranges(struct exec *exec, const struct ranges *ranges,
                               int64_t *first, int64_t *step, struct error *err) {
    const struct tensor *x = exec->x[0];
    unsigned seen = 0;
    for (int i = 0; i < ranges->count; i++) {
        int axis;
        enum status status = exec_axis(exec, ranges->axis[i], x->rank, &axis, err);
        if (status != STATUS_OK) {
            return status;
        }
        if (ranges->step[i] == 0 || (seen >> axis & 1) != 0) {
            return node_error(exec->node, err, STATUS_POISON, "axis %d %s", axis,
                              ranges->step[i] == 0 ? "has step 0" : "is named twice");
        }
        seen |= 1U << axis;
        exec->y[0]->dims[axis] =
            range_count(x->dims[axis], ranges->start[i], ranges->end[i], ranges->step[i],
                        &first[axis]);
        /* A step past the end is never taken; this keeps products small. */
        step[axis] = clamp(ranges->step[i], -x->dims[axis] - 1, x->dims[axis] + 1);
    }
    return STATUS_OK;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    struct slice_memo *memo = exec->memo;
    struct strided *copy = &memo->copy;
    struct ranges ranges = {0};
    int64_t first[TENSOR_RANK_MAX] = {0}, step[TENSOR_RANK_MAX], dense[TENSOR_RANK_MAX];
    int64_t offset = 0;
    enum status status = STATUS_OK;
    exec_same_shape(exec, 0, 0);
    for (int i = 0; i < x->rank; i++) {
        step[i] = 1;
    }
    if (exec->node->op->prepare != NULL) {
        attr_ranges(exec->node->state, &ranges);
    } else {
        status = input_ranges(exec, &ranges, err);
    }
    if (status == STATUS_OK) {
        status = take_ranges(exec, &ranges, first, step, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    *copy = (struct strided){.rank = x->rank};
    strided_dense(x->dims, x->rank, dense);
    strided_dense(exec->y[0]->dims, x->rank, copy->to_step);
    for (int i = 0; i < x->rank; i++) {
        copy->dims[i] = exec->y[0]->dims[i];
        copy->from_step[i] = dense[i] * step[i];
        offset += dense[i] * first[i];
    }
    memo->offset = (size_t)offset * dtype_size(x->dtype);
    strided_simplify(copy);
    if (copy->rank == 0 || (copy->rank == 1 && copy->from_step[0] == 1)) {
        exec_alias(exec, 0, memo->offset);
    }
    return STATUS_OK;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct slice_memo *memo = exec->memo;
    const uint8_t *x = exec->x[0]->data;
    (void)err; /* cannot fail */
    strided_run(&memo->copy, dtype_size(exec->x[0]->dtype), x + memo->offset,
                exec->y[0]->data);
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Slice",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_ALL},
        .memo_size = sizeof(struct slice_memo),
        .prepare = attr_prepare,
        .shape = shape,
        .run = run,
    },
    {
        .name = "Slice",
        .since = 10,
        .inputs_min = 3,
        .inputs_max = 5,
        .shape_inputs = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4,
        .types = {TYPES_ALL, TYPES_INDEX, TYPES_INDEX, TYPES_INDEX, TYPES_INDEX},
        .memo_size = sizeof(struct slice_memo),
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_slice = OP_LIST(ops);
