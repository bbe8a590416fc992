/* simd_portable.h - the "vector" of the portable kernels: one float, and the C library
 * for its functions.  See simd_avx512.h for the meaning of the names.
 *
 * Depends on: math.h.  Threads: pure. */
#ifndef MILLRACE_ENGINE_KERNELS_SIMD_PORTABLE_H
#define MILLRACE_ENGINE_KERNELS_SIMD_PORTABLE_H

#include <math.h>
#include <stdint.h>

#include "base/compiler.h"

#define VL 1

typedef float vf;

ALWAYS_INLINE vf vf_set1(float x) {
    return x;
}
ALWAYS_INLINE vf vf_load(const float *x) {
    return *x;
}
ALWAYS_INLINE void vf_store(float *y, vf x) {
    *y = x;
}
ALWAYS_INLINE vf vf_load_n(const float *x, int64_t n) {
    (void)n; /* 1 */
    return *x;
}
ALWAYS_INLINE void vf_store_n(float *y, vf x, int64_t n) {
    (void)n; /* 1 */
    *y = x;
}
ALWAYS_INLINE vf vf_add(vf a, vf b) {
    return a + b;
}
ALWAYS_INLINE vf vf_sub(vf a, vf b) {
    return a - b;
}
ALWAYS_INLINE vf vf_mul(vf a, vf b) {
    return a * b;
}
ALWAYS_INLINE vf vf_div(vf a, vf b) {
    return a / b;
}
ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c) {
    return a * b + c; /* fmaf would be a library call on an old processor */
}
ALWAYS_INLINE vf vf_max(vf a, vf b) {
    return a > b ? a : b;
}
ALWAYS_INLINE vf vf_min(vf a, vf b) {
    return a < b ? a : b;
}
ALWAYS_INLINE vf vf_sqrt(vf a) {
    return sqrtf(a);
}
ALWAYS_INLINE vf vf_abs(vf a) {
    return fabsf(a);
}
ALWAYS_INLINE vf vf_where_lt(vf a, vf b, vf x, vf y) {
    return a < b ? x : y;
}
ALWAYS_INLINE float vf_sum(vf a) {
    return a;
}
ALWAYS_INLINE float vf_highest(vf a) {
    return a;
}
ALWAYS_INLINE vf vf_exp(vf x) {
    return expf(x);
}
ALWAYS_INLINE vf vf_exp_falling(vf x) {
    return expf(x);
}
ALWAYS_INLINE vf vf_expm1(vf x) {
    return expm1f(x);
}
ALWAYS_INLINE vf vf_log(vf x) {
    return logf(x);
}
ALWAYS_INLINE vf vf_log1p(vf x) {
    return log1pf(x);
}
ALWAYS_INLINE vf vf_tanh(vf x) {
    return tanhf(x);
}
ALWAYS_INLINE vf vf_sigmoid(vf x) {
    return 1.0F / (1.0F + expf(-x));
}
ALWAYS_INLINE vf vf_gated_tanh(vf x, vf y) {
    return vf_sigmoid(x) * tanhf(y);
}
ALWAYS_INLINE vf vf_erf(vf x) {
    return erff(x);
}

#endif
