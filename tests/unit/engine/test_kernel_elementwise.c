/* test_kernel_elementwise.c - arithmetic, transposes and reductions over arrays. */
#include "engine/kernels/elementwise.h"

#include "tests/unit/engine/kernel_test.h"

static float binary_reference(enum ew_op op, float a, float b) {
    switch (op) {
    case EW_ADD:
        return a + b;
    case EW_SUB:
        return a - b;
    case EW_MUL:
        return a * b;
    case EW_DIV:
        return a / b;
    case EW_MAX:
        return isnan(a) || a > b ? a : b;
    case EW_MIN:
        return isnan(a) || a < b ? a : b;
    case EW_OP_COUNT:
        break;
    }
    return NAN;
}

static bool same_number(float a, float b) {
    return a == b || (isnan(a) && isnan(b));
}

START_TEST(operators_take_arrays_and_scalars) {
    FOR_EACH_LEVEL(level) {
        for (int64_t count = 0; count < 70; count++) {
            for (int i = 0; i < EW_OP_COUNT * EW_FORM_COUNT; i++) {
                const enum ew_op op = (enum ew_op)(i / EW_FORM_COUNT);
                const enum ew_form form = (enum ew_form)(i % EW_FORM_COUNT);
                float *a = floats_random(count + 1), *b = floats_random(count + 1);
                a[count / 2] = NAN;
                b[count / 3] = NAN;
                float *y = floats_random(count);
                ew_binary(op, form, count, a, b, y);
                for (int64_t k = 0; k < count; k++) {
                    const float left = form == EW_SCALAR_A ? a[0] : a[k];
                    const float right = form == EW_SCALAR_B ? b[0] : b[k];
                    ck_assert(same_number(y[k], binary_reference(op, left, right)));
                }
            }
        }
    }
}
END_TEST

START_TEST(rows_are_broadcast) {
    enum { ROWS = 3, COLS = 37 };
    FOR_EACH_LEVEL(level) {
        const float *a = floats_random(ROWS * COLS), *b = floats_random(COLS);
        const float *shift = floats_random(ROWS);
        float *y = floats_copy(ROWS * COLS, a), *z = floats_unaligned(ROWS * COLS);
        ew_binary_rows(EW_SUB, ROWS, COLS, y, b, y); /* in place */
        ew_scale_shift_rows(ROWS, COLS, a, b, shift, z);
        for (int i = 0; i < ROWS * COLS; i++) {
            ck_assert(y[i] == a[i] - b[i % COLS]);
            ck_assert(fabsf(z[i] - (a[i] * b[i / COLS] + shift[i / COLS])) < 1e-6F);
        }
    }
}
END_TEST

START_TEST(transpose_swaps_rows_and_columns) {
    FOR_EACH_LEVEL(level) {
        for (int round = 0; round < 100; round++) {
            const int64_t rows = number_between(0, 50), cols = number_between(0, 50);
            const float *x = floats_random(rows * cols);
            float *y = floats_unaligned(rows * cols);
            transpose_f32(rows, cols, x, y);
            for (int64_t i = 0; i < rows * cols; i++) {
                ck_assert(x[i] == y[i % cols * rows + i / cols]);
            }
        }
    }
}
END_TEST

START_TEST(reductions_go_along_rows_and_columns) {
    FOR_EACH_LEVEL(level) {
        for (int64_t cols = 0; cols < 150; cols++) {
            const int64_t rows = 3;
            const float *x = floats_random(rows * cols);
            float sum[3], max[3], *sums = floats_unaligned(cols),
                                  *maxs = floats_unaligned(cols);
            reduce_rows_sum(rows, cols, x, sum);
            reduce_rows_max(rows, cols, x, max);
            reduce_cols_sum(rows, cols, x, sums);
            reduce_cols_max(rows, cols, x, maxs);
            for (int64_t r = 0; r < rows; r++) {
                double total = 0, most = -INFINITY;
                for (int64_t c = 0; c < cols; c++) {
                    total += (double)x[r * cols + c];
                    most = fmax(most, (double)x[r * cols + c]);
                }
                ck_assert_double_eq_tol(sum[r], total, 1e-5);
                ck_assert((double)max[r] == most);
            }
            for (int64_t c = 0; c < cols; c++) {
                const float *at = x + c;
                ck_assert(fabsf(sums[c] - (at[0] + at[cols] + at[2 * cols])) < 1e-6F);
                ck_assert(maxs[c] == fmaxf(fmaxf(at[0], at[cols]), at[2 * cols]));
            }
        }
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        operators_take_arrays_and_scalars,
        rows_are_broadcast,
        transpose_swaps_rows_and_columns,
        reductions_go_along_rows_and_columns,
    };
    return suite_run_kernels("engine kernels: elementwise", tests, ARRAY_COUNT(tests));
}
