/* random.c - RandomUniform, RandomNormal, their *Like forms, Bernoulli, Multinomial.
 *
 * Numbers follow from the seed and their place alone (SplitMix64 of both), so that a
 * batch that runs again gives the same answer; without a seed it is a fixed one.  They
 * are not those of another runtime: ONNX leaves the generator open. */
#include "engine/ops/random.h"

#include <math.h>

#include "engine/onnx_tensor.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

#define TURN 6.28318530717958647693

static uint64_t random_bits(uint64_t seed, uint64_t place) {
    uint64_t z = seed + (place + 1) * 0x9e3779b97f4a7c15U;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

double random_uniform(uint64_t seed, uint64_t place) {
    return (double)(random_bits(seed, place) >> 11) * 0x1p-53;
}

/* Box and Muller's transform of two uniform numbers. */
static double random_normal(uint64_t seed, uint64_t place) {
    double u = 1 - random_uniform(seed, 2 * place); /* never 0 */
    return sqrt(-2 * log(u)) * cos(TURN * random_uniform(seed, 2 * place + 1));
}

/* ---- attributes -------------------------------------------------------------------- */

enum kind { UNIFORM, NORMAL };

struct random_state {
    uint64_t seed;
    double a, b; /* low and high, or mean and scale */
    struct attr_ints dims;
    int64_t samples;
};

enum status random_seed(struct load *load, uint64_t *seed, struct error *err) {
    const struct attr *attr = attr_find(load->node, "seed");
    if (attr != NULL && attr->kind == ATTR_INT) {
        *seed = random_bits((uint64_t)attr->as.i, 0);
        return STATUS_OK;
    }
    float value = 0;
    uint32_t bits;
    enum status status = attr_float(load->node, "seed", 0, &value, err);
    memcpy(&bits, &value, sizeof(bits));
    *seed = random_bits(bits, 0);
    return status;
}

/* Attribute dtype, or that of input 0. */
static enum status take_dtype(struct load *load, enum dtype fallback, unsigned allowed,
                              struct error *err) {
    int64_t number = 0;
    enum status status =
        attr_int_in(load->node, "dtype", fallback, 0, 1000, &number, err);
    enum dtype dtype = onnx_dtype((int32_t)number);
    if (status == STATUS_OK && (TYPE_BIT(dtype) & allowed) == 0) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "makes elements of type number %lld", (long long)number);
    }
    graph_set_output(load->graph, load->node, 0, dtype);
    return status;
}

static enum status prepare(struct load *load, struct error *err) {
    const enum kind *kind = load->node->op->param;
    struct random_state *state = load_state(load, struct random_state);
    enum dtype like = graph_input_dtype(load->graph, load->node, 0);
    float a = 0, b = 1;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    like = (TYPE_BIT(like) & (TYPES_FLOAT | TYPES_HALF)) == 0 ? DTYPE_F32 : like;
    status = take_dtype(load, like, TYPES_FLOAT | TYPES_HALF, err);
    if (status == STATUS_OK) {
        status = attr_float(load->node, *kind == UNIFORM ? "low" : "mean", 0, &a, err);
    }
    if (status == STATUS_OK) {
        status = attr_float(load->node, *kind == UNIFORM ? "high" : "scale", 1, &b, err);
    }
    state->a = (double)a;
    state->b = (double)b;
    if (status == STATUS_OK && load->node->input_count == 0) {
        status = attr_ints(load->node, "shape", &state->dims, err);
    }
    return status == STATUS_OK ? random_seed(load, &state->seed, err) : status;
}

/* ---- Random* ----------------------------------------------------------------------- */

static enum status plain_shape(struct exec *exec, struct error *err) {
    const struct random_state *state = exec->node->state;
    struct tensor *y = exec->y[0];
    if (state->dims.count > TENSOR_RANK_MAX) {
        return node_error(exec->node, err, STATUS_POISON,
                          "rank %zu, at most %d is handled", state->dims.count,
                          TENSOR_RANK_MAX);
    }
    y->rank = (int)state->dims.count;
    for (int i = 0; i < y->rank; i++) {
        y->dims[i] = state->dims.values[i];
        if (y->dims[i] < 0) {
            return node_error(exec->node, err, STATUS_POISON, "axis %d would be %lld", i,
                              (long long)y->dims[i]);
        }
    }
    return STATUS_OK;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct random_state *state = exec->node->state;
    const enum kind *kind = exec->node->op->param;
    int64_t count = (int64_t)tensor_count(exec->y[0]);
    (void)err; /* cannot fail */
    for (int64_t i = 0; i < count; i++) {
        double value =
            *kind == UNIFORM
                ? state->a +
                      (state->b - state->a) * random_uniform(state->seed, (uint64_t)i)
                : state->a + state->b * random_normal(state->seed, (uint64_t)i);
        number_set_real(exec->y[0], i, value);
    }
    return STATUS_OK;
}

/* ---- Bernoulli --------------------------------------------------------------------- */

static enum status bernoulli_prepare(struct load *load, struct error *err) {
    struct random_state *state = load_state(load, struct random_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = take_dtype(load, graph_input_dtype(load->graph, load->node, 0),
                        TYPES_NUMBER | TYPES_HALF | TYPES_BOOL, err);
    return status == STATUS_OK ? random_seed(load, &state->seed, err) : status;
}

static enum status bernoulli_run(struct exec *exec, struct error *err) {
    const struct random_state *state = exec->node->state;
    int64_t count = (int64_t)tensor_count(exec->y[0]);
    (void)err; /* cannot fail */
    for (int64_t i = 0; i < count; i++) {
        bool one = random_uniform(state->seed, (uint64_t)i) < number_real(exec->x[0], i);
        number_set_integer(exec->y[0], i, one ? 1 : 0);
    }
    return STATUS_OK;
}

/* ---- Multinomial ------------------------------------------------------------------- */

static enum status multinomial_prepare(struct load *load, struct error *err) {
    struct random_state *state = load_state(load, struct random_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = take_dtype(load, DTYPE_I32, TYPES_INDEX, err);
    if (status == STATUS_OK) {
        status =
            attr_int_in(load->node, "sample_size", 1, 1, 1 << 30, &state->samples, err);
    }
    return status == STATUS_OK ? random_seed(load, &state->seed, err) : status;
}

static enum status multinomial_shape(struct exec *exec, struct error *err) {
    const struct random_state *state = exec->node->state;
    if (exec->x[0]->rank != 2 || exec->x[0]->dims[1] < 1) {
        return node_error(exec->node, err, STATUS_POISON,
                          "the input must be [batch, classes]");
    }
    exec_same_shape(exec, 0, 0);
    exec->y[0]->dims[1] = state->samples;
    return STATUS_OK;
}

/* The class that `point`, of [0, total), falls into; inputs are logarithms. */
static int64_t draw(const struct tensor *x, int64_t row, double top, double point) {
    int64_t classes = x->dims[1], i = 0;
    for (; i < classes - 1; i++) {
        point -= exp(number_real(x, row * classes + i) - top);
        if (point < 0) {
            break;
        }
    }
    return i;
}

static enum status multinomial_run(struct exec *exec, struct error *err) {
    const struct random_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    (void)err; /* cannot fail */
    for (int64_t row = 0; row < x->dims[0]; row++) {
        double top = -INFINITY, total = 0;
        for (int64_t i = 0; i < x->dims[1]; i++) {
            double value = number_real(x, row * x->dims[1] + i);
            top = value > top ? value : top;
        }
        for (int64_t i = 0; i < x->dims[1]; i++) {
            total += exp(number_real(x, row * x->dims[1] + i) - top);
        }
        for (int64_t i = 0; i < state->samples; i++) {
            int64_t at = row * state->samples + i;
            double point = total * random_uniform(state->seed, (uint64_t)at);
            number_set_integer(exec->y[0], at, draw(x, row, top, point));
        }
    }
    return STATUS_OK;
}

static const enum kind uniform = UNIFORM, normal = NORMAL;

#define RANDOM(text, which)                                                \
    {                                                                      \
        .name = text,                                                      \
        .since = 1,                                                        \
        .inputs_min = 0,                                                   \
        .inputs_max = 0,                                                   \
        .output_dtype = DTYPE_F32,                                         \
        .param = &(which),                                                 \
        .prepare = prepare,                                                \
        .shape = plain_shape,                                              \
        .run = run,                                                        \
    },                                                                     \
    {                                                                      \
        .name = text "Like", .since = 1, .inputs_min = 1, .inputs_max = 1, \
        .flags = OP_KEEPS_HALF, .types = {TYPES_ALL}, .param = &(which),   \
        .prepare = prepare, .shape = op_shape_same, .run = run,            \
    }

static const struct op ops[] = {
    RANDOM("RandomUniform", uniform),
    RANDOM("RandomNormal", normal),
    {
        .name = "Bernoulli",
        .since = 15,
        .inputs_min = 1,
        .inputs_max = 1,
        .flags = OP_KEEPS_HALF,
        .types = {TYPES_FLOAT | TYPES_HALF},
        .prepare = bernoulli_prepare,
        .shape = op_shape_same,
        .run = bernoulli_run,
    },
    {
        .name = "Multinomial",
        .since = 7,
        .inputs_min = 1,
        .inputs_max = 1,
        .flags = OP_KEEPS_HALF,
        .types = {TYPES_FLOAT | TYPES_HALF},
        .prepare = multinomial_prepare,
        .shape = multinomial_shape,
        .run = multinomial_run,
    },
};

const struct op_list ops_random = OP_LIST(ops);
