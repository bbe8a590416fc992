/* small_float.h - the small floats: 16, 8 and 4 bits, from and to float32.
 *
 * Formats: IEEE 754 binary16; bfloat16; OCP 8-bit floating point (OFP8) E4M3 and E5M2,
 * with the FNUZ variants of "8-bit Numerical Formats for Deep Neural Networks"; OCP
 * Microscaling (MX) E2M1 and E8M0.  All as ONNX uses them (onnx.proto3, Cast).
 *
 * Depends on: base/tensor.h.
 * Ownership: plain numbers.
 * Threads: pure. */
#ifndef MILLRACE_BASE_SMALL_FLOAT_H
#define MILLRACE_BASE_SMALL_FLOAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tensor.h"

/* What sets one small float apart from the others. */
struct small_float {
    int exponent_bits, mantissa_bits, bias;
    bool has_infinity; /* the highest exponent is infinity and NaN, as in IEEE 754 */
    bool has_nan;
    bool is_fnuz; /* no negative zero, whose pattern is the one NaN */
};

extern const struct small_float small_f16, small_bf16, small_f8e4m3fn, small_f8e4m3fnuz,
    small_f8e5m2, small_f8e5m2fnuz, small_f4e2m1;

/* The format of a dtype; NULL where it is none of these. */
const struct small_float *small_float_of(enum dtype dtype);

float small_to_f32(const struct small_float *format, uint32_t bits);

/* Rounds to nearest, ties to even.  What is too large becomes the largest number where
 * `saturate` is set or the format has no infinity and no NaN; else infinity; else NaN. */
uint32_t small_from_f32(const struct small_float *format, float value, bool saturate);

/* E8M0 has no sign and no mantissa: powers of two from -127 on, and NaN as 255. */
enum e8m0_round { E8M0_UP, E8M0_DOWN, E8M0_NEAREST };
float e8m0_to_f32(uint8_t bits);
uint8_t e8m0_from_f32(float value, bool saturate, enum e8m0_round round);

/* Integers of fewer than eight bits are kept one in a byte; so are 4-bit floats. */
static inline int8_t small_signed(uint8_t bits, int width) {
    int sign = 1 << (width - 1);
    return (int8_t)((((int)bits & ((1 << width) - 1)) ^ sign) - sign);
}

#endif
