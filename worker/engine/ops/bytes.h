/* bytes.h - what the operators of 8-bit integers share: bytes as numbers of 16 bits
 * without their zero point.
 *
 * Depends on: base/tensor.h, engine/kernels/quantize.h.
 * Ownership: nothing is kept.
 * Threads: pure. */
#ifndef MILLRACE_ENGINE_OPS_BYTES_H
#define MILLRACE_ENGINE_OPS_BYTES_H

#include "base/tensor.h"
#include "engine/kernels/quantize.h"

static inline bool bytes_in(const struct tensor *x) {
    return x->dtype == DTYPE_U8 || x->dtype == DTYPE_I8;
}

static inline int bytes_low(const struct tensor *x) {
    return x->dtype == DTYPE_I8 ? -128 : 0;
}

/* `count` elements of x, which is of u8 or i8, each `step` behind the one before. */
static inline void bytes_widen(const struct tensor *x, int64_t first, int64_t count,
                               int64_t step, int32_t zero, int16_t *to) {
    const uint8_t *from = (const uint8_t *)x->data + first;
    if (step == 1) {
        quantize_widen(count, from, bytes_low(x), zero, to);
        return;
    }
    if (x->dtype == DTYPE_U8) {
        for (int64_t i = 0; i < count; i++) {
            to[i] = (int16_t)(from[i * step] - zero);
        }
    } else {
        for (int64_t i = 0; i < count; i++) {
            to[i] = (int16_t)((int8_t)from[i * step] - zero);
        }
    }
}

#endif
