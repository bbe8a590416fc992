/* variadic.c - Max, Min, Sum and Mean of any number of inputs, broadcast.
 *
 * The result starts as the first input and takes in one more at a time. */
#include <math.h>

#include "engine/ops/broadcast.h"
#include "engine/ops/ops.h"

typedef void (*fold_fn)(int64_t count, const void *x, int64_t step, void *y);

struct variadic {
    fold_fn folds[DTYPE_COUNT];
    bool mean;
};

/* `value` is an element of the input, `so_far` the result up to it. */
#define FOLD(name, type, expression)                                        \
    static void name(int64_t count, const void *x, int64_t step, void *y) { \
        const type *from = x;                                               \
        type *to = y;                                                       \
        if (step == 1) {                                                    \
            for (int64_t i = 0; i < count; i++) {                           \
                type value = from[i], so_far = to[i];                       \
                to[i] = (type)(expression);                                 \
            }                                                               \
        } else {                                                            \
            type value = *from;                                             \
            for (int64_t i = 0; i < count; i++) {                           \
                type so_far = to[i];                                        \
                to[i] = (type)(expression);                                 \
            }                                                               \
        }                                                                   \
    }
#define INTEGERS(name, expression)         \
    FOLD(name##_i8, int8_t, expression)    \
    FOLD(name##_u8, uint8_t, expression)   \
    FOLD(name##_i16, int16_t, expression)  \
    FOLD(name##_u16, uint16_t, expression) \
    FOLD(name##_i32, int32_t, expression)  \
    FOLD(name##_u32, uint32_t, expression) \
    FOLD(name##_i64, int64_t, expression)  \
    FOLD(name##_u64, uint64_t, expression)
#define ENTRIES(name)                                                             \
    [DTYPE_I8] = name##_i8, [DTYPE_U8] = name##_u8, [DTYPE_I16] = name##_i16,     \
    [DTYPE_U16] = name##_u16, [DTYPE_I32] = name##_i32, [DTYPE_U32] = name##_u32, \
    [DTYPE_I64] = name##_i64, [DTYPE_U64] = name##_u64, [DTYPE_F32] = name##_f32, \
    [DTYPE_F64] = name##_f64

/* A NaN stays: it is neither larger nor smaller, and whoever has it keeps it. */
INTEGERS(max, value > so_far ? value : so_far)
INTEGERS(min, value < so_far ? value : so_far)
INTEGERS(sum, (uint64_t)value + (uint64_t)so_far)
FOLD(max_f32, float, value > so_far || value != value ? value : so_far)
FOLD(max_f64, double, value > so_far || value != value ? value : so_far)
FOLD(min_f32, float, value < so_far || value != value ? value : so_far)
FOLD(min_f64, double, value < so_far || value != value ? value : so_far)
FOLD(sum_f32, float, value + so_far)
FOLD(sum_f64, double, value + so_far)

static const struct variadic max_ = {.folds = {ENTRIES(max)}};
static const struct variadic min_ = {.folds = {ENTRIES(min)}};
static const struct variadic sum_ = {.folds = {ENTRIES(sum)}};
static const struct variadic mean_ = {
    .folds = {[DTYPE_F32] = sum_f32, [DTYPE_F64] = sum_f64}, .mean = true};

static enum status prepare(struct load *load, struct error *err) {
    (void)err;                                  /* nothing is checked */
    attr_ignore(load->node, "consumed_inputs"); /* opset 1 to 5: a hint */
    return STATUS_OK;
}

static enum status shape(struct exec *exec, struct error *err) {
    exec_same_shape(exec, 0, 0);
    for (int i = 1; i < exec->node->input_count; i++) {
        const struct tensor so_far = *exec->y[0];
        const struct tensor *pair[2] = {&so_far, exec->x[i]};
        enum status status = broadcast_shape(exec, pair, 2, exec->y[0], err);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static void spread(const struct broadcast *plan, const struct tensor *x,
                   struct tensor *y) {
    size_t size = dtype_size(x->dtype);
    struct broadcast_walk walk = {0};
    do {
        const uint8_t *from = (const uint8_t *)x->data + (size_t)walk.at[0] * size;
        uint8_t *to = (uint8_t *)y->data + (size_t)walk.out * size;
        if (plan->line_step[0] == 1) {
            memcpy(to, from, (size_t)plan->line * size);
        } else {
            for (int64_t i = 0; i < plan->line; i++) {
                memcpy(to + (size_t)i * size, from, size);
            }
        }
    } while (broadcast_next(plan, &walk));
}

static void divide(struct tensor *y, int by) {
    size_t count = tensor_count(y);
    for (size_t i = 0; i < count; i++) {
        if (y->dtype == DTYPE_F32) {
            ((float *)y->data)[i] /= (float)by;
        } else {
            ((double *)y->data)[i] /= by;
        }
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct variadic *variadic = exec->node->op->param;
    struct tensor *y = exec->y[0];
    size_t size = dtype_size(y->dtype);
    (void)err; /* cannot fail */
    for (int i = 0; i < exec->node->input_count; i++) {
        const struct tensor *pair[2] = {exec->x[i], y};
        struct broadcast plan;
        struct broadcast_walk walk = {0};
        broadcast_init(&plan, pair, 2, y);
        if (!broadcast_any(&plan)) {
            return STATUS_OK;
        }
        if (i == 0) {
            spread(&plan, exec->x[0], y);
            continue;
        }
        do {
            variadic->folds[y->dtype](
                plan.line, (const uint8_t *)exec->x[i]->data + (size_t)walk.at[0] * size,
                plan.line_step[0], (uint8_t *)y->data + (size_t)walk.out * size);
        } while (broadcast_next(&plan, &walk));
    }
    if (variadic->mean) {
        divide(y, exec->node->input_count);
    }
    return STATUS_OK;
}

#define VARIADIC(text, table, allowed)                                            \
    {                                                                             \
        .name = text, .since = 1, .inputs_min = 1, .inputs_max = NODE_INPUTS_MAX, \
        .flags = OP_ELEMENTWISE, .types = {allowed}, .param = &(table),           \
        .prepare = prepare, .shape = shape, .run = run,                           \
    }

static const struct op ops[] = {
    VARIADIC("Max", max_, TYPES_NUMBER),
    VARIADIC("Min", min_, TYPES_NUMBER),
    VARIADIC("Sum", sum_, TYPES_FLOAT),
    VARIADIC("Mean", mean_, TYPES_FLOAT),
};

const struct op_list ops_variadic = OP_LIST(ops);
