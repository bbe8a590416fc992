/* binary.c - Add, Sub, Mul, Div, Mod, the bitwise operators and the comparisons: two
 * inputs of one dtype, broadcast.  (Pow: pow.c; And, Or, Xor: logic.c) */
#include <limits.h>
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

/* The remainder with the sign of the divisor, as in Python, and that of C's %. */
#define MOD_SIGNED(name, type)                                                   \
    DIVIDE(mod_##name, type,                                                     \
           q == -1 ? 0 : p % q + (p % q != 0 && (p % q < 0) != (q < 0) ? q : 0)) \
    DIVIDE(fmod_##name, type, q == -1 ? 0 : p % q)
#define MOD_UNSIGNED(name, type)    \
    DIVIDE(mod_##name, type, p % q) \
    DIVIDE(fmod_##name, type, p % q)

MOD_SIGNED(i8, int8_t)
MOD_SIGNED(i16, int16_t)
MOD_SIGNED(i32, int32_t)
MOD_SIGNED(i64, int64_t)
MOD_UNSIGNED(u8, uint8_t)
MOD_UNSIGNED(u16, uint16_t)
MOD_UNSIGNED(u32, uint32_t)
MOD_UNSIGNED(u64, uint64_t)
/* With the divisor's sign, as Python's. */
static double floor_mod(double p, double q) {
    double r = fmod(p, q);
    return r == 0 ? copysign(0, q) : (r < 0) != (q < 0) ? r + q : r;
}
SAME(mod_f32, float, floor_mod((double)p, (double)q))
SAME(mod_f64, double, floor_mod(p, q))
SAME(fmod_f32, float, fmodf(p, q))
SAME(fmod_f64, double, fmod(p, q))

/* ---- bits ---------------------------------------------------------------------- */

INTEGERS(SAME, bit_and, p &q)
INTEGERS(SAME, bit_or, p | q)
INTEGERS(SAME, bit_xor, p ^ q)

/* A shift by the width or more leaves nothing. */
#define SHIFTS(name, type)                                                      \
    SAME(left_##name, type, q < sizeof(type) * CHAR_BIT ? (uint64_t)p << q : 0) \
    SAME(right_##name, type, q < sizeof(type) * CHAR_BIT ? (uint64_t)p >> q : 0)

SHIFTS(u8, uint8_t)
SHIFTS(u16, uint16_t)
SHIFTS(u32, uint32_t)
SHIFTS(u64, uint64_t)

/* Of signed types: by less than 0 or by the width and more, nothing is left, or the sign.
 */
#define SIGNED_SHIFTS(name, type)                                                       \
    SAME(left_##name, type,                                                             \
         q < 0 || (uint64_t)q >= 8 * sizeof(type) ? 0                                   \
                                                  : (type)((uint64_t)p << (uint64_t)q)) \
    SAME(right_##name, type,                                                            \
         q < 0 || (uint64_t)q >= 8 * sizeof(type) ? (p < 0 ? -1 : 0)                    \
                                                  : (int64_t)p >> (uint64_t)q)
SIGNED_SHIFTS(i8, int8_t)
SIGNED_SHIFTS(i16, int16_t)
SIGNED_SHIFTS(i32, int32_t)
SIGNED_SHIFTS(i64, int64_t)

#define UNSIGNED_LINES(name)                                                    \
    [DTYPE_U8] = name##_u8, [DTYPE_U16] = name##_u16, [DTYPE_U32] = name##_u32, \
    [DTYPE_U64] = name##_u64

static const struct binary add = {{NUMBER_LINES(add)}};
static const struct binary sub = {{NUMBER_LINES(sub)}};
static const struct binary mul = {{NUMBER_LINES(mul)}};
static const struct binary divide = {{NUMBER_LINES(div)}};
static const struct binary mod = {{NUMBER_LINES(mod)}};
static const struct binary mod_c = {{NUMBER_LINES(fmod)}};
static const struct binary bit_and = {{INTEGER_LINES(bit_and)}};
static const struct binary bit_or = {{INTEGER_LINES(bit_or)}};
static const struct binary bit_xor = {{INTEGER_LINES(bit_xor)}};
static const struct binary shift_left = {{INTEGER_LINES(left)}};
static const struct binary shift_right = {{INTEGER_LINES(right)}};

/* ---- comparisons --------------------------------------------------------------- */

#define COMPARISON(name, operator)         \
    INTEGERS(TEST, name, p operator q)     \
    TEST(name##_f32, float, p operator q)  \
    TEST(name##_f64, double, p operator q) \
    static const struct binary name = {{NUMBER_LINES(name)}};

INTEGERS(TEST, equal, p == q)
TEST(equal_f32, float, p == q)
TEST(equal_f64, double, p == q)
TEST(equal_bool, bool, p == q)
TEST(equal_text, struct span, span_equal(p, q))

static const struct binary equal = {
    {NUMBER_LINES(equal), [DTYPE_BOOL] = equal_bool, [DTYPE_STRING] = equal_text}};
COMPARISON(less, <)
COMPARISON(less_equal, <=)
COMPARISON(greater, >)
COMPARISON(greater_equal, >=)

/* ---- the operator -------------------------------------------------------------- */

struct binary_state {
    const struct binary *binary; /* Mod and BitShift choose by an attribute */
    /* Until opset 6 the right side may be laid along the axes from `axis` on. */
    bool has_axis;
    int64_t axis;
};

static enum status prepare(struct load *load, struct error *err) {
    struct binary_state *state;
    bool wide;
    enum status status;
    attr_ignore(load->node, "consumed_inputs"); /* opset 1 to 5: a hint */
    if (load->node->opset >= 7) {
        return STATUS_OK;
    }
    state = load_state(load, struct binary_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    state->binary = load->node->op->param;
    /* Without it both sides have the same shape, which needs no telling. */
    status = attr_bool(load->node, "broadcast", false, &wide, err);
    state->has_axis = attr_find(load->node, "axis") != NULL;
    return status == STATUS_OK ? attr_int(load->node, "axis", 0, &state->axis, err)
                               : status;
}

static enum status mod_prepare(struct load *load, struct error *err) {
    struct binary_state *state = load_state(load, struct binary_state);
    bool as_c;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_bool(load->node, "fmod", false, &as_c, err);
    if (status != STATUS_OK) {
        return status;
    }
    state->binary = as_c ? &mod_c : &mod;
    return STATUS_OK;
}

static enum status shift_prepare(struct load *load, struct error *err) {
    static const char *const words[] = {"LEFT", "RIGHT", NULL};
    struct binary_state *state = load_state(load, struct binary_state);
    int word;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    if (attr_find(load->node, "direction") == NULL) {
        return node_error(load->node, err, STATUS_INVALID, "has no direction");
    }
    status = attr_word(load->node, "direction", 0, words, &word, err);
    if (status != STATUS_OK) {
        return status;
    }
    state->binary = word == 0 ? &shift_left : &shift_right;
    return STATUS_OK;
}

/* The right side with axes of size 1 behind it, so that it lies where opset 6 says. */
static enum status lay(const struct exec *exec, const struct binary_state *state,
                       struct tensor *right, struct error *err) {
    int axis = 0;
    enum status status = exec_axis(exec, state->axis, exec->x[0]->rank, &axis, err);
    while (status == STATUS_OK && right->rank < exec->x[0]->rank - axis) {
        right->dims[right->rank++] = 1;
    }
    return status;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct binary_state *state = exec->node->state;
    struct tensor right = *exec->x[1];
    const struct tensor *x[2] = {exec->x[0], &right};
    enum status status = STATUS_OK;
    if (state != NULL && state->has_axis) {
        status = lay(exec, state, &right, err);
    }
    if (status == STATUS_OK) {
        status = broadcast_shape(exec, x, 2, exec->y[0], err);
    }
    if (status == STATUS_OK) {
        broadcast_init(exec->memo, x, 2, exec->y[0]);
    }
    return status;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct broadcast *plan = exec->memo;
    const struct binary_state *state = exec->node->state;
    const struct binary *binary = state != NULL ? state->binary : exec->node->op->param;
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

#define BINARY(text, opset, table, allowed)                                              \
    {                                                                                    \
        .name = text, .since = opset, .inputs_min = 2, .inputs_max = 2,                  \
        .flags = OP_IN_PLACE | OP_FUSES_ACTIVATION | OP_ELEMENTWISE, .types = {allowed}, \
        .memo_size = sizeof(struct broadcast), .param = &(table), .prepare = prepare,    \
        .shape = shape, .run = run,                                                      \
    }
#define COMPARE(text, opset, table, allowed)                                      \
    {                                                                             \
        .name = text, .since = opset, .inputs_min = 2, .inputs_max = 2,           \
        .flags = OP_ELEMENTWISE, .types = {allowed}, .output_dtype = DTYPE_BOOL,  \
        .memo_size = sizeof(struct broadcast), .param = &(table), .shape = shape, \
        .run = run,                                                               \
    }

#define BITWISE(text, table)                                                      \
    {                                                                             \
        .name = text, .since = 18, .inputs_min = 2, .inputs_max = 2,              \
        .flags = OP_IN_PLACE | OP_ELEMENTWISE, .types = {TYPES_INT},              \
        .memo_size = sizeof(struct broadcast), .param = &(table), .shape = shape, \
        .run = run,                                                               \
    }
#define CHOSEN(text, opset, chooser, allowed)                                            \
    {                                                                                    \
        .name = text, .since = opset, .inputs_min = 2, .inputs_max = 2,                  \
        .flags = OP_IN_PLACE, .types = {allowed}, .memo_size = sizeof(struct broadcast), \
        .prepare = chooser, .shape = shape, .run = run,                                  \
    }

static const struct op ops[] = {
    BINARY("Add", 1, add, TYPES_NUMBER),
    BINARY("Sub", 1, sub, TYPES_NUMBER),
    BINARY("Mul", 1, mul, TYPES_NUMBER),
    BINARY("Div", 1, divide, TYPES_NUMBER),
    CHOSEN("Mod", 10, mod_prepare, TYPES_NUMBER),
    CHOSEN("BitShift", 11, shift_prepare, TYPES_INT),
    BITWISE("BitwiseAnd", bit_and),
    BITWISE("BitwiseOr", bit_or),
    BITWISE("BitwiseXor", bit_xor),
    COMPARE("Equal", 1, equal, TYPES_NUMBER | TYPES_BOOL | TYPES_STRING),
    COMPARE("Less", 1, less, TYPES_NUMBER),
    COMPARE("LessOrEqual", 12, less_equal, TYPES_NUMBER),
    COMPARE("Greater", 1, greater, TYPES_NUMBER),
    COMPARE("GreaterOrEqual", 12, greater_equal, TYPES_NUMBER),
};

const struct op_list ops_binary = OP_LIST(ops);
