/* vmath.c - activations, elementary functions and row operations: see act.h, vmath.h. */
#include "engine/kernels/vmath.h"

#include <assert.h>
#include <math.h>

#include "engine/kernels/kernels.h"

void act_run(const struct act *act, int64_t count, const float *x, float *y) {
    assert((unsigned)act->kind < ACT_KIND_COUNT);
    kernels_current()->act[act->kind](act, count, x, y);
}

const struct act *act_clamps(const struct act *act, float *floor, float *ceil) {
    *floor = -INFINITY;
    *ceil = INFINITY;
    if (act->kind == ACT_RELU) {
        *floor = 0.0F;
    } else if (act->kind == ACT_CLIP) {
        *floor = act->alpha;
        *ceil = act->beta;
    } else if (act->kind != ACT_NONE) {
        return act;
    }
    return NULL;
}

void vmath_exp(int64_t count, const float *x, float *y) {
    kernels_current()->exp(count, x, y);
}

void vmath_log(int64_t count, const float *x, float *y) {
    kernels_current()->log(count, x, y);
}

void vmath_tanh(int64_t count, const float *x, float *y) {
    act_run(&(struct act){.kind = ACT_TANH}, count, x, y);
}

void vmath_sigmoid(int64_t count, const float *x, float *y) {
    act_run(&(struct act){.kind = ACT_SIGMOID}, count, x, y);
}

void vmath_erf(int64_t count, const float *x, float *y) {
    kernels_current()->erf(count, x, y);
}

void vmath_sqrt(int64_t count, const float *x, float *y) {
    kernels_current()->sqrt(count, x, y);
}

void vmath_lrn(const struct vmath_lrn *lrn, int64_t count, int64_t size,
               const float *squares, const float *x, float *y) {
    kernels_current()->lrn(lrn, count, size, squares, x, y);
}

void vmath_distances(int64_t count, int64_t cols, const float *x, const float *points,
                     int64_t step, float *y) {
    kernels_current()->distances(count, cols, x, points, step, y);
}

void vmath_softmax_rows(int64_t rows, int64_t cols, const float *x, float *y) {
    if (cols > 0) {
        kernels_current()->softmax(rows, cols, x, y);
    }
}

void vmath_log_softmax_rows(int64_t rows, int64_t cols, const float *x, float *y) {
    if (cols > 0) {
        kernels_current()->log_softmax(rows, cols, x, y);
    }
}

void vmath_layer_norm_rows(int64_t rows, int64_t cols, float epsilon, const float *scale,
                           const float *bias, const float *x, float *y) {
    if (cols > 0) {
        kernels_current()->layer_norm(rows, cols, epsilon, scale, bias, x, y);
    }
}
