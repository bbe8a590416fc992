/* number.c - see number.h. */
#include "engine/ops/number.h"

#include <assert.h>
#include <math.h>

#include "base/compiler.h"
#include "base/small_float.h"

struct access {
    double (*real)(const void *data, int64_t at);
    int64_t (*integer)(const void *data, int64_t at);
    void (*set_real)(void *data, int64_t at, double value);
    void (*set_integer)(void *data, int64_t at, int64_t value);
};

static int64_t itself(int64_t value) {
    return value;
}

static double same(double value) {
    return value;
}

#define ACCESS(name, type, from_real, to_integer)                           \
    static double name##_real(const void *data, int64_t at) {               \
        return (double)((const type *)data)[at];                            \
    }                                                                       \
    static int64_t name##_integer(const void *data, int64_t at) {           \
        return to_integer(((const type *)data)[at]);                        \
    }                                                                       \
    static void name##_set_real(void *data, int64_t at, double value) {     \
        ((type *)data)[at] = (type)from_real(value);                        \
    }                                                                       \
    static void name##_set_integer(void *data, int64_t at, int64_t value) { \
        ((type *)data)[at] = (type)value;                                   \
    }

ACCESS(i8, int8_t, number_truncate, itself)
ACCESS(u8, uint8_t, number_truncate, itself)
ACCESS(i16, int16_t, number_truncate, itself)
ACCESS(u16, uint16_t, number_truncate, itself)
ACCESS(i32, int32_t, number_truncate, itself)
ACCESS(u32, uint32_t, number_truncate, itself)
ACCESS(i64, int64_t, number_truncate, itself)
ACCESS(u64, uint64_t, number_truncate, (int64_t))
ACCESS(bool, bool, same, itself)
ACCESS(f32, float, same, number_truncate)
ACCESS(f64, double, same, number_truncate)

#define ACCESS_HALF(name)                                                         \
    static double name##_real(const void *data, int64_t at) {                     \
        return (double)small_to_f32(&small_##name, ((const uint16_t *)data)[at]); \
    }                                                                             \
    static int64_t name##_integer(const void *data, int64_t at) {                 \
        return number_truncate(name##_real(data, at));                            \
    }                                                                             \
    static void name##_set_real(void *data, int64_t at, double value) {           \
        ((uint16_t *)data)[at] =                                                  \
            (uint16_t)small_from_f32(&small_##name, (float)value, false);         \
    }                                                                             \
    static void name##_set_integer(void *data, int64_t at, int64_t value) {       \
        name##_set_real(data, at, (double)value);                                 \
    }

ACCESS_HALF(f16)
ACCESS_HALF(bf16)

#define ENTRY(name) \
    { name##_real, name##_integer, name##_set_real, name##_set_integer }

static const struct access accesses[DTYPE_COUNT] = {
    [DTYPE_I8] = ENTRY(i8),   [DTYPE_U8] = ENTRY(u8),     [DTYPE_I16] = ENTRY(i16),
    [DTYPE_U16] = ENTRY(u16), [DTYPE_I32] = ENTRY(i32),   [DTYPE_U32] = ENTRY(u32),
    [DTYPE_I64] = ENTRY(i64), [DTYPE_U64] = ENTRY(u64),   [DTYPE_BOOL] = ENTRY(bool),
    [DTYPE_F32] = ENTRY(f32), [DTYPE_F64] = ENTRY(f64),   [DTYPE_I4] = ENTRY(i8),
    [DTYPE_F16] = ENTRY(f16), [DTYPE_BF16] = ENTRY(bf16), [DTYPE_U4] = ENTRY(u8),
    [DTYPE_I2] = ENTRY(i8),   [DTYPE_U2] = ENTRY(u8),
};

static const struct access *access_of(const struct tensor *x) {
    const struct access *access = &accesses[x->dtype];
    assert(access->real != NULL);
    return access;
}

double number_real(const struct tensor *x, int64_t at) {
    return access_of(x)->real(x->data, at);
}

int64_t number_integer(const struct tensor *x, int64_t at) {
    return access_of(x)->integer(x->data, at);
}

void number_set_real(const struct tensor *x, int64_t at, double value) {
    access_of(x)->set_real(x->data, at, value);
}

void number_set_integer(const struct tensor *x, int64_t at, int64_t value) {
    access_of(x)->set_integer(x->data, at, value);
}

struct number_range number_range_of(enum dtype dtype) {
    bool is_signed = dtype == DTYPE_I2 || dtype == DTYPE_I4 || dtype == DTYPE_I8 ||
                     dtype == DTYPE_I16 || dtype == DTYPE_I32 || dtype == DTYPE_I64;
    unsigned bits = dtype_packed_bits(dtype);
    double end;

    bits = bits == 0 ? 8 * (unsigned)dtype_size(dtype) : bits;
    end = ldexp(1, (int)bits - (is_signed ? 1 : 0));
    return (struct number_range){is_signed ? -end : 0, floor(nextafter(end, 0))};
}
