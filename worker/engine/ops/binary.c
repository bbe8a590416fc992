/* binary.c - Add, Sub, Mul, Div, Pow and the comparisons: two inputs, broadcast. */
#include <math.h>

#include "engine/kernels/elementwise.h"
#include "engine/ops/broadcast.h"
#include "engine/ops/ops.h"

/* One line of the result; steps are 0 or 1.  False where an element has no result. */
typedef bool (*line_fn)(int64_t count, const void *a, int64_t a_step, const void *b,
                        int64_t b_step, void *y);

struct binary {
    line_fn lines[DTYPE_COUNT]; /* by dtype of the inputs */
};

#define LINE(name, type, result, expression)                                      \
    static bool name(int64_t count, const void *a, int64_t a_step, const void *b, \
                     int64_t b_step, void *y) {                                   \
        const type *left = a, *right = b;                                         \
        result *out = y;                                                          \
        for (int64_t i = 0; i < count; i++) {                                     \
            type p = left[i * a_step], q = right[i * b_step];                     \
            out[i] = (result)(expression);                                        \
        }                                                                         \
        return true;                                                              \
    }

/* Integers wrap around: they are computed without sign, where that is defined. */
#define INTEGERS(X, name, expression)   \
    X(name##_i8, int8_t, expression)    \
    X(name##_u8, uint8_t, expression)   \
    X(name##_i16, int16_t, expression)  \
    X(name##_u16, uint16_t, expression) \
    X(name##_i32, int32_t, expression)  \
    X(name##_u32, uint32_t, expression) \
    X(name##_i64, int64_t, expression)  \
    X(name##_u64, uint64_t, expression)
#define SAME(name, type, expression) LINE(name, type, type, expression)
#define TEST(name, type, expression) LINE(name, type, bool, expression)

#define INTEGER_LINES(name)                                                       \
    [DTYPE_I8] = name##_i8, [DTYPE_U8] = name##_u8, [DTYPE_I16] = name##_i16,     \
    [DTYPE_U16] = name##_u16, [DTYPE_I32] = name##_i32, [DTYPE_U32] = name##_u32, \
    [DTYPE_I64] = name##_i64, [DTYPE_U64] = name##_u64
#define NUMBER_LINES(name) \
    INTEGER_LINES(name), [DTYPE_F32] = name##_f32, [DTYPE_F64] = name##_f64

/* ---- arithmetic ---------------------------------------------------------------- */

static void fast_line(enum ew_op op, int64_t count, const void *a, int64_t a_step,
                      const void *b, int64_t b_step, void *y) {
    enum ew_form form = a_step == b_step ? EW_BOTH
                        : a_step == 0    ? EW_SCALAR_A
                                         : EW_SCALAR_B;
    ew_binary(op, form, count, a, b, y);
}

#define FAST(name, op)                                                            \
    static bool name(int64_t count, const void *a, int64_t a_step, const void *b, \
                     int64_t b_step, void *y) {                                   \
        fast_line(op, count, a, a_step, b, b_step, y);                            \
        return true;                                                              \
    }

INTEGERS(SAME, add, (uint64_t)p + (uint64_t)q)
INTEGERS(SAME, sub, (uint64_t)p - (uint64_t)q)
INTEGERS(SAME, mul, (uint64_t)p *(uint64_t)q)
SAME(add_f64, double, p + q)
SAME(sub_f64, double, p - q)
SAME(mul_f64, double, p *q)
SAME(div_f64, double, p / q)
FAST(add_f32, EW_ADD)
FAST(sub_f32, EW_SUB)
FAST(mul_f32, EW_MUL)
FAST(div_f32, EW_DIV)

/* Division by -1 is a negation, which wraps where the quotient would not fit. */
#define DIVIDE(name, type, quotient)                                              \
    static bool name(int64_t count, const void *a, int64_t a_step, const void *b, \
                     int64_t b_step, void *y) {                                   \
        const type *left = a, *right = b;                                         \
        type *out = y;                                                            \
        for (int64_t i = 0; i < count; i++) {                                     \
            type p = left[i * a_step], q = right[i * b_step];                     \
            if (q == 0) {                                                         \
                return false;                                                     \
            }                                                                     \
            out[i] = (type)(quotient);                                            \
        }                                                                         \
        return true;                                                              \
    }
#define DIVIDE_SIGNED(name, type) \
    DIVIDE(name, type, q == -1 ? (type)(0 - (uint64_t)p) : (type)(p / q))
#define DIVIDE_UNSIGNED(name, type) DIVIDE(name, type, p / q)

DIVIDE_SIGNED(div_i8, int8_t)
DIVIDE_SIGNED(div_i16, int16_t)
DIVIDE_SIGNED(div_i32, int32_t)
DIVIDE_SIGNED(div_i64, int64_t)
DIVIDE_UNSIGNED(div_u8, uint8_t)
DIVIDE_UNSIGNED(div_u16, uint16_t)
DIVIDE_UNSIGNED(div_u32, uint32_t)
DIVIDE_UNSIGNED(div_u64, uint64_t)

SAME(pow_f32, float, powf(p, q))
SAME(pow_f64, double, pow(p, q))

static const struct binary add = {{NUMBER_LINES(add)}};
static const struct binary sub = {{NUMBER_LINES(sub)}};
static const struct binary mul = {{NUMBER_LINES(mul)}};
static const struct binary divide = {{NUMBER_LINES(div)}};
static const struct binary power = {{[DTYPE_F32] = pow_f32, [DTYPE_F64] = pow_f64}};

/* ---- comparisons --------------------------------------------------------------- */

#define COMPARISON(name, operator)         \
    INTEGERS(TEST, name, p operator q)     \
    TEST(name##_f32, float, p operator q)  \
    TEST(name##_f64, double, p operator q) \
    TEST(name##_bool, bool, p operator q)  \
    static const struct binary name = {{NUMBER_LINES(name), [DTYPE_BOOL] = name##_bool}};

COMPARISON(equal, ==)
COMPARISON(less, <)
COMPARISON(less_equal, <=)
COMPARISON(greater, >)
COMPARISON(greater_equal, >=)

/* ---- the operator -------------------------------------------------------------- */

static enum status prepare(struct load *load, struct error *err) {
    (void)err;                                  /* nothing is checked */
    attr_ignore(load->node, "consumed_inputs"); /* opset 1 to 5: a hint */
    return STATUS_OK;
}

static enum status shape(struct exec *exec, struct error *err) {
    enum status status = broadcast_shape(exec, exec->x, 2, exec->y[0], err);
    if (status == STATUS_OK) {
        broadcast_init(exec->memo, exec->x, 2, exec->y[0]);
    }
    return status;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct broadcast *plan = exec->memo;
    const struct binary *binary = exec->node->op->param;
    const struct act *act = &exec->node->act;
    line_fn line = binary->lines[exec->x[0]->dtype];
    size_t in = dtype_size(exec->x[0]->dtype), out = dtype_size(exec->y[0]->dtype);
    const uint8_t *a = exec->x[0]->data, *b = exec->x[1]->data;
    uint8_t *y = exec->y[0]->data;
    struct broadcast_walk walk = {0};
    if (!broadcast_any(plan)) {
        return STATUS_OK;
    }
    do {
        uint8_t *to = y + (size_t)walk.out * out;
        if (!line(plan->line, a + (size_t)walk.at[0] * in, plan->line_step[0],
                  b + (size_t)walk.at[1] * in, plan->line_step[1], to)) {
            return node_error(exec->node, err, STATUS_POISON,
                              "an integer is divided by zero");
        }
        if (act->kind != ACT_NONE) {
            act_run(act, plan->line, (const void *)to, (void *)to);
        }
    } while (broadcast_next(plan, &walk));
    return STATUS_OK;
}

#define BINARY(text, opset, table, allowed)                                           \
    {                                                                                 \
        .name = text, .since = opset, .inputs_min = 2, .inputs_max = 2,               \
        .flags = OP_IN_PLACE | OP_FUSES_ACTIVATION, .types = {allowed},               \
        .memo_size = sizeof(struct broadcast), .param = &(table), .prepare = prepare, \
        .shape = shape, .run = run,                                                   \
    }
#define COMPARE(text, opset, table, allowed)                                      \
    {                                                                             \
        .name = text, .since = opset, .inputs_min = 2, .inputs_max = 2,           \
        .types = {allowed}, .output_dtype = DTYPE_BOOL,                           \
        .memo_size = sizeof(struct broadcast), .param = &(table), .shape = shape, \
        .run = run,                                                               \
    }

static const struct op ops[] = {
    BINARY("Add", 1, add, TYPES_NUMBER),
    BINARY("Sub", 1, sub, TYPES_NUMBER),
    BINARY("Mul", 1, mul, TYPES_NUMBER),
    BINARY("Div", 1, divide, TYPES_NUMBER),
    BINARY("Pow", 1, power, TYPES_FLOAT),
    COMPARE("Equal", 1, equal, TYPES_NUMBER | TYPES_BOOL),
    COMPARE("Less", 1, less, TYPES_NUMBER),
    COMPARE("LessOrEqual", 12, less_equal, TYPES_NUMBER),
    COMPARE("Greater", 1, greater, TYPES_NUMBER),
    COMPARE("GreaterOrEqual", 12, greater_equal, TYPES_NUMBER),
};

const struct op_list ops_binary = OP_LIST(ops);
