/* function.c - activations of a few networks, too rare for kernels of their own. */
#include <math.h>

#include "engine/kernels/vmath.h"
#include "engine/ops/ops.h"

struct function {
    void (*f32)(size_t count, const float *x, float *y, float alpha, float beta);
    void (*f64)(size_t count, const double *x, double *y, double alpha, double beta);
    const char *alpha, *beta; /* attributes, or NULL */
    float alpha_default, beta_default;
};

struct function_state {
    float alpha, beta;
};

/* x * tanh(log(1 + e^x)), without the logarithm: with t = e^x (e^x + 2) it is
 * x * t / (t + 2).  From 20 on it is x, before e^x grows out of range. */
#define MISH(x, e) ((x) > 20 ? (x) : (x) * ((e) * ((e) + 2)) / ((e) * ((e) + 2) + 2))

static void mish_f32(size_t count, const float *x, float *y, float alpha, float beta) {
    enum { BLOCK = 256 };
    float exps[BLOCK];
    (void)alpha, (void)beta; /* it has none */
    for (size_t at = 0; at < count; at += BLOCK) {
        size_t n = count - at < BLOCK ? count - at : BLOCK;
        vmath_exp((int64_t)n, x + at, exps);
        for (size_t i = 0; i < n; i++) {
            float v = x[at + i], e = exps[i];
            y[at + i] = MISH(v, e);
        }
    }
}

static void mish_f64(size_t count, const double *x, double *y, double alpha,
                     double beta) {
    (void)alpha, (void)beta; /* it has none */
    for (size_t i = 0; i < count; i++) {
        double v = x[i], e = exp(v);
        y[i] = MISH(v, e);
    }
}

#define BOTH(name, with_alpha)                                                     \
    static void name##_f32(size_t count, const float *x, float *y, float alpha,    \
                           float beta) {                                           \
        (void)alpha, (void)beta; /* it may have none */                            \
        for (size_t i = 0; i < count; i++) {                                       \
            y[i] = (float)with_alpha((double)x[i], (double)alpha, (double)beta);   \
        }                                                                          \
    }                                                                              \
    static void name##_f64(size_t count, const double *x, double *y, double alpha, \
                           double beta) {                                          \
        for (size_t i = 0; i < count; i++) {                                       \
            y[i] = with_alpha(x[i], alpha, beta);                                  \
        }                                                                          \
    }

static double celu(double x, double alpha, double beta) {
    (void)beta; /* it has none */
    return x > 0 ? x : alpha * expm1(x / alpha);
}

/* alpha is the bias, beta the threshold. */
static double shrink(double x, double alpha, double beta) {
    return x < -beta ? x + alpha : x > beta ? x - alpha : 0;
}

BOTH(celu, celu)
BOTH(shrink, shrink)

static const struct function mish_function = {.f32 = mish_f32, .f64 = mish_f64};
static const struct function celu_function = {
    .f32 = celu_f32, .f64 = celu_f64, .alpha = "alpha", .alpha_default = 1.0F};
static const struct function shrink_function = {.f32 = shrink_f32,
                                                .f64 = shrink_f64,
                                                .alpha = "bias",
                                                .beta = "lambd",
                                                .beta_default = 0.5F};

static enum status prepare(struct load *load, struct error *err) {
    const struct function *function = load->node->op->param;
    struct function_state *state = load_state(load, struct function_state);
    enum status status = STATUS_OK;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    if (function->alpha != NULL) {
        status = attr_float(load->node, function->alpha, function->alpha_default,
                            &state->alpha, err);
    }
    if (status == STATUS_OK && function->beta != NULL) {
        status = attr_float(load->node, function->beta, function->beta_default,
                            &state->beta, err);
    }
    return status;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct function *function = exec->node->op->param;
    const struct function_state *state = exec->node->state;
    size_t count = tensor_count(exec->x[0]);
    (void)err; /* cannot fail */
    if (exec->x[0]->dtype == DTYPE_F32) {
        function->f32(count, exec->x[0]->data, exec->y[0]->data, state->alpha,
                      state->beta);
    } else {
        function->f64(count, exec->x[0]->data, exec->y[0]->data, (double)state->alpha,
                      (double)state->beta);
    }
    return STATUS_OK;
}

#define FUNCTION(text, opset, table)                                                \
    {                                                                               \
        .name = text, .since = opset, .inputs_min = 1, .inputs_max = 1,             \
        .flags = OP_IN_PLACE, .types = {TYPES_FLOAT}, .param = &(table##_function), \
        .prepare = prepare, .shape = op_shape_same, .run = run,                     \
    }

static const struct op ops[] = {
    FUNCTION("Mish", 18, mish),
    FUNCTION("Celu", 12, celu),
    FUNCTION("Shrink", 9, shrink),
};

const struct op_list ops_function = OP_LIST(ops);
