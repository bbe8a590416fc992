/* unary.c - functions of one element: activations, exponentials, rounding.
 *
 * float32 takes the kernels; float64 and integers plain loops. */
#include <math.h>

#include "engine/kernels/vmath.h"
#include "engine/ops/ops.h"

struct unary {
    struct act act; /* kind ACT_NONE where the function is none; default alpha, beta */
    const char *alpha, *beta;                               /* attributes, or NULL */
    void (*array)(int64_t count, const float *x, float *y); /* where act.kind is NONE */
    double (*f64)(double x, double alpha, double beta);
    int64_t (*integer)(int64_t x); /* NULL where integers are not allowed */
    int64_t (*natural)(int64_t x); /* of unsigned ones' bits; NULL: they stay */
};

struct unary_state {
    struct act act;
};

static enum status prepare(struct load *load, struct error *err) {
    const struct unary *unary = load->node->op->param;
    struct unary_state *state = load_state(load, struct unary_state);
    enum status status = STATUS_OK;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    attr_ignore(load->node, "consumed_inputs"); /* opset 1 to 5: a hint */
    state->act = unary->act;
    if (unary->alpha != NULL) {
        status = attr_float(load->node, unary->alpha, unary->act.alpha, &state->act.alpha,
                            err);
    }
    if (status == STATUS_OK && unary->beta != NULL) {
        status =
            attr_float(load->node, unary->beta, unary->act.beta, &state->act.beta, err);
    }
    return status;
}

/* Gelu's `approximate` chooses between two functions. */
static enum status gelu_prepare(struct load *load, struct error *err) {
    static const char *const words[] = {"none", "tanh", NULL};
    struct unary_state *state;
    int word;
    enum status status = prepare(load, err);
    if (status == STATUS_OK) {
        status = attr_word(load->node, "approximate", 0, words, &word, err);
    }
    if (status == STATUS_OK) {
        state = load->node->state;
        state->act.kind = word == 0 ? ACT_GELU : ACT_GELU_TANH;
        state->act.beta = (float)word;
    }
    return status;
}

/* ---- run ----------------------------------------------------------------------- */

#define INTEGER_LOOP(type)                            \
    do {                                              \
        const type *from = x;                         \
        type *to = y;                                 \
        for (size_t i = 0; i < count; i++) {          \
            to[i] = (type)function((int64_t)from[i]); \
        }                                             \
    } while (0)

static void integer_run(int64_t (*function)(int64_t x), enum dtype dtype, size_t count,
                        const void *x, void *y) {
    switch (dtype_size(dtype)) {
    case 1:
        INTEGER_LOOP(int8_t);
        break;
    case 2:
        INTEGER_LOOP(int16_t);
        break;
    case 4:
        INTEGER_LOOP(int32_t);
        break;
    default:
        INTEGER_LOOP(int64_t);
    }
}

static void double_run(const struct unary_state *state, const struct unary *unary,
                       size_t count, const double *x, double *y) {
    double alpha = (double)state->act.alpha, beta = (double)state->act.beta;
    for (size_t i = 0; i < count; i++) {
        y[i] = unary->f64(x[i], alpha, beta);
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct unary *unary = exec->node->op->param;
    const struct unary_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    void *y = exec->y[0]->data;
    size_t count = tensor_count(x);
    (void)err; /* cannot fail */
    if (x->dtype == DTYPE_F64) {
        double_run(state, unary, count, x->data, y);
    } else if (x->dtype != DTYPE_F32) {
        bool is_signed = (TYPES_UNSIGNED & TYPE_BIT(x->dtype)) == 0;
        if (is_signed || unary->natural != NULL) {
            integer_run(is_signed ? unary->integer : unary->natural, x->dtype, count,
                        x->data, y);
        } else if (y != x->data) {
            memcpy(y, x->data, tensor_size(x)); /* |x| and the like of a count */
        }
    } else if (state->act.kind != ACT_NONE) {
        act_run(&state->act, (int64_t)count, x->data, y);
    } else {
        unary->array((int64_t)count, x->data, y);
    }
    return STATUS_OK;
}

const struct act *unary_act(const struct node *node) {
    const struct unary_state *state = node->state;
    return node->op->run == run && state->act.kind != ACT_NONE ? &state->act : NULL;
}

/* ---- the functions in double --------------------------------------------------- */

/* M_SQRT1_2 is not in C11. */
#define SQRT_HALF 0.70710678118654752440
#define SQRT_2_PI 0.79788456080286535588

#define DOUBLE(name, expression)                              \
    static double name(double x, double alpha, double beta) { \
        (void)alpha;                                          \
        (void)beta;                                           \
        return expression;                                    \
    }

DOUBLE(relu_f64, x > 0 || isnan(x) ? x : 0)
DOUBLE(leaky_f64, x < 0 ? alpha * x : x)
DOUBLE(hard_sigmoid_f64, fmin(fmax(alpha *x + beta, 0), 1))
DOUBLE(threshold_f64, x > alpha ? x : 0)
DOUBLE(sigmoid_f64, 1 / (1 + exp(-x)))
DOUBLE(tanh_f64, tanh(x))
DOUBLE(softplus_f64, fmax(x, 0) + log1p(exp(-fabs(x))))
DOUBLE(softsign_f64, x / (1 + fabs(x)))
DOUBLE(elu_f64, x < 0 ? alpha * expm1(x) : x)
DOUBLE(selu_f64, x < 0 ? beta * alpha * expm1(x) : beta * x)
/* beta tells which of the two. */
DOUBLE(gelu_f64, beta > 0 ? x / 2 * (1 + tanh(SQRT_2_PI * (x + 0.044715 * x * x * x)))
                          : x / 2 * (1 + erf(x * SQRT_HALF)))
DOUBLE(swish_f64, x / (1 + exp(-alpha * x)))
DOUBLE(hard_swish_f64, x *fmin(fmax(x / 6 + 0.5, 0), 1))
DOUBLE(exp_f64, exp(x))
DOUBLE(log_f64, log(x))
DOUBLE(sqrt_f64, sqrt(x))
DOUBLE(erf_f64, erf(x))
DOUBLE(abs_f64, fabs(x))
DOUBLE(neg_f64, -x)
DOUBLE(reciprocal_f64, 1 / x)
DOUBLE(floor_f64, floor(x))
DOUBLE(ceil_f64, ceil(x))
DOUBLE(round_f64, nearbyint(x))
DOUBLE(sign_f64, isnan(x) ? x : (x > 0) - (x < 0))

DOUBLE(sin_f64, sin(x))
DOUBLE(cos_f64, cos(x))
DOUBLE(tan_f64, tan(x))
DOUBLE(asin_f64, asin(x))
DOUBLE(acos_f64, acos(x))
DOUBLE(atan_f64, atan(x))
DOUBLE(sinh_f64, sinh(x))
DOUBLE(cosh_f64, cosh(x))
DOUBLE(asinh_f64, asinh(x))
DOUBLE(acosh_f64, acosh(x))
DOUBLE(atanh_f64, atanh(x))

#define ARRAY(name, expression)                                     \
    static void name(int64_t count, const float *from, float *to) { \
        for (int64_t i = 0; i < count; i++) {                       \
            float x = from[i];                                      \
            to[i] = expression;                                     \
        }                                                           \
    }

ARRAY(abs_f32, fabsf(x))
ARRAY(neg_f32, -x)
ARRAY(reciprocal_f32, 1 / x)
ARRAY(floor_f32, floorf(x))
ARRAY(ceil_f32, ceilf(x))
ARRAY(round_f32, nearbyintf(x))
ARRAY(sign_f32, isnan(x) ? x : (float)((x > 0) - (x < 0)))

ARRAY(sin_f32, sinf(x))
ARRAY(cos_f32, cosf(x))
ARRAY(tan_f32, tanf(x))
ARRAY(asin_f32, asinf(x))
ARRAY(acos_f32, acosf(x))
ARRAY(atan_f32, atanf(x))
ARRAY(sinh_f32, sinhf(x))
ARRAY(cosh_f32, coshf(x))
ARRAY(asinh_f32, asinhf(x))
ARRAY(acosh_f32, acoshf(x))
ARRAY(atanh_f32, atanhf(x))

/* Wrap around at the smallest number, as the others' integers do. */
static int64_t neg_integer(int64_t x) {
    return (int64_t)(0 - (uint64_t)x);
}

static int64_t abs_integer(int64_t x) {
    return x < 0 ? neg_integer(x) : x;
}

static int64_t relu_integer(int64_t x) {
    return x < 0 ? 0 : x;
}

static int64_t not_integer(int64_t x) {
    return ~x;
}

static int64_t sign_natural(int64_t x) {
    return x != 0;
}

static int64_t sign_integer(int64_t x) {
    return (x > 0) - (x < 0);
}

/* ---- the table ----------------------------------------------------------------- */

#define ACT(act_kind, double_fn) \
    { .act = {.kind = act_kind}, .f64 = double_fn }
#define ACT_ALPHA(act_kind, double_fn, value) \
    { .act = {.kind = act_kind, .alpha = value}, .alpha = "alpha", .f64 = double_fn }

static const struct unary relu = {
    .act = {.kind = ACT_RELU}, .f64 = relu_f64, .integer = relu_integer};
static const struct unary leaky_relu = ACT_ALPHA(ACT_LEAKY_RELU, leaky_f64, 0.01F);
static const struct unary elu = ACT_ALPHA(ACT_ELU, elu_f64, 1.0F);
static const struct unary thresholded = ACT_ALPHA(ACT_THRESHOLD, threshold_f64, 1.0F);
static const struct unary swish = ACT_ALPHA(ACT_SWISH, swish_f64, 1.0F);
static const struct unary sigmoid = ACT(ACT_SIGMOID, sigmoid_f64);
static const struct unary tanh_ = ACT(ACT_TANH, tanh_f64);
static const struct unary softplus = ACT(ACT_SOFTPLUS, softplus_f64);
static const struct unary softsign = ACT(ACT_SOFTSIGN, softsign_f64);
static const struct unary hard_swish = ACT(ACT_HARD_SWISH, hard_swish_f64);
static const struct unary gelu = ACT(ACT_GELU, gelu_f64);
static const struct unary hard_sigmoid = {
    .act = {.kind = ACT_HARD_SIGMOID, .alpha = 0.2F, .beta = 0.5F},
    .alpha = "alpha",
    .beta = "beta",
    .f64 = hard_sigmoid_f64,
};
static const struct unary selu = {
    .act = {.kind = ACT_SELU, .alpha = 1.67326319F, .beta = 1.05070102F},
    .alpha = "alpha",
    .beta = "gamma",
    .f64 = selu_f64,
};
static const struct unary exp_ = {.array = vmath_exp, .f64 = exp_f64};
static const struct unary log_ = {.array = vmath_log, .f64 = log_f64};
static const struct unary sqrt_ = {.array = vmath_sqrt, .f64 = sqrt_f64};
static const struct unary erf_ = {.array = vmath_erf, .f64 = erf_f64};
static const struct unary reciprocal = {.array = reciprocal_f32, .f64 = reciprocal_f64};
static const struct unary floor_ = {.array = floor_f32, .f64 = floor_f64};
static const struct unary ceil_ = {.array = ceil_f32, .f64 = ceil_f64};
static const struct unary round_ = {.array = round_f32, .f64 = round_f64};
static const struct unary sin_ = {.array = sin_f32, .f64 = sin_f64};
static const struct unary cos_ = {.array = cos_f32, .f64 = cos_f64};
static const struct unary tan_ = {.array = tan_f32, .f64 = tan_f64};
static const struct unary asin_ = {.array = asin_f32, .f64 = asin_f64};
static const struct unary acos_ = {.array = acos_f32, .f64 = acos_f64};
static const struct unary atan_ = {.array = atan_f32, .f64 = atan_f64};
static const struct unary sinh_ = {.array = sinh_f32, .f64 = sinh_f64};
static const struct unary cosh_ = {.array = cosh_f32, .f64 = cosh_f64};
static const struct unary asinh_ = {.array = asinh_f32, .f64 = asinh_f64};
static const struct unary acosh_ = {.array = acosh_f32, .f64 = acosh_f64};
static const struct unary atanh_ = {.array = atanh_f32, .f64 = atanh_f64};
static const struct unary bit_not = {.integer = not_integer, .natural = not_integer};
static const struct unary abs_ = {
    .array = abs_f32, .f64 = abs_f64, .integer = abs_integer};
static const struct unary neg = {
    .array = neg_f32, .f64 = neg_f64, .integer = neg_integer};
static const struct unary sign = {
    .array = sign_f32, .f64 = sign_f64, .integer = sign_integer, .natural = sign_natural};

#define UNARY(text, opset, table, allowed)                                            \
    {                                                                                 \
        .name = text, .since = opset, .inputs_min = 1, .inputs_max = 1,               \
        .flags = OP_IN_PLACE | OP_ELEMENTWISE, .types = {allowed}, .param = &(table), \
        .prepare = prepare, .shape = op_shape_same, .run = run,                       \
    }

static const struct op ops[] = {
    UNARY("Relu", 1, relu, TYPES_FLOAT | TYPES_SIGNED),
    UNARY("LeakyRelu", 1, leaky_relu, TYPES_FLOAT),
    UNARY("Elu", 1, elu, TYPES_FLOAT),
    UNARY("Selu", 6, selu, TYPES_FLOAT),
    UNARY("ThresholdedRelu", 10, thresholded, TYPES_FLOAT),
    UNARY("HardSigmoid", 1, hard_sigmoid, TYPES_FLOAT),
    UNARY("HardSwish", 14, hard_swish, TYPES_FLOAT),
    UNARY("Swish", 24, swish, TYPES_FLOAT),
    UNARY("Sigmoid", 1, sigmoid, TYPES_FLOAT),
    UNARY("Tanh", 1, tanh_, TYPES_FLOAT),
    UNARY("Softplus", 1, softplus, TYPES_FLOAT),
    UNARY("Softsign", 1, softsign, TYPES_FLOAT),
    UNARY("Exp", 1, exp_, TYPES_FLOAT),
    UNARY("Log", 1, log_, TYPES_FLOAT),
    UNARY("Sqrt", 1, sqrt_, TYPES_FLOAT),
    UNARY("Erf", 9, erf_, TYPES_FLOAT),
    UNARY("Reciprocal", 1, reciprocal, TYPES_FLOAT),
    UNARY("Floor", 1, floor_, TYPES_FLOAT),
    UNARY("Ceil", 1, ceil_, TYPES_FLOAT),
    UNARY("Round", 11, round_, TYPES_FLOAT),
    UNARY("Sin", 7, sin_, TYPES_FLOAT),
    UNARY("Cos", 7, cos_, TYPES_FLOAT),
    UNARY("Tan", 7, tan_, TYPES_FLOAT),
    UNARY("Asin", 7, asin_, TYPES_FLOAT),
    UNARY("Acos", 7, acos_, TYPES_FLOAT),
    UNARY("Atan", 7, atan_, TYPES_FLOAT),
    UNARY("Sinh", 9, sinh_, TYPES_FLOAT),
    UNARY("Cosh", 9, cosh_, TYPES_FLOAT),
    UNARY("Asinh", 9, asinh_, TYPES_FLOAT),
    UNARY("Acosh", 9, acosh_, TYPES_FLOAT),
    UNARY("Atanh", 9, atanh_, TYPES_FLOAT),
    UNARY("BitwiseNot", 18, bit_not, TYPES_INT),
    UNARY("Abs", 1, abs_, TYPES_NUMBER),
    UNARY("Neg", 1, neg, TYPES_FLOAT | TYPES_SIGNED),
    UNARY("Sign", 9, sign, TYPES_NUMBER),
    {
        .name = "Gelu",
        .since = 20,
        .inputs_min = 1,
        .inputs_max = 1,
        .flags = OP_IN_PLACE | OP_ELEMENTWISE,
        .types = {TYPES_FLOAT},
        .param = &gelu,
        .prepare = gelu_prepare,
        .shape = op_shape_same,
        .run = run,
    },
};

const struct op_list ops_unary = OP_LIST(ops);
