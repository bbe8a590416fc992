/* elementwise.c - see elementwise.h. */
#include "engine/kernels/elementwise.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/kernels/kernels.h"

void ew_binary(enum ew_op op, enum ew_form form, int64_t count, const float *a,
               const float *b, float *y) {
    assert((unsigned)op < EW_OP_COUNT);
    assert((unsigned)form < EW_FORM_COUNT);
    kernels_current()->binary[op][form](count, a, b, y);
}

void ew_binary_rows(enum ew_op op, int64_t rows, int64_t cols, const float *a,
                    const float *b, float *y) {
    for (int64_t r = 0; r < rows; r++) {
        ew_binary(op, EW_BOTH, cols, a + r * cols, b, y + r * cols);
    }
}

void ew_scale_shift_rows(int64_t rows, int64_t cols, const float *x, const float *scale,
                         const float *shift, float *y) {
    const struct kernels *kernels = kernels_current();
    for (int64_t r = 0; r < rows; r++) {
        kernels->scale_shift(cols, scale[r], shift[r], x + r * cols, y + r * cols);
    }
}

void ew_scale_shift_cols(int64_t rows, int64_t cols, const float *x, const float *scale,
                         const float *shift, float *y) {
    const struct kernels *kernels = kernels_current();
    for (int64_t r = 0; r < rows; r++) {
        kernels->scale_shift_each(cols, scale, shift, x + r * cols, y + r * cols);
    }
}

void transpose_f32(int64_t rows, int64_t cols, const float *x, float *y) {
    if (rows == 1 || cols == 1) {
        memcpy(y, x, (size_t)(rows * cols) * sizeof(*y));
        return;
    }
    kernels_current()->transpose(rows, cols, x, cols, y, rows);
}

void reduce_rows_sum(int64_t rows, int64_t cols, const float *x, float *y) {
    const struct kernels *kernels = kernels_current();
    for (int64_t r = 0; r < rows; r++) {
        y[r] = kernels->sum(cols, x + r * cols);
    }
}

void reduce_rows_max(int64_t rows, int64_t cols, const float *x, float *y) {
    const struct kernels *kernels = kernels_current();
    for (int64_t r = 0; r < rows; r++) {
        y[r] = kernels->max(cols, x + r * cols);
    }
}

void reduce_cols_sum(int64_t rows, int64_t cols, const float *x, float *y) {
    const struct kernels *kernels = kernels_current();
    memset(y, 0, (size_t)cols * sizeof(*y));
    for (int64_t r = 0; r < rows; r++) {
        kernels->add_into(cols, x + r * cols, 1, y);
    }
}

void reduce_cols_max(int64_t rows, int64_t cols, const float *x, float *y) {
    const struct kernels *kernels = kernels_current();
    for (int64_t c = 0; c < cols; c++) {
        y[c] = -INFINITY;
    }
    for (int64_t r = 0; r < rows; r++) {
        kernels->max_into(cols, x + r * cols, 1, y);
    }
}
