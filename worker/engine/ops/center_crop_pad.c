/* center_crop_pad.c - CenterCropPad: the middle of each axis is kept, zeros put around
 * it, until it has the size asked for. */
#include "engine/ops/ops.h"
#include "engine/ops/strided.h"

struct crop_state {
    struct attr_ints axes;
};

static enum status prepare(struct load *load, struct error *err) {
    struct crop_state *state = load_state(load, struct crop_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    return attr_ints(load->node, "axes", &state->axes, err);
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct crop_state *state = exec->node->state;
    int64_t sizes[TENSOR_RANK_MAX];
    int count = 0, rank = exec->x[0]->rank, wanted;
    enum status status = exec_ints(exec, 1, sizes, TENSOR_RANK_MAX, &count, err);
    if (status != STATUS_OK) {
        return status;
    }
    wanted = state->axes.count > 0 ? (int)state->axes.count : rank;
    exec_same_shape(exec, 0, 0);
    if (count != wanted) {
        return node_error(exec->node, err, STATUS_POISON, "%d sizes for %d axes", count,
                          wanted);
    }
    for (int i = 0; i < count; i++) {
        int axis = 0;
        status = exec_axis(exec, state->axes.count > 0 ? state->axes.values[i] : i, rank,
                           &axis, err);
        if (status != STATUS_OK) {
            return status;
        }
        if (sizes[i] < 0) {
            return node_error(exec->node, err, STATUS_POISON, "axis %d would be %lld",
                              axis, (long long)sizes[i]);
        }
        exec->y[0]->dims[axis] = sizes[i];
    }
    return STATUS_OK;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    struct tensor *y = exec->y[0];
    struct strided copy = {.rank = x->rank};
    size_t size = dtype_size(x->dtype), from = 0, to = 0;
    (void)err; /* cannot fail */
    if (tensor_size(y) == 0) {
        return STATUS_OK;
    }
    memset(y->data, 0, tensor_size(y));
    strided_dense(x->dims, x->rank, copy.from_step);
    strided_dense(y->dims, y->rank, copy.to_step);
    for (int i = 0; i < x->rank; i++) {
        int64_t more = y->dims[i] - x->dims[i];
        copy.dims[i] = more < 0 ? y->dims[i] : x->dims[i];
        if (copy.dims[i] == 0) {
            return STATUS_OK;
        }
        if (more < 0) {
            from += (size_t)(-more / 2 * copy.from_step[i]);
        } else {
            to += (size_t)(more / 2 * copy.to_step[i]);
        }
    }
    strided_simplify(&copy);
    strided_run(&copy, size, (const uint8_t *)x->data + from * size,
                (uint8_t *)y->data + to * size);
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "CenterCropPad",
        .since = 18,
        .inputs_min = 2,
        .inputs_max = 2,
        .shape_inputs = 2,
        .types = {TYPES_ALL, TYPES_INDEX},
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_center_crop_pad = OP_LIST(ops);
