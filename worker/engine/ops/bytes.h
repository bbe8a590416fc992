/* bytes.h - what the operators of 8-bit integers share: bytes as numbers of 16 bits
 * without their zero point, and sums as bytes again.
 *
 * Depends on: base/tensor.h.
 * Ownership: nothing is kept.
 * Threads: pure. */
#ifndef MILLRACE_ENGINE_OPS_BYTES_H
#define MILLRACE_ENGINE_OPS_BYTES_H

#include "base/tensor.h"

static inline bool bytes_in(const struct tensor *x) {
    return x->dtype == DTYPE_U8 || x->dtype == DTYPE_I8;
}

/* `count` elements of x, which is of u8 or i8, each `step` behind the one before. */
static inline void bytes_widen(const struct tensor *x, int64_t first, int64_t count,
                               int64_t step, int32_t zero, int16_t *to) {
    const uint8_t *plain = (const uint8_t *)x->data + first;
    const int8_t *with_sign = (const int8_t *)x->data + first;
    if (x->dtype == DTYPE_U8 && step == 1) {
        for (int64_t i = 0; i < count; i++) {
            to[i] = (int16_t)(plain[i] - zero);
        }
    } else if (x->dtype == DTYPE_U8) {
        for (int64_t i = 0; i < count; i++) {
            to[i] = (int16_t)(plain[i * step] - zero);
        }
    } else {
        for (int64_t i = 0; i < count; i++) {
            to[i] = (int16_t)(with_sign[i * step] - zero);
        }
    }
}

/* What a double rounds to an even neighbour by when added and taken away, below 2^51. */
#define BYTES_ROUNDING 6755399441055744.0
/* Past what any byte and zero point reach. */
#define BYTES_REACH 1024.0

/* saturate(round(value) + zero) as u8 or, from low = -128, as i8; NaN is `low`. */
static inline uint8_t bytes_of(double value, double zero, double low) {
    value = value > -BYTES_REACH ? value : -BYTES_REACH;
    value = value < BYTES_REACH ? value : BYTES_REACH;
    value = (value + BYTES_ROUNDING) - BYTES_ROUNDING + zero;
    value = value > low ? value : low;
    return (uint8_t)(int32_t)(value < low + 255 ? value : low + 255);
}

#endif
