/* cast.c - Cast and CastLike, between all types.
 *
 * Numbers and booleans go straight from one to the other.  The small floats and integers
 * go through float32, int8 or uint8, a block at a time.  A float that its integer cannot
 * hold gives the lowest number, as x86 has it; ONNX leaves it open. */
#include <errno.h>
#include <math.h>

#include "base/small_float.h"
#include "base/size.h"
#include "engine/onnx_tensor.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

enum { BLOCK = 512 };

/* Enough for the shortest text that gives any number back. */
enum { NUMBER_TEXT_MAX = 32 };

struct cast_state {
    bool saturate;
    int round; /* enum e8m0_round */
};

static enum status prepare_to(struct load *load, enum dtype dtype, struct error *err) {
    static const char *const rounds[] = {"up", "down", "nearest", NULL};
    struct cast_state *state = load_state(load, struct cast_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    graph_set_output(load->graph, load->node, 0, dtype);
    status = attr_bool(load->node, "saturate", true, &state->saturate, err);
    return status != STATUS_OK
               ? status
               : attr_word(load->node, "round_mode", 0, rounds, &state->round, err);
}

static enum status prepare(struct load *load, struct error *err) {
    int64_t to;
    enum dtype dtype;
    enum status status = attr_int(load->node, "to", 0, &to, err);
    if (status != STATUS_OK) {
        return status;
    }
    dtype = to > 0 && to < INT32_MAX ? onnx_dtype((int32_t)to) : DTYPE_NONE;
    if (dtype == DTYPE_NONE) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "casts to ONNX type %lld, which is not handled", (long long)to);
    }
    return prepare_to(load, dtype, err);
}

static enum status prepare_like(struct load *load, struct error *err) {
    return prepare_to(load, graph_input_dtype(load->graph, load->node, 1), err);
}

static enum status shape(struct exec *exec, struct error *err) {
    exec_same_shape(exec, 0, 0);
    if (exec->x[0]->dtype == exec->y[0]->dtype) {
        exec_alias(exec, 0, 0);
    } else if (exec->y[0]->dtype == DTYPE_STRING &&
               !size_mul(tensor_count(exec->x[0]), NUMBER_TEXT_MAX, &exec->extra_size)) {
        return node_error(exec->node, err, STATUS_POISON, "too many elements for texts");
    }
    return STATUS_OK;
}

static uint64_t float_to_unsigned(double x) {
    if (x >= 0x1p63 && x < 0x1p64) {
        return (uint64_t)(x - 0x1p63) + (UINT64_C(1) << 63);
    }
    return (uint64_t)number_truncate(x);
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
    CASE_DTYPE_UNUSUAL:                 \
        break; /* refused at load */    \
    }

#define CAST(name, to_type, real, whole)                         \
    static void name(const struct tensor *x, struct tensor *y) { \
        size_t count = tensor_count(x);                          \
        CASE_ALL(to_type, real, whole)                           \
    }

CAST(to_f32, float, value, value)
CAST(to_f64, double, value, value)
CAST(to_i8, int8_t, number_truncate((double)value), value)
CAST(to_i16, int16_t, number_truncate((double)value), value)
CAST(to_i32, int32_t, number_truncate((double)value), value)
CAST(to_i64, int64_t, number_truncate((double)value), value)
CAST(to_u8, uint8_t, number_truncate((double)value), value)
CAST(to_u16, uint16_t, number_truncate((double)value), value)
CAST(to_u32, uint32_t, number_truncate((double)value), value)
CAST(to_u64, uint64_t, float_to_unsigned((double)value), value)
CAST(to_bool, bool, value != 0, value != 0)

typedef void (*cast_fn)(const struct tensor *x, struct tensor *y);

static const cast_fn casts[DTYPE_COUNT] = {
    [DTYPE_F32] = to_f32, [DTYPE_F64] = to_f64,   [DTYPE_I8] = to_i8,
    [DTYPE_I16] = to_i16, [DTYPE_I32] = to_i32,   [DTYPE_I64] = to_i64,
    [DTYPE_U8] = to_u8,   [DTYPE_U16] = to_u16,   [DTYPE_U32] = to_u32,
    [DTYPE_U64] = to_u64, [DTYPE_BOOL] = to_bool,
};

/* ---- small types ------------------------------------------------------------------ */

static bool is_small_float(enum dtype dtype) {
    return small_float_of(dtype) != NULL || dtype == DTYPE_F8E8M0;
}

/* The type whose loops read and write `dtype`'s blocks: itself where it has its own. */
static enum dtype carrier(enum dtype dtype) {
    if (is_small_float(dtype)) {
        return DTYPE_F32;
    }
    if (dtype == DTYPE_U4 || dtype == DTYPE_U2) {
        return DTYPE_U8;
    }
    return dtype == DTYPE_I4 || dtype == DTYPE_I2 ? DTYPE_I8 : dtype;
}

/* binary16 by shifting its bits into float32's place; exact, and gcc vectorises it. */
static void widen_f16(const uint16_t *from, size_t count, float *to) {
    for (size_t i = 0; i < count; i++) {
        uint32_t magnitude = (uint32_t)(from[i] & 0x7fff) << 13;
        uint32_t bits;
        float value;
        memcpy(&value, &magnitude, sizeof(value));
        value *= 0x1p112F; /* the difference of the biases; right for subnormals too */
        memcpy(&bits, &value, sizeof(bits));
        bits =
            magnitude >= UINT32_C(0x7c00) << 13 ? magnitude | UINT32_C(0x7f800000) : bits;
        bits |= (uint32_t)(from[i] & 0x8000) << 16;
        memcpy(&to[i], &bits, sizeof(bits));
    }
}

static void widen_bf16(const uint16_t *from, size_t count, float *to) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)from[i] << 16;
        memcpy(&to[i], &bits, sizeof(bits));
    }
}

/* Adding half a unit and the last kept bit rounds to nearest, ties to even. */
static void narrow_bf16(const float *from, size_t count, uint16_t *to) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &from[i], sizeof(bits));
        to[i] = (bits & UINT32_C(0x7fffffff)) > UINT32_C(0x7f800000)
                    ? (uint16_t)(bits >> 16 | 0x40)
                    : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}

/* As above where the result is normal; a subnormal is rounded by adding 0.5, whose last
 * bit is worth as much as a subnormal's. */
static void narrow_f16(const float *from, size_t count, uint16_t *to) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits, magnitude, tiny, normal, result;
        float value;
        memcpy(&bits, &from[i], sizeof(bits));
        magnitude = bits & UINT32_C(0x7fffffff);
        memcpy(&value, &magnitude, sizeof(value));
        value += 0.5F;
        memcpy(&tiny, &value, sizeof(tiny));
        tiny -= UINT32_C(0x3f000000);
        normal = (magnitude - UINT32_C(0x38000000) + 0xfff + (magnitude >> 13 & 1)) >> 13;
        result = magnitude < UINT32_C(0x38800000) ? tiny : normal;
        result = magnitude >= UINT32_C(0x477ff000) ? 0x7c00 : result;
        result = magnitude > UINT32_C(0x7f800000) ? 0x7e00 : result;
        to[i] = (uint16_t)(result | (bits >> 16 & 0x8000));
    }
}

static void read_block(enum dtype dtype, const void *from, size_t count, float *to) {
    const uint8_t *bytes = from;
    if (dtype == DTYPE_F16) {
        widen_f16(from, count, to);
        return;
    }
    if (dtype == DTYPE_BF16) {
        widen_bf16(from, count, to);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        to[i] = dtype == DTYPE_F8E8M0 ? e8m0_to_f32(bytes[i])
                                      : small_to_f32(small_float_of(dtype), bytes[i]);
    }
}

static void write_block(const struct cast_state *state, enum dtype dtype,
                        const void *from, size_t count, uint8_t *to) {
    const float *reals = from;
    if (dtype == DTYPE_F16) {
        narrow_f16(from, count, (uint16_t *)(void *)to);
    } else if (dtype == DTYPE_BF16) {
        narrow_bf16(from, count, (uint16_t *)(void *)to);
    } else if (is_small_float(dtype)) {
        for (size_t i = 0; i < count; i++) {
            to[i] = dtype == DTYPE_F8E8M0
                        ? e8m0_from_f32(reals[i], state->saturate,
                                        (enum e8m0_round)state->round)
                        : (uint8_t)small_from_f32(small_float_of(dtype), reals[i],
                                                  state->saturate);
        }
    } else {
        int width = (int)dtype_packed_bits(dtype);
        bool is_signed = dtype == DTYPE_I4 || dtype == DTYPE_I2;
        for (size_t i = 0; i < count; i++) {
            uint8_t bits = (uint8_t)(((const uint8_t *)from)[i] & ((1U << width) - 1));
            to[i] = is_signed ? (uint8_t)small_signed(bits, width) : bits;
        }
    }
}

/* One block: x in its own type, through the carriers' loops, into y's own type. */
static void cast_block(const struct cast_state *state, const struct tensor *x,
                       struct tensor *y) {
    float read[BLOCK];
    double written[BLOCK]; /* room for a block of any carrier */
    size_t count = (size_t)x->dims[0];
    struct tensor from = *x, to = *y;
    from.dtype = carrier(x->dtype);
    to.dtype = carrier(y->dtype);
    if (is_small_float(x->dtype)) {
        read_block(x->dtype, x->data, count, read);
        from.data = read;
    }
    if (to.dtype != y->dtype) {
        to.data = written;
    }
    if (from.dtype == to.dtype) {
        to.data = from.data;
    } else {
        casts[to.dtype](&from, &to);
    }
    if (to.dtype != y->dtype) {
        write_block(state, y->dtype, to.data, count, y->data);
    } else if (to.data != y->data) {
        memcpy(y->data, to.data, count * dtype_size(y->dtype));
    }
}

static void cast_blocks(const struct cast_state *state, const struct tensor *x,
                        struct tensor *y) {
    size_t count = tensor_count(x);
    for (size_t at = 0; at < count; at += BLOCK) {
        struct tensor from = {.dtype = x->dtype, .rank = 1}, to = from;
        to.dtype = y->dtype;
        from.dims[0] = to.dims[0] = (int64_t)size_min(BLOCK, count - at);
        from.data = (uint8_t *)x->data + at * dtype_size(x->dtype);
        to.data = (uint8_t *)y->data + at * dtype_size(y->dtype);
        cast_block(state, &from, &to);
    }
}

/* ---- texts ------------------------------------------------------------------------ */

/* The number in `text`, as strtod has it (with infinities and NaN), and nothing else. */
static bool parse_real(struct span text, double *out) {
    char copy[128], *end;
    if (text.size == 0 || text.size >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    *out = strtod(copy, &end);
    return end == copy + text.size;
}

static bool parse_whole(struct span text, int64_t *out) {
    char copy[128], *end;
    if (text.size == 0 || text.size >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    errno = 0;
    *out = copy[0] == '-' ? strtoll(copy, &end, 10) : (int64_t)strtoull(copy, &end, 10);
    return end == copy + text.size && errno == 0;
}

static enum status cast_text(const struct exec *exec, size_t i, struct tensor *one,
                             struct error *err) {
    const struct cast_state *state = exec->node->state;
    struct span text = ((const struct span *)exec->x[0]->data)[i];
    struct tensor from = {.dtype = DTYPE_F64, .rank = 1, .dims = {1}};
    int64_t whole;
    double real;
    if ((TYPES_INT & TYPE_BIT(one->dtype)) != 0 && parse_whole(text, &whole)) {
        from.dtype = one->dtype == DTYPE_U64 ? DTYPE_U64 : DTYPE_I64;
        from.data = &whole;
    } else if (parse_real(text, &real)) {
        from.data = &real;
    } else {
        return node_error(exec->node, err, STATUS_POISON,
                          "element %zu is a text that is no number", i);
    }
    if (from.dtype == one->dtype) {
        memcpy(one->data, from.data, dtype_size(one->dtype));
    } else {
        cast_block(state, &from, one);
    }
    return STATUS_OK;
}

static enum status from_texts(const struct exec *exec, struct error *err) {
    size_t count = tensor_count(exec->x[0]);
    struct tensor one = {.dtype = exec->y[0]->dtype, .rank = 1, .dims = {1}};
    for (size_t i = 0; i < count; i++) {
        enum status status;
        one.data = (uint8_t *)exec->y[0]->data + i * dtype_size(one.dtype);
        status = cast_text(exec, i, &one, err);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

/* The shortest text that reads back as the same number of `digits_max` digits' type. */
static int real_text(double value, bool is_double, char *text) {
    int size = 0;
    for (int digits = 1; digits <= (is_double ? 17 : 9); digits++) {
        size = snprintf(text, NUMBER_TEXT_MAX, "%.*g", digits, value);
        if (is_double ? strtod(text, NULL) == value
                      : strtof(text, NULL) == (float)value) {
            break;
        }
    }
    return size;
}

static int number_text(const struct tensor *x, size_t i, char *text) {
    struct tensor from = {.dtype = x->dtype, .rank = 1, .dims = {1}}, to = from;
    int64_t whole = 0;
    double real = 0;
    bool is_real = is_small_float(x->dtype) || (TYPES_FLOAT & TYPE_BIT(x->dtype)) != 0;
    from.data = (uint8_t *)x->data + i * dtype_size(x->dtype);
    to.dtype = is_real ? DTYPE_F64 : x->dtype == DTYPE_U64 ? DTYPE_U64 : DTYPE_I64;
    to.data = is_real ? (void *)&real : (void *)&whole;
    cast_block(NULL, &from, &to);
    if (x->dtype == DTYPE_BOOL) {
        return snprintf(text, NUMBER_TEXT_MAX, "%s", whole != 0 ? "True" : "False");
    }
    if (is_real) {
        return isnan(real)   ? snprintf(text, NUMBER_TEXT_MAX, "NaN")
               : isinf(real) ? snprintf(text, NUMBER_TEXT_MAX, real < 0 ? "-INF" : "INF")
                             : real_text(real, x->dtype == DTYPE_F64, text);
    }
    return x->dtype == DTYPE_U64
               ? snprintf(text, NUMBER_TEXT_MAX, "%llu", (unsigned long long)whole)
               : snprintf(text, NUMBER_TEXT_MAX, "%lld", (long long)whole);
}

static void to_texts(const struct exec *exec) {
    size_t count = tensor_count(exec->x[0]);
    struct span *texts = exec->y[0]->data;
    for (size_t i = 0; i < count; i++) {
        char *text = (char *)exec->extra + i * NUMBER_TEXT_MAX;
        texts[i] = span_of(text, (size_t)number_text(exec->x[0], i, text));
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    struct tensor *y = exec->y[0];
    if (x->dtype == DTYPE_STRING) {
        return from_texts(exec, err);
    }
    if (y->dtype == DTYPE_STRING) {
        to_texts(exec);
    } else if (carrier(x->dtype) == x->dtype && carrier(y->dtype) == y->dtype) {
        casts[y->dtype](x, y);
    } else {
        cast_blocks(exec->node->state, x, y);
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Cast",
        .since = 6,
        .inputs_min = 1,
        .inputs_max = 1,
        .flags = OP_KEEPS_HALF | OP_ELEMENTWISE,
        .types = {TYPES_ALL},
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
    {
        .name = "CastLike",
        .since = 15,
        .inputs_min = 2,
        .inputs_max = 2,
        .flags = OP_KEEPS_HALF,
        .types = {TYPES_ALL, TYPES_ALL, TYPES_ALL, TYPES_ALL, TYPES_ALL, TYPES_ALL},
        .prepare = prepare_like,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_cast = OP_LIST(ops);
