/* function.c - functions of one element that are too rare for kernels of their own:
 * trigonometry, and the activations of a few networks.
 *
 * float32 is computed by the compiler's loops over libm, float64 as well. */
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

#define PLAIN(name, libm)                                                          \
    static void name##_f32(size_t count, const float *x, float *y, float alpha,    \
                           float beta) {                                           \
        (void)alpha, (void)beta; /* it has none */                                 \
        for (size_t i = 0; i < count; i++) {                                       \
            y[i] = libm##f(x[i]);                                                  \
        }                                                                          \
    }                                                                              \
    static void name##_f64(size_t count, const double *x, double *y, double alpha, \
                           double beta) {                                          \
        (void)alpha, (void)beta; /* it has none */                                 \
        for (size_t i = 0; i < count; i++) {                                       \
            y[i] = libm(x[i]);                                                     \
        }                                                                          \
    }                                                                              \
    static const struct function name##_function = {.f32 = name##_f32, .f64 = name##_f64};

PLAIN(sine, sin)
PLAIN(cosine, cos)
PLAIN(tangent, tan)
PLAIN(arc_sine, asin)
PLAIN(arc_cosine, acos)
PLAIN(arc_tangent, atan)
PLAIN(sine_h, sinh)
PLAIN(cosine_h, cosh)
PLAIN(area_sine, asinh)
PLAIN(area_cosine, acosh)
PLAIN(area_tangent, atanh)

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

/* ---- IsNaN, IsInf, BitwiseNot ------------------------------------------------------ */

struct inf_state {
    bool negative, positive;
};

static enum status isinf_prepare(struct load *load, struct error *err) {
    struct inf_state *state = load_state(load, struct inf_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_bool(load->node, "detect_negative", true, &state->negative, err);
    return status == STATUS_OK
               ? attr_bool(load->node, "detect_positive", true, &state->positive, err)
               : status;
}

static double real_at(const struct tensor *x, size_t i) {
    return x->dtype == DTYPE_F32 ? (double)((const float *)x->data)[i]
                                 : ((const double *)x->data)[i];
}

static enum status isinf_run(struct exec *exec, struct error *err) {
    const struct inf_state *state = exec->node->state;
    bool *y = exec->y[0]->data;
    size_t count = tensor_count(exec->x[0]);
    (void)err; /* cannot fail */
    for (size_t i = 0; i < count; i++) {
        double value = real_at(exec->x[0], i);
        y[i] = isinf(value) && (value < 0 ? state->negative : state->positive);
    }
    return STATUS_OK;
}

static enum status isnan_run(struct exec *exec, struct error *err) {
    bool *y = exec->y[0]->data;
    size_t count = tensor_count(exec->x[0]);
    (void)err; /* cannot fail */
    for (size_t i = 0; i < count; i++) {
        y[i] = isnan(real_at(exec->x[0], i));
    }
    return STATUS_OK;
}

static enum status not_run(struct exec *exec, struct error *err) {
    const uint8_t *x = exec->x[0]->data;
    uint8_t *y = exec->y[0]->data;
    size_t size = tensor_size(exec->x[0]);
    (void)err; /* cannot fail */
    for (size_t i = 0; i < size; i++) {
        y[i] = (uint8_t)~x[i];
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
    FUNCTION("Sin", 7, sine),
    FUNCTION("Cos", 7, cosine),
    FUNCTION("Tan", 7, tangent),
    FUNCTION("Asin", 7, arc_sine),
    FUNCTION("Acos", 7, arc_cosine),
    FUNCTION("Atan", 7, arc_tangent),
    FUNCTION("Sinh", 9, sine_h),
    FUNCTION("Cosh", 9, cosine_h),
    FUNCTION("Asinh", 9, area_sine),
    FUNCTION("Acosh", 9, area_cosine),
    FUNCTION("Atanh", 9, area_tangent),
    FUNCTION("Mish", 18, mish),
    FUNCTION("Celu", 12, celu),
    FUNCTION("Shrink", 9, shrink),
    {
        .name = "IsInf",
        .since = 10,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_FLOAT},
        .output_dtype = DTYPE_BOOL,
        .prepare = isinf_prepare,
        .shape = op_shape_same,
        .run = isinf_run,
    },
    {
        .name = "IsNaN",
        .since = 9,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_FLOAT},
        .output_dtype = DTYPE_BOOL,
        .shape = op_shape_same,
        .run = isnan_run,
    },
    {
        .name = "BitwiseNot",
        .since = 18,
        .inputs_min = 1,
        .inputs_max = 1,
        .flags = OP_IN_PLACE,
        .types = {TYPES_INT},
        .shape = op_shape_same,
        .run = not_run,
    },
};

const struct op_list ops_function = OP_LIST(ops);
