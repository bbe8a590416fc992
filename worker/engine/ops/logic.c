/* logic.c - And, Or, Xor, Not and Where. */
#include "engine/ops/broadcast.h"
#include "engine/ops/ops.h"

/* ---- And, Or, Xor -------------------------------------------------------------- */

enum logic { LOGIC_AND, LOGIC_OR, LOGIC_XOR };

static enum status logic_shape(struct exec *exec, struct error *err) {
    enum status status = broadcast_shape(exec, exec->x, 2, exec->y[0], err);
    if (status == STATUS_OK) {
        broadcast_init(exec->memo, exec->x, 2, exec->y[0]);
    }
    return status;
}

static bool logic_apply(enum logic logic, bool a, bool b) {
    switch (logic) {
    case LOGIC_AND:
        return a && b;
    case LOGIC_OR:
        return a || b;
    case LOGIC_XOR:
        break;
    }
    return a != b;
}

static enum status logic_run(struct exec *exec, struct error *err) {
    const struct broadcast *plan = exec->memo;
    const enum logic *logic = exec->node->op->param;
    const bool *a = exec->x[0]->data, *b = exec->x[1]->data;
    bool *y = exec->y[0]->data;
    struct broadcast_walk walk = {0};
    (void)err; /* cannot fail */
    if (!broadcast_any(plan)) {
        return STATUS_OK;
    }
    do {
        for (int64_t i = 0; i < plan->line; i++) {
            y[walk.out + i] = logic_apply(*logic, a[walk.at[0] + i * plan->line_step[0]],
                                          b[walk.at[1] + i * plan->line_step[1]]);
        }
    } while (broadcast_next(plan, &walk));
    return STATUS_OK;
}

/* ---- Not ----------------------------------------------------------------------- */

static enum status not_run(struct exec *exec, struct error *err) {
    const bool *x = exec->x[0]->data;
    bool *y = exec->y[0]->data;
    size_t count = tensor_count(exec->x[0]);
    (void)err; /* cannot fail */
    for (size_t i = 0; i < count; i++) {
        y[i] = !x[i];
    }
    return STATUS_OK;
}

/* ---- Where --------------------------------------------------------------------- */

static enum status where_prepare(struct load *load, struct error *err) {
    (void)err; /* nothing is checked */
    graph_set_output(load->graph, load->node, 0,
                     graph_input_dtype(load->graph, load->node, 1));
    return STATUS_OK;
}

static enum status where_shape(struct exec *exec, struct error *err) {
    enum status status;
    if (exec->x[1]->dtype != exec->x[2]->dtype) {
        return node_error(exec->node, err, STATUS_INVALID, "chooses between %s and %s",
                          dtype_name(exec->x[1]->dtype), dtype_name(exec->x[2]->dtype));
    }
    status = broadcast_shape(exec, exec->x, 3, exec->y[0], err);
    if (status == STATUS_OK) {
        broadcast_init(exec->memo, exec->x, 3, exec->y[0]);
    }
    return status;
}

static enum status where_run(struct exec *exec, struct error *err) {
    const struct broadcast *plan = exec->memo;
    const bool *condition = exec->x[0]->data;
    const uint8_t *a = exec->x[1]->data, *b = exec->x[2]->data;
    uint8_t *y = exec->y[0]->data;
    size_t size = dtype_size(exec->y[0]->dtype);
    struct broadcast_walk walk = {0};
    (void)err; /* cannot fail */
    if (!broadcast_any(plan)) {
        return STATUS_OK;
    }
    do {
        for (int64_t i = 0; i < plan->line; i++) {
            bool first = condition[walk.at[0] + i * plan->line_step[0]];
            int64_t at = first ? walk.at[1] + i * plan->line_step[1]
                               : walk.at[2] + i * plan->line_step[2];
            memcpy(y + (size_t)(walk.out + i) * size, (first ? a : b) + (size_t)at * size,
                   size);
        }
    } while (broadcast_next(plan, &walk));
    return STATUS_OK;
}

static const enum logic logic_and = LOGIC_AND, logic_or = LOGIC_OR, logic_xor = LOGIC_XOR;

#define LOGIC(text, which)                                                 \
    {                                                                      \
        .name = text, .since = 1, .inputs_min = 2, .inputs_max = 2,        \
        .flags = OP_IN_PLACE | OP_ELEMENTWISE, .types = {TYPES_BOOL},      \
        .output_dtype = DTYPE_BOOL, .memo_size = sizeof(struct broadcast), \
        .param = &(which), .shape = logic_shape, .run = logic_run,         \
    }

static const struct op ops[] = {
    LOGIC("And", logic_and),
    LOGIC("Or", logic_or),
    LOGIC("Xor", logic_xor),
    {
        .name = "Not",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .flags = OP_IN_PLACE | OP_ELEMENTWISE,
        .types = {TYPES_BOOL},
        .shape = op_shape_same,
        .run = not_run,
    },
    {
        .name = "Where",
        .since = 9,
        .inputs_min = 3,
        .inputs_max = 3,
        .flags = OP_ELEMENTWISE,
        .types = {TYPES_BOOL, TYPES_ALL, TYPES_ALL},
        .memo_size = sizeof(struct broadcast),
        .prepare = where_prepare,
        .shape = where_shape,
        .run = where_run,
    },
};

const struct op_list ops_logic = OP_LIST(ops);
