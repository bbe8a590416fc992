/* small_float.c - see small_float.h. */
#include "base/small_float.h"

#include <math.h>

const struct small_float small_f16 = {5, 10, 15, true, true, false};
const struct small_float small_bf16 = {8, 7, 127, true, true, false};
const struct small_float small_f8e4m3fn = {4, 3, 7, false, true, false};
const struct small_float small_f8e4m3fnuz = {4, 3, 8, false, true, true};
const struct small_float small_f8e5m2 = {5, 2, 15, true, true, false};
const struct small_float small_f8e5m2fnuz = {5, 2, 16, false, true, true};
const struct small_float small_f4e2m1 = {2, 1, 1, false, false, false};

const struct small_float *small_float_of(enum dtype dtype) {
    static const struct small_float *const formats[DTYPE_COUNT] = {
        [DTYPE_F16] = &small_f16,           [DTYPE_BF16] = &small_bf16,
        [DTYPE_F8E4M3FN] = &small_f8e4m3fn, [DTYPE_F8E4M3FNUZ] = &small_f8e4m3fnuz,
        [DTYPE_F8E5M2] = &small_f8e5m2,     [DTYPE_F8E5M2FNUZ] = &small_f8e5m2fnuz,
        [DTYPE_F4E2M1] = &small_f4e2m1,
    };
    return formats[dtype];
}

/* The pattern of the largest finite number, without its sign. */
static uint32_t largest(const struct small_float *format) {
    uint32_t all = (UINT32_C(1) << (format->exponent_bits + format->mantissa_bits)) - 1;
    if (format->has_infinity) {
        return all - (UINT32_C(1) << format->mantissa_bits);
    }
    return format->has_nan && !format->is_fnuz ? all - 1 : all;
}

static uint32_t sign_bit(const struct small_float *format) {
    return UINT32_C(1) << (format->exponent_bits + format->mantissa_bits);
}

static uint32_t nan_bits(const struct small_float *format) {
    if (format->is_fnuz) {
        return sign_bit(format);
    }
    if (format->has_infinity) { /* a quiet one */
        return largest(format) + 1 + (UINT32_C(1) << (format->mantissa_bits - 1));
    }
    return largest(format) + 1;
}

float small_to_f32(const struct small_float *format, uint32_t bits) {
    uint32_t magnitude = bits & (sign_bit(format) - 1);
    bool negative = (bits & sign_bit(format)) != 0;
    uint32_t mantissa = magnitude & ((UINT32_C(1) << format->mantissa_bits) - 1);
    int exponent = (int)(magnitude >> format->mantissa_bits);
    float value;
    if (format->is_fnuz && negative && magnitude == 0) {
        return NAN;
    }
    if (magnitude > largest(format)) {
        bool infinite = format->has_infinity && mantissa == 0;
        value = infinite ? INFINITY : NAN;
    } else if (exponent == 0) {
        value = ldexpf((float)mantissa, 1 - format->bias - format->mantissa_bits);
    } else {
        mantissa += UINT32_C(1) << format->mantissa_bits;
        value = ldexpf((float)mantissa, exponent - format->bias - format->mantissa_bits);
    }
    return negative ? -value : value;
}

/* The pattern of a positive finite `value`, which may be past the largest. */
static uint32_t round_magnitude(const struct small_float *format, float value) {
    int exponent, lowest = 1 - format->bias;
    float scaled;
    if (value == 0.0F) {
        return 0;
    }
    (void)frexpf(value, &exponent); /* value = m * 2^exponent, m in [0.5, 1) */
    exponent = exponent - 1 < lowest ? lowest : exponent - 1;
    if (exponent > 128 - 1) {
        return UINT32_MAX;
    }
    /* Mantissa with its leading bit, an integer after rounding; carries go on into the
     * exponent by themselves. */
    scaled = nearbyintf(ldexpf(value, format->mantissa_bits - exponent));
    return ((uint32_t)(exponent - lowest) << format->mantissa_bits) + (uint32_t)scaled;
}

uint32_t small_from_f32(const struct small_float *format, float value, bool saturate) {
    uint32_t sign = signbit(value) ? sign_bit(format) : 0;
    uint32_t most = largest(format), magnitude;
    if (isnan(value)) {
        /* Without a NaN, ONNX has negative zero stand for it. */
        return format->has_nan ? nan_bits(format) | (format->is_fnuz ? 0 : sign)
                               : sign_bit(format);
    }
    magnitude = isinf(value) ? UINT32_MAX : round_magnitude(format, fabsf(value));
    if (magnitude > most) {
        if (saturate || !format->has_nan) {
            magnitude = most;
        } else if (format->has_infinity) {
            magnitude = most + 1;
        } else {
            return nan_bits(format) | (format->is_fnuz ? 0 : sign);
        }
    }
    return magnitude == 0 && format->is_fnuz ? 0 : magnitude | sign;
}

float e8m0_to_f32(uint8_t bits) {
    return bits == 255 ? NAN : ldexpf(1.0F, (int)bits - 127);
}

uint8_t e8m0_from_f32(float value, bool saturate, enum e8m0_round round) {
    int exponent;
    float mantissa, x = fabsf(value);
    if (isnan(x)) {
        return 255;
    }
    if (isinf(x)) {
        return saturate ? 254 : 255;
    }
    mantissa = frexpf(x, &exponent); /* in [0.5, 1); 0.5 is a power of two */
    if (x == 0.0F) {
        return 0;
    }
    exponent -= 1;
    if ((round == E8M0_UP && mantissa > 0.5F) ||
        (round == E8M0_NEAREST && mantissa >= 0.75F)) {
        exponent++;
    }
    if (exponent > 127) {
        return saturate ? 254 : 255;
    }
    return exponent < -127 ? 0 : (uint8_t)(exponent + 127);
}
