/* number.h - one number into one element of a tensor; false where it does not fit.
 *
 * An integer must be in range; a real number must be whole for an integer type, and a
 * finite one may not become infinite.  Rounding to nearest is no error.
 *
 * Depends on: codec/half.h.  Ownership: plain numbers.  Threads: pure. */
#ifndef MILLRACE_CODEC_NUMBER_H
#define MILLRACE_CODEC_NUMBER_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec/half.h"

static inline bool real_to_f32(double value, float *out) {
    *out = (float)value;
    return !isinf(*out) || isinf(value);
}

static inline bool real_to_f64(double value, double *out) {
    *out = value;
    return true;
}

static inline bool real_to_f16(double value, uint16_t *out) {
    *out = half_f16(value);
    return (*out & ~HALF_SIGN) != HALF_F16_INFINITY || isinf(value);
}

static inline bool real_to_bf16(double value, uint16_t *out) {
    *out = half_bf16(value);
    return (*out & ~HALF_SIGN) != HALF_BF16_INFINITY || isinf(value);
}

/* The bounds are powers of two (or 0), exact as doubles; a NaN fails the comparison, and
 * a fraction does not survive the way there and back. */
#define REAL_TO_INTEGER(name, type, least, past)                \
    static inline bool name(double value, type *out) {          \
        if (!(value >= (least) && value < (past))) {            \
            return false;                                       \
        }                                                       \
        *out = (type)value;                                     \
        return !(value < (double)*out || value > (double)*out); \
    }
REAL_TO_INTEGER(real_to_i8, int8_t, -0x1p7, 0x1p7)
REAL_TO_INTEGER(real_to_i16, int16_t, -0x1p15, 0x1p15)
REAL_TO_INTEGER(real_to_i32, int32_t, -0x1p31, 0x1p31)
REAL_TO_INTEGER(real_to_i64, int64_t, -0x1p63, 0x1p63)
REAL_TO_INTEGER(real_to_u8, uint8_t, 0.0, 0x1p8)
REAL_TO_INTEGER(real_to_u16, uint16_t, 0.0, 0x1p16)
REAL_TO_INTEGER(real_to_u32, uint32_t, 0.0, 0x1p32)
REAL_TO_INTEGER(real_to_u64, uint64_t, 0.0, 0x1p64)

#define LONG_TO_INTEGER(name, type, least, most)        \
    static inline bool name(int64_t value, type *out) { \
        *out = (type)value;                             \
        return value >= (least) && value <= (most);     \
    }
LONG_TO_INTEGER(long_to_i8, int8_t, INT8_MIN, INT8_MAX)
LONG_TO_INTEGER(long_to_i16, int16_t, INT16_MIN, INT16_MAX)
LONG_TO_INTEGER(long_to_i32, int32_t, INT32_MIN, INT32_MAX)
LONG_TO_INTEGER(long_to_i64, int64_t, INT64_MIN, INT64_MAX)
LONG_TO_INTEGER(long_to_u8, uint8_t, 0, UINT8_MAX)
LONG_TO_INTEGER(long_to_u16, uint16_t, 0, UINT16_MAX)
LONG_TO_INTEGER(long_to_u32, uint32_t, 0, UINT32_MAX)
LONG_TO_INTEGER(long_to_u64, uint64_t, 0, INT64_MAX)

static inline bool long_to_f32(int64_t value, float *out) {
    *out = (float)value;
    return true;
}

static inline bool long_to_f64(int64_t value, double *out) {
    *out = (double)value;
    return true;
}

static inline bool long_to_f16(int64_t value, uint16_t *out) {
    return real_to_f16((double)value, out);
}

static inline bool long_to_bf16(int64_t value, uint16_t *out) {
    return real_to_bf16((double)value, out);
}

#endif
