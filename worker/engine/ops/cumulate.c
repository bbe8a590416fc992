/* cumulate.c - CumSum, CumProd, Trilu. */
#include "engine/ops/ops.h"

struct cumulate_state {
    bool exclusive, reverse;
};

/* `first` of `count` elements `step` apart. */
typedef void (*scan_fn)(const void *x, void *y, int64_t count, int64_t step,
                        bool exclusive);

struct cumulate {
    scan_fn scans[DTYPE_COUNT];
};

#define SCAN(name, type, unit, operator)                                  \
    static void name(const void *x, void *y, int64_t count, int64_t step, \
                     bool exclusive) {                                    \
        const type *from = x;                                             \
        type *to = y, total = unit;                                       \
        for (int64_t i = 0; i < count; i++) {                             \
            type value = from[i * step];                                  \
            if (exclusive) {                                              \
                to[i * step] = total;                                     \
            }                                                             \
            total = (type)(total operator value);                         \
            if (!exclusive) {                                             \
                to[i * step] = total;                                     \
            }                                                             \
        }                                                                 \
    }
#define SCANS(name, unit, operator)                                 \
    SCAN(name##_f32, float, unit, operator)                         \
    SCAN(name##_f64, double, unit, operator)                        \
    SCAN(name##_32, uint32_t, unit, operator)                       \
    SCAN(name##_64, uint64_t, unit, operator)                       \
    static const struct cumulate name = {{[DTYPE_F32] = name##_f32, \
                                          [DTYPE_F64] = name##_f64, \
                                          [DTYPE_I32] = name##_32,  \
                                          [DTYPE_U32] = name##_32,  \
                                          [DTYPE_I64] = name##_64,  \
                                          [DTYPE_U64] = name##_64}};

/* Integers wrap around, which is the same with and without sign. */
SCANS(sums, 0, +)
SCANS(products, 1, *)

#define TYPES_CUMULATE \
    (TYPES_FLOAT | TYPES_INDEX | TYPE_BIT(DTYPE_U32) | TYPE_BIT(DTYPE_U64))

static enum status prepare(struct load *load, struct error *err) {
    struct cumulate_state *state = load_state(load, struct cumulate_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_bool(load->node, "exclusive", false, &state->exclusive, err);
    return status == STATUS_OK
               ? attr_bool(load->node, "reverse", false, &state->reverse, err)
               : status;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct cumulate_state *state = exec->node->state;
    const struct cumulate *cumulate = exec->node->op->param;
    const struct tensor *x = exec->x[0];
    size_t size = dtype_size(x->dtype), outer = 1, inner = 1;
    int64_t given = 0, count;
    int axis = 0, numbers = 0;
    enum status status = exec_ints(exec, 1, &given, 1, &numbers, err);
    if (status == STATUS_OK) {
        status = exec_axis(exec, given, x->rank, &axis, err);
    }
    if (status != STATUS_OK || tensor_count(x) == 0) {
        return status;
    }
    count = x->dims[axis];
    for (int i = 0; i < x->rank; i++) {
        if (i != axis) {
            *(i < axis ? &outer : &inner) *= (size_t)x->dims[i];
        }
    }
    for (size_t i = 0; i < outer * inner; i++) {
        size_t at = (i / inner * (size_t)count * inner + i % inner) * size;
        size_t last = (size_t)(count - 1) * inner * size;
        at += state->reverse ? last : 0;
        cumulate->scans[x->dtype](
            (const uint8_t *)x->data + at, (uint8_t *)exec->y[0]->data + at, count,
            state->reverse ? -(int64_t)inner : (int64_t)inner, state->exclusive);
    }
    return STATUS_OK;
}

/* ---- Trilu ------------------------------------------------------------------------- */

struct trilu_state {
    bool upper;
};

static enum status trilu_prepare(struct load *load, struct error *err) {
    struct trilu_state *state = load_state(load, struct trilu_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    return attr_bool(load->node, "upper", true, &state->upper, err);
}

static enum status trilu_shape(struct exec *exec, struct error *err) {
    if (exec->x[0]->rank < 2) {
        return node_error(exec->node, err, STATUS_POISON,
                          "the input has rank %d, at least 2 is needed",
                          exec->x[0]->rank);
    }
    exec_same_shape(exec, 0, 0);
    return STATUS_OK;
}

static int64_t clamp(int64_t value, int64_t high) {
    return value < 0 ? 0 : value > high ? high : value;
}

static enum status trilu_run(struct exec *exec, struct error *err) {
    const struct trilu_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    int64_t rows = x->dims[x->rank - 2], columns = x->dims[x->rank - 1], k = 0;
    size_t size = dtype_size(x->dtype), count = tensor_count(x);
    int numbers = 0;
    if (exec_has(exec, 1)) {
        enum status status = exec_ints(exec, 1, &k, 1, &numbers, err);
        if (status != STATUS_OK) {
            return status;
        }
        k = clamp(k + rows, rows + columns) - rows; /* beyond that nothing changes */
    }
    for (size_t at = 0; at < count; at += (size_t)columns) {
        int64_t row = (int64_t)(at / (size_t)columns) % rows;
        /* The diagonal's column: it and what is right of it is the upper part. */
        int64_t cut = clamp(row + k + (state->upper ? 0 : 1), columns);
        uint8_t *to = (uint8_t *)exec->y[0]->data + at * size;
        const uint8_t *from = (const uint8_t *)x->data + at * size;
        size_t left = (size_t)cut * size, right = (size_t)(columns - cut) * size;
        if (state->upper) {
            memset(to, 0, left);
            memmove(to + left, from + left, right);
        } else {
            memmove(to, from, left);
            memset(to + left, 0, right);
        }
    }
    return STATUS_OK;
}

#define CUMULATE(text, opset, table)                                                   \
    {                                                                                  \
        .name = text, .since = opset, .inputs_min = 2, .inputs_max = 2,                \
        .types = {TYPES_CUMULATE, TYPES_INDEX}, .param = &(table), .prepare = prepare, \
        .shape = op_shape_same, .run = run,                                            \
    }

static const struct op ops[] = {
    CUMULATE("CumSum", 11, sums),
    CUMULATE("CumProd", 26, products),
    {
        .name = "Trilu",
        .since = 14,
        .inputs_min = 1,
        .inputs_max = 2,
        .types = {TYPES_ALL & ~TYPES_STRING, TYPES_I64},
        .prepare = trilu_prepare,
        .shape = trilu_shape,
        .run = trilu_run,
    },
};

const struct op_list ops_cumulate = OP_LIST(ops);
