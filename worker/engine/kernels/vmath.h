/* vmath.h - elementary functions over float32 arrays, and the row operations that are
 * built on them.
 *
 * Accuracy, at every level: exp, log, sigmoid, tanh, erf within 4 units in the last
 * place or 1e-7, whichever is more; infinities, NaN and zeros as the C library has
 * them; denormal results of exp may be flushed to zero.  An element's result does not
 * depend on its place in the array.
 *
 * Depends on: nothing.
 * Ownership: arrays are the caller's.  y may be x, but may not overlap it otherwise.
 * Threads: pure; any. */
#ifndef MILLRACE_ENGINE_KERNELS_VMATH_H
#define MILLRACE_ENGINE_KERNELS_VMATH_H

#include <stdint.h>

/* y[i] = f(x[i]) for i < count; no alignment is needed.  Other activations, such as
 * gelu: act.h. */
void vmath_exp(int64_t count, const float *x, float *y);
void vmath_log(int64_t count, const float *x, float *y);
void vmath_tanh(int64_t count, const float *x, float *y);
void vmath_sigmoid(int64_t count, const float *x, float *y);
void vmath_erf(int64_t count, const float *x, float *y);
void vmath_sqrt(int64_t count, const float *x, float *y);

/* y[i] = x[i] / (bias + scale * (sum over k < size of squares[i + k]))^beta, for
 * i < count: local response normalisation. */
struct vmath_lrn {
    float scale, bias, beta;
};
void vmath_lrn(const struct vmath_lrn *lrn, int64_t count, int64_t size,
               const float *squares, const float *x, float *y);

/* y[i] = the square of the distance between x[cols] and the point whose coordinates are
 * points[c * step + i], for i < count. */
void vmath_distances(int64_t count, int64_t cols, const float *x, const float *points,
                     int64_t step, float *y);

/* x, y [rows, cols], dense; softmax along cols.  cols = 0 does nothing. */
void vmath_softmax_rows(int64_t rows, int64_t cols, const float *x, float *y);
void vmath_log_softmax_rows(int64_t rows, int64_t cols, const float *x, float *y);

/* y = (x - mean) / sqrt(variance + epsilon) * scale + bias along cols; scale and bias
 * are [cols] or NULL for 1 and 0. */
void vmath_layer_norm_rows(int64_t rows, int64_t cols, float epsilon, const float *scale,
                           const float *bias, const float *x, float *y);

#endif
