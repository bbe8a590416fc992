/* cast.c - Cast between numbers and booleans.
 *
 * A float that its integer cannot hold gives the lowest number, as x86 has it; ONNX
 * leaves it open. */
#include "engine/onnx_tensor.h"
#include "engine/ops/ops.h"

#define TYPES_CAST (TYPES_NUMBER | TYPES_BOOL)

static enum status prepare(struct load *load, struct error *err) {
    int64_t to;
    enum dtype dtype;
    enum status status = attr_int(load->node, "to", 0, &to, err);
    if (status != STATUS_OK) {
        return status;
    }
    attr_ignore(load->node, "saturate"); /* of 8-bit floats, which are not taken */
    dtype = to > 0 && to < INT32_MAX ? onnx_dtype((int32_t)to) : DTYPE_NONE;
    if (dtype == DTYPE_NONE || (TYPES_CAST & TYPE_BIT(dtype)) == 0) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "casts to ONNX type %lld, which is not handled", (long long)to);
    }
    graph_set_output(load->graph, load->node, 0, dtype);
    return STATUS_OK;
}

static enum status shape(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    exec_same_shape(exec, 0, 0);
    if (exec->x[0]->dtype == exec->y[0]->dtype) {
        exec_alias(exec, 0, 0);
    }
    return STATUS_OK;
}

static int64_t float_to_signed(double x) {
    return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : INT64_MIN;
}

static uint64_t float_to_unsigned(double x) {
    if (x >= 0x1p63 && x < 0x1p64) {
        return (uint64_t)(x - 0x1p63) + (UINT64_C(1) << 63);
    }
    return (uint64_t)float_to_signed(x);
}

#define LOOP(from_type, to_type, expression) \
    do {                                     \
        const from_type *from = x->data;     \
        to_type *to = y->data;               \
        for (size_t i = 0; i < count; i++) { \
            from_type value = from[i];       \
            to[i] = (to_type)(expression);   \
        }                                    \
    } while (0)

/* `real` is how a float becomes the type, `whole` how all others do. */
#define CASE_ALL(to_type, real, whole)  \
    switch (x->dtype) {                 \
    case DTYPE_F32:                     \
        LOOP(float, to_type, real);     \
        break;                          \
    case DTYPE_F64:                     \
        LOOP(double, to_type, real);    \
        break;                          \
    case DTYPE_I8:                      \
        LOOP(int8_t, to_type, whole);   \
        break;                          \
    case DTYPE_U8:                      \
        LOOP(uint8_t, to_type, whole);  \
        break;                          \
    case DTYPE_I16:                     \
        LOOP(int16_t, to_type, whole);  \
        break;                          \
    case DTYPE_U16:                     \
        LOOP(uint16_t, to_type, whole); \
        break;                          \
    case DTYPE_I32:                     \
        LOOP(int32_t, to_type, whole);  \
        break;                          \
    case DTYPE_U32:                     \
        LOOP(uint32_t, to_type, whole); \
        break;                          \
    case DTYPE_I64:                     \
        LOOP(int64_t, to_type, whole);  \
        break;                          \
    case DTYPE_U64:                     \
        LOOP(uint64_t, to_type, whole); \
        break;                          \
    case DTYPE_BOOL:                    \
        LOOP(bool, to_type, whole);     \
        break;                          \
    case DTYPE_NONE:                    \
    case DTYPE_STRING:                  \
    case DTYPE_F16:                     \
    case DTYPE_BF16:                    \
    case DTYPE_COUNT:                   \
        break; /* refused at load */    \
    }

#define CAST(name, to_type, real, whole)                         \
    static void name(const struct tensor *x, struct tensor *y) { \
        size_t count = tensor_count(x);                          \
        CASE_ALL(to_type, real, whole)                           \
    }

CAST(to_f32, float, value, value)
CAST(to_f64, double, value, value)
CAST(to_i8, int8_t, float_to_signed((double)value), value)
CAST(to_i16, int16_t, float_to_signed((double)value), value)
CAST(to_i32, int32_t, float_to_signed((double)value), value)
CAST(to_i64, int64_t, float_to_signed((double)value), value)
CAST(to_u8, uint8_t, float_to_signed((double)value), value)
CAST(to_u16, uint16_t, float_to_signed((double)value), value)
CAST(to_u32, uint32_t, float_to_signed((double)value), value)
CAST(to_u64, uint64_t, float_to_unsigned((double)value), value)
CAST(to_bool, bool, value != 0, value != 0)

static void (*const casts[DTYPE_COUNT])(const struct tensor *x, struct tensor *y) = {
    [DTYPE_F32] = to_f32, [DTYPE_F64] = to_f64,   [DTYPE_I8] = to_i8,
    [DTYPE_I16] = to_i16, [DTYPE_I32] = to_i32,   [DTYPE_I64] = to_i64,
    [DTYPE_U8] = to_u8,   [DTYPE_U16] = to_u16,   [DTYPE_U32] = to_u32,
    [DTYPE_U64] = to_u64, [DTYPE_BOOL] = to_bool,
};

static enum status run(struct exec *exec, struct error *err) {
    (void)err; /* cannot fail */
    casts[exec->y[0]->dtype](exec->x[0], exec->y[0]);
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Cast",
        .since = 6,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_CAST},
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_cast = OP_LIST(ops);
