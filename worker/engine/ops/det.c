/* det.c - Det: determinants of square matrices, by elimination in double. */
#include <math.h>

#include "engine/ops/number.h"
#include "engine/ops/ops.h"

static enum status shape(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    int64_t n = x->rank < 2 ? 0 : x->dims[x->rank - 1];
    if (x->rank < 2 || x->dims[x->rank - 2] != n) {
        char text[TENSOR_SHAPE_TEXT_MAX];
        return node_error(exec->node, err, STATUS_POISON,
                          "the input has shape %s, its matrices are not square",
                          tensor_shape_text(x->dims, x->rank, text, sizeof(text)));
    }
    exec_same_shape(exec, 0, 0);
    exec->y[0]->rank -= 2;
    exec->scratch_size = (size_t)(n * n) * sizeof(double);
    return STATUS_OK;
}

static void swap_rows(double *a, int64_t n, int64_t i, int64_t k) {
    for (int64_t c = 0; c < n; c++) {
        double swap = a[i * n + c];
        a[i * n + c] = a[k * n + c];
        a[k * n + c] = swap;
    }
}

static double determinant(double *a, int64_t n) {
    double result = 1;
    for (int64_t i = 0; i < n; i++) {
        int64_t best = i;
        for (int64_t r = i + 1; r < n; r++) {
            best = fabs(a[r * n + i]) > fabs(a[best * n + i]) ? r : best;
        }
        if (best != i) {
            swap_rows(a, n, i, best);
            result = -result;
        }
        result *= a[i * n + i];
        if (result == 0) {
            return 0;
        }
        for (int64_t r = i + 1; r < n; r++) {
            double factor = a[r * n + i] / a[i * n + i];
            for (int64_t c = i; c < n; c++) {
                a[r * n + c] -= factor * a[i * n + c];
            }
        }
    }
    return result;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    int64_t n = x->dims[x->rank - 1], count = (int64_t)tensor_count(exec->y[0]);
    double *a = exec->scratch;
    (void)err; /* cannot fail */
    for (int64_t m = 0; m < count; m++) {
        for (int64_t i = 0; i < n * n; i++) {
            a[i] = number_real(x, m * n * n + i);
        }
        number_set_real(exec->y[0], m, determinant(a, n));
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Det",
        .since = 11,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_FLOAT},
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_det = OP_LIST(ops);
