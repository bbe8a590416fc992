/* max_unpool.c - MaxUnpool: values go back to the places that MaxPool took them from; all
 * else is 0. */
#include "engine/ops/ops.h"
#include "engine/ops/strided.h"
#include "engine/ops/window.h"

struct unpool_state {
    struct window_spec window;
};

/* What the pooled image had, which output_shape may enlarge. */
struct unpool_memo {
    int64_t dims[TENSOR_RANK_MAX];
};

static enum status prepare(struct load *load, struct error *err) {
    struct unpool_state *state = load_state(load, struct unpool_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = window_prepare(load, &state->window, false, err);
    if (status == STATUS_OK &&
        (state->window.kernel.count == 0 || state->window.dilations.count > 0 ||
         state->window.auto_pad != AUTO_PAD_NOTSET)) {
        status = node_error(load->node, err, STATUS_INVALID,
                            "needs kernel_shape, and knows no dilations or auto_pad");
    }
    return status;
}

static enum status pooled_dims(const struct exec *exec, int64_t *dims,
                               struct error *err) {
    const struct unpool_state *state = exec->node->state;
    const struct window_spec *window = &state->window;
    const struct tensor *x = exec->x[0];
    size_t axes = x->rank < 3 ? 0 : (size_t)x->rank - 2;
    if (axes == 0 || window->kernel.count != axes ||
        (window->strides.count != 0 && window->strides.count != axes) ||
        (window->pads.count != 0 && window->pads.count != 2 * axes)) {
        return node_error(exec->node, err, STATUS_POISON,
                          "an input of rank %d does not suit a kernel of %zu axes",
                          x->rank, window->kernel.count);
    }
    memcpy(dims, x->dims, 2 * sizeof(*dims));
    for (size_t i = 0; i < axes; i++) {
        int64_t stride = window->strides.count > 0 ? window->strides.values[i] : 1;
        int64_t pads = window->pads.count > 0
                           ? window->pads.values[i] + window->pads.values[axes + i]
                           : 0;
        int64_t *dim = &dims[2 + i];
        if (__builtin_mul_overflow(x->dims[2 + i] - 1, stride, dim) ||
            __builtin_add_overflow(*dim, window->kernel.values[i] - pads, dim) ||
            *dim < 0) {
            return node_error(exec->node, err, STATUS_POISON,
                              "axis %zu would have no size", 2 + i);
        }
    }
    return STATUS_OK;
}

static enum status shape(struct exec *exec, struct error *err) {
    struct unpool_memo *memo = exec->memo;
    const struct tensor *x = exec->x[0], *places = exec->x[1];
    struct tensor *y = exec->y[0];
    int count = x->rank;
    enum status status = pooled_dims(exec, memo->dims, err);
    if (status != STATUS_OK) {
        return status;
    }
    y->rank = x->rank;
    memcpy(y->dims, memo->dims, sizeof(y->dims));
    if (exec_has(exec, 2)) {
        status = exec_ints(exec, 2, y->dims, TENSOR_RANK_MAX, &count, err);
    }
    for (int i = 0; status == STATUS_OK && i < y->rank; i++) {
        if (count != x->rank || y->dims[i] < memo->dims[i] || places->rank != x->rank ||
            places->dims[i] != x->dims[i]) {
            status = node_error(exec->node, err, STATUS_POISON,
                                "places or output_shape do not suit the input");
        }
    }
    return status;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct unpool_memo *memo = exec->memo;
    const struct tensor *x = exec->x[0], *y = exec->y[0];
    const int64_t *places = exec->x[1]->data;
    int64_t count = (int64_t)tensor_count(x), room = 1, steps[TENSOR_RANK_MAX];
    strided_dense(y->dims, y->rank, steps);
    for (int i = 0; i < y->rank; i++) {
        room *= memo->dims[i];
    }
    if (tensor_size(y) > 0) {
        memset(y->data, 0, tensor_size(y));
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t left = places[i], at = 0;
        if (left < 0 || left >= room) {
            return node_error(exec->node, err, STATUS_POISON,
                              "a place is outside of [0, %lld)", (long long)room);
        }
        for (int k = y->rank - 1; k >= 0; k--) {
            at += left % memo->dims[k] * steps[k];
            left /= memo->dims[k];
        }
        if (x->dtype == DTYPE_F32) {
            ((float *)y->data)[at] = ((const float *)x->data)[i];
        } else {
            ((double *)y->data)[at] = ((const double *)x->data)[i];
        }
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "MaxUnpool",
        .since = 9,
        .inputs_min = 2,
        .inputs_max = 3,
        .shape_inputs = 4,
        .types = {TYPES_FLOAT, TYPES_I64, TYPES_I64},
        .memo_size = sizeof(struct unpool_memo),
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_max_unpool = OP_LIST(ops);
