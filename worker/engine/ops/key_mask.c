/* key_mask.c - an operator of our own, for the attention of ONNX Runtime's optimizer: its
 * masks of keys, whose rank says how they are meant, as ONNX's Attention takes them.
 *
 *     [batch]                 how many keys count       ->  [batch, 1, 1, keys]
 *     [2 * batch]             all ends, then all starts ->  [batch, 1, 1, keys]
 *     [batch, keys]           above 0 counts            ->  [batch, 1, 1, keys]
 *     [batch, queries, keys]  the same                  ->  [batch, 1, queries, keys]
 *
 * Input 1 is what the keys are made of. */
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

enum { IN_MASK, IN_KEYS };

static enum status prepare(struct load *load, struct error *err) {
    (void)err;
    graph_set_output(load->graph, load->node, 0, DTYPE_BOOL);
    return STATUS_OK;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct tensor *mask = exec->x[IN_MASK], *from = exec->x[IN_KEYS];
    struct tensor *y = exec->y[0];
    if (mask->rank < 1 || mask->rank > 3 || from->rank < 3) {
        return node_error(exec->node, err, STATUS_POISON,
                          "a mask of rank %d for keys of rank %d is not handled",
                          mask->rank, from->rank);
    }
    const int64_t batch = from->dims[0], keys = from->dims[from->rank - 2];
    if (mask->rank == 1 && mask->dims[0] != batch && mask->dims[0] != 2 * batch) {
        return node_error(exec->node, err, STATUS_POISON,
                          "a mask of %lld lengths for %lld rows",
                          (long long)mask->dims[0], (long long)batch);
    }
    y->rank = 4;
    y->dims[0] = mask->rank == 1 ? batch : mask->dims[0];
    y->dims[1] = 1;
    y->dims[2] = mask->rank == 3 ? mask->dims[1] : 1;
    y->dims[3] = mask->rank == 1 ? keys : mask->dims[mask->rank - 1];
    return STATUS_OK;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct tensor *mask = exec->x[IN_MASK];
    const int64_t batch = exec->y[0]->dims[0], keys = exec->y[0]->dims[3];
    const int64_t count = (int64_t)tensor_count(exec->y[0]);
    bool *y = exec->y[0]->data;
    (void)err; /* cannot fail */
    if (mask->rank > 1) {
        for (int64_t i = 0; i < count; i++) {
            y[i] = number_integer(mask, i) > 0;
        }
        return STATUS_OK;
    }
    for (int64_t row = 0; row < batch; row++, y += keys) {
        const int64_t end = number_integer(mask, row);
        const int64_t start =
            mask->dims[0] > batch ? number_integer(mask, batch + row) : 0;
        for (int64_t i = 0; i < keys; i++) {
            y[i] = i >= start && i < end;
        }
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .domain = "millrace",
        .name = "KeyMask",
        .since = 1,
        .inputs_min = 2,
        .inputs_max = 2,
        .types = {TYPES_INDEX | TYPES_BOOL, TYPES_FLOAT},
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_key_mask = OP_LIST(ops);
