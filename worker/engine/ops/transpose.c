/* transpose.c - Transpose: axes in another order. */
#include "engine/ops/ops.h"
#include "engine/ops/strided.h"

struct transpose_state {
    struct attr_ints perm; /* none: reversed */
};

static enum status prepare(struct load *load, struct error *err) {
    struct transpose_state *state = load_state(load, struct transpose_state);
    unsigned seen = 0;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_ints(load->node, "perm", &state->perm, err);
    if (status != STATUS_OK) {
        return status;
    }
    for (size_t i = 0; i < state->perm.count; i++) {
        int64_t axis = state->perm.values[i];
        if (state->perm.count > TENSOR_RANK_MAX || axis < 0 ||
            axis >= (int64_t)state->perm.count || (seen >> axis & 1) != 0) {
            return node_error(load->node, err, STATUS_INVALID,
                              "perm is no order of %zu axes", state->perm.count);
        }
        seen |= 1U << axis;
    }
    return STATUS_OK;
}

const int64_t *transpose_perm(const struct node *node, int *rank) {
    const struct transpose_state *state = node->state;
    *rank = (int)state->perm.count;
    return state->perm.values;
}

static int source_axis(const struct transpose_state *state, int rank, int axis) {
    return state->perm.values == NULL ? rank - 1 - axis : (int)state->perm.values[axis];
}

/* True where only axes of size 1 move, so that the bytes stay in order. */
static bool keeps_order(const struct transpose_state *state, const struct tensor *x) {
    int last = -1;
    for (int i = 0; i < x->rank; i++) {
        int from = source_axis(state, x->rank, i);
        if (x->dims[from] == 1) {
            continue;
        }
        if (from < last) {
            return false;
        }
        last = from;
    }
    return true;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct transpose_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    struct tensor *y = exec->y[0];
    struct strided *copy = exec->memo;
    int64_t steps[TENSOR_RANK_MAX];
    if (state->perm.values != NULL && (int)state->perm.count != x->rank) {
        return node_error(exec->node, err, STATUS_POISON,
                          "perm orders %zu axes, the input has %d", state->perm.count,
                          x->rank);
    }
    y->rank = x->rank;
    *copy = (struct strided){.rank = x->rank};
    strided_dense(x->dims, x->rank, steps);
    for (int i = 0; i < x->rank; i++) {
        int from = source_axis(state, x->rank, i);
        y->dims[i] = copy->dims[i] = x->dims[from];
        copy->from_step[i] = steps[from];
    }
    strided_dense(y->dims, y->rank, copy->to_step);
    strided_simplify(copy);
    if (keeps_order(state, x)) {
        exec_alias(exec, 0, 0);
    }
    return STATUS_OK;
}

static enum status run(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    strided_run(exec->memo, dtype_size(exec->y[0]->dtype), exec->x[0]->data,
                exec->y[0]->data);
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Transpose",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .flags = OP_REMEMBERED,
        .types = {TYPES_ALL},
        .memo_size = sizeof(struct strided),
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_transpose = OP_LIST(ops);
