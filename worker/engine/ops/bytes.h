/* bytes.h - what the operators of 8-bit integers share: zero points and scales as
 * gemm_bytes.h wants them.
 *
 * Depends on: engine/kernels/gemm_bytes.h, engine/ops/number.h.
 * Ownership: nothing is kept.
 * Threads: pure. */
#ifndef MILLRACE_ENGINE_OPS_BYTES_H
#define MILLRACE_ENGINE_OPS_BYTES_H

#include "engine/kernels/gemm_bytes.h"
#include "engine/op.h"

#define TYPES_8 (TYPE_BIT(DTYPE_U8) | TYPE_BIT(DTYPE_I8))

static inline bool bytes_in(const struct tensor *x) {
    return x->dtype == DTYPE_U8 || x->dtype == DTYPE_I8;
}

static inline int bytes_low(const struct tensor *x) {
    return x->dtype == DTYPE_I8 ? -128 : 0;
}

/* What makes bytes of this dtype ones without (with) sign, as the left (right) side of a
 * product wants them. */
static inline uint8_t bytes_left_flip(enum dtype dtype) {
    return dtype == DTYPE_I8 ? GEMM_BYTES_FLIP : 0;
}
static inline uint8_t bytes_right_flip(enum dtype dtype) {
    return dtype == DTYPE_U8 ? GEMM_BYTES_FLIP : 0;
}

/* The input, or NULL where it is absent or `input` is 0. */
const struct tensor *bytes_input(const struct exec *exec, int input);

/* Input `sums` must be of int32, and `floats` of float32, where they are there: operators
 * have no room to say so of each. */
MUST_CHECK enum status bytes_check_types(const struct load *load, const int *floats,
                                         size_t count, int sums, struct error *err);

/* One number, or one for each of `lines`; also where there is none. */
bool bytes_fits(const struct tensor *x, int64_t lines);

/* The zero point of line `line`, of bytes ^ flip on the left side; NULL stands for 0. */
int32_t bytes_left_zero(const struct tensor *zero, int64_t line, uint8_t flip);

/* zeros[i] of `lines` columns on the right side, of bytes; false where all are 0.  Behind
 * them GEMM_BYTES_SLACK zeros. */
bool bytes_right_zeros(const struct tensor *zero, int64_t lines, uint8_t flip,
                       int32_t *zeros);

/* What to add to the sums of products of k: see gemm_bytes.h.  `columns` are the sums of
 * the right side's columns, `zeros` NULL where all are 0, `bias` of int32 or NULL, each
 * element `step` (0 or 1) behind the one before. */
void bytes_terms(int64_t count, int64_t k, int32_t left_zero, const int32_t *columns,
                 const int32_t *zeros, const int32_t *bias, int64_t step, int32_t *add);

/* a * b[i] / y in float32, in this order; y may be NULL for 1. */
void bytes_scales(int64_t count, float a, const struct tensor *b, const struct tensor *y,
                  float *scales);

#endif
