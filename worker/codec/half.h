/* half.h - numbers rounded to float16 and bfloat16.
 *
 * Depends on: nothing.  Ownership: plain numbers.  Threads: pure. */
#ifndef MILLRACE_CODEC_HALF_H
#define MILLRACE_CODEC_HALF_H

#include <stdint.h>
#include <string.h>

#define HALF_F16_INFINITY 0x7c00  /* bits, the sign aside */
#define HALF_BF16_INFINITY 0x7f80 /* bits, the sign aside */
#define HALF_SIGN 0x8000

/* Rounds to a 16-bit float of `mantissa` stored bits, to nearest, ties to even, with
 * subnormals; past the largest number comes infinity.  From the double at once, so that
 * nothing is rounded twice. */
static inline uint16_t half_round(double value, int mantissa) {
    const int exponent_max = (1 << (15 - mantissa)) - 1; /* of infinity and NaN */
    int drop = 52 - mantissa;                            /* bits that are rounded away */
    uint64_t bits, fraction, kept, rest, tie, sign;
    int exponent;
    memcpy(&bits, &value, sizeof(bits));
    sign = bits >> 63 << 15;
    fraction = bits & ((UINT64_C(1) << 52) - 1);
    exponent = (int)(bits >> 52 & 0x7ff);
    if (exponent == 0x7ff) {
        uint64_t quiet = fraction == 0 ? 0 : UINT64_C(1) << (mantissa - 1);
        return (uint16_t)(sign | (uint64_t)exponent_max << mantissa | quiet);
    }
    exponent += exponent_max / 2 - 1023;
    if (exponent >= exponent_max) {
        return (uint16_t)(sign | (uint64_t)exponent_max << mantissa);
    }
    if (exponent <= 0) { /* subnormal: the leading 1 is stored */
        drop += 1 - exponent;
        exponent = 0;
        fraction |= UINT64_C(1) << 52;
        if (drop > 53) {
            return (uint16_t)sign;
        }
    }
    kept = ((uint64_t)exponent << mantissa) + (fraction >> drop);
    rest = fraction & ((UINT64_C(1) << drop) - 1);
    tie = UINT64_C(1) << (drop - 1);
    kept += rest > tie || (rest == tie && (kept & 1) != 0); /* may carry to infinity */
    return (uint16_t)(sign | kept);
}

static inline uint16_t half_f16(double value) {
    return half_round(value, 10);
}

static inline uint16_t half_bf16(double value) {
    return half_round(value, 7);
}

#endif
