/* elementwise.h - float32 arithmetic over arrays, transposes and reductions: the fast
 * paths for shapes that need no index arithmetic.
 *
 * Depends on: nothing.
 * Ownership: arrays are the caller's.  y may be x, a or b where the shapes are the
 * same, but may not overlap them otherwise.
 * Threads: pure; any. */
#ifndef MILLRACE_ENGINE_KERNELS_ELEMENTWISE_H
#define MILLRACE_ENGINE_KERNELS_ELEMENTWISE_H

#include <stdint.h>

enum ew_op { EW_ADD, EW_SUB, EW_MUL, EW_DIV, EW_MAX, EW_MIN, EW_OP_COUNT };

/* Which operand is a single number. */
enum ew_form { EW_BOTH, EW_SCALAR_A, EW_SCALAR_B, EW_FORM_COUNT };

/* y[i] = a[i] op b[i] for i < count; the scalar operand is read at [0] only. */
void ew_binary(enum ew_op op, enum ew_form form, int64_t count, const float *a,
               const float *b, float *y);

/* y[r,c] = a[r,c] op b[c]: bias, scale.  For b[r] call ew_binary with EW_SCALAR_B on
 * each row. */
void ew_binary_rows(enum ew_op op, int64_t rows, int64_t cols, const float *a,
                    const float *b, float *y);

/* y[r,c] = x[r,c] * scale[r] + shift[r]: batch normalisation of NCHW, rows being
 * channels and cols pixels. */
void ew_scale_shift_rows(int64_t rows, int64_t cols, const float *x, const float *scale,
                         const float *shift, float *y);

/* y[r,c] = x[r,c] * scale[c] + shift[c]: the same of NHWC. */
void ew_scale_shift_cols(int64_t rows, int64_t cols, const float *x, const float *scale,
                         const float *shift, float *y);

/* y[c,r] = x[r,c], dense.  y may not be x. */
void transpose_f32(int64_t rows, int64_t cols, const float *x, float *y);

/* y[r] = sum (max) of x[r,0..cols), dense; an empty row gives 0 (-infinity).  The sum's
 * order depends on cols alone. */
void reduce_rows_sum(int64_t rows, int64_t cols, const float *x, float *y);
void reduce_rows_max(int64_t rows, int64_t cols, const float *x, float *y);

/* y[c] = sum (max) over r of x[r,c], dense. */
void reduce_cols_sum(int64_t rows, int64_t cols, const float *x, float *y);
void reduce_cols_max(int64_t rows, int64_t cols, const float *x, float *y);

#endif
