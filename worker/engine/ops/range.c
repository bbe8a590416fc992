/* range.c - Range: an arithmetic sequence. */
#include <math.h>

#include "engine/ops/number.h"
#include "engine/ops/ops.h"

#define TYPES_RANGE \
    (TYPES_FLOAT | TYPE_BIT(DTYPE_I16) | TYPE_BIT(DTYPE_I32) | TYPE_BIT(DTYPE_I64))

static enum status shape(struct exec *exec, struct error *err) {
    struct tensor *y = exec->y[0];
    double steps;
    for (int i = 0; i < 3; i++) {
        if (tensor_count(exec->x[i]) != 1) {
            return node_error(exec->node, err, STATUS_POISON,
                              "input %d must be a single number", i);
        }
    }
    /* Exact for integers below 2^53, which is more than memory holds. */
    steps = ceil((number_real(exec->x[1], 0) - number_real(exec->x[0], 0)) /
                 number_real(exec->x[2], 0));
    if (!(steps < 0x1p53)) {
        return node_error(exec->node, err, STATUS_POISON, "the range has no end");
    }
    y->rank = 1;
    y->dims[0] = steps > 0 ? (int64_t)steps : 0;
    return STATUS_OK;
}

static enum status run(struct exec *exec, struct error *err) {
    struct tensor *y = exec->y[0];
    (void)err; /* cannot fail */
    if ((TYPES_FLOAT & TYPE_BIT(y->dtype)) != 0) {
        double start = number_real(exec->x[0], 0), delta = number_real(exec->x[2], 0);
        for (int64_t i = 0; i < y->dims[0]; i++) {
            number_set_real(y, i, start + (double)i * delta);
        }
        return STATUS_OK;
    }
    uint64_t value = (uint64_t)number_integer(exec->x[0], 0);
    uint64_t delta = (uint64_t)number_integer(exec->x[2], 0);
    for (int64_t i = 0; i < y->dims[0]; i++, value += delta) {
        number_set_integer(y, i, (int64_t)value);
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Range",
        .since = 11,
        .inputs_min = 3,
        .inputs_max = 3,
        .shape_inputs = 7,
        .types = {TYPES_RANGE},
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_range = OP_LIST(ops);
