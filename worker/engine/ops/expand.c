/* expand.c - Expand: axes of size 1 repeated, by NumPy's broadcasting. */
#include "engine/ops/broadcast.h"
#include "engine/ops/ops.h"
#include "engine/ops/strided.h"

static enum status shape(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    struct tensor wanted = {0};
    const struct tensor *both[] = {x, &wanted};
    struct strided *copy = exec->memo;
    int64_t dense[TENSOR_RANK_MAX];
    enum status status =
        exec_ints(exec, 1, wanted.dims, TENSOR_RANK_MAX, &wanted.rank, err);
    for (int i = 0; status == STATUS_OK && i < wanted.rank; i++) {
        if (wanted.dims[i] < 0) {
            status =
                node_error(exec->node, err, STATUS_POISON, "a dimension is negative");
        }
    }
    if (status == STATUS_OK) {
        status = broadcast_shape(exec, both, 2, exec->y[0], err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    *copy = (struct strided){.rank = exec->y[0]->rank};
    strided_dense(x->dims, x->rank, dense);
    for (int i = 0; i < copy->rank; i++) {
        int own = i - (copy->rank - x->rank);
        copy->dims[i] = exec->y[0]->dims[i];
        copy->from_step[i] = own < 0 || x->dims[own] == 1 ? 0 : dense[own];
    }
    strided_dense(exec->y[0]->dims, copy->rank, copy->to_step);
    strided_simplify(copy);
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
        .name = "Expand",
        .since = 8,
        .inputs_min = 2,
        .inputs_max = 2,
        .shape_inputs = 2,
        .types = {TYPES_ALL, TYPES_I64},
        .memo_size = sizeof(struct strided),
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_expand = OP_LIST(ops);
