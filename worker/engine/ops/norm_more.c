/* norm_more.c - InstanceNormalization, GroupNormalization, LpNormalization,
 * MeanVarianceNormalization; and PRelu and Hardmax. */
#include <math.h>

#include "base/size.h"
#include "engine/ops/broadcast.h"
#include "engine/ops/ops.h"

struct norm_state {
    float epsilon;
    int64_t groups;
};

/* mean and 1/deviation of `count` numbers. */
static void statistics(const float *x, size_t count, float epsilon, float *mean,
                       float *factor) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)x[i];
    }
    sum /= (double)count;
    for (size_t i = 0; i < count; i++) {
        double d = (double)x[i] - sum;
        squares += d * d;
    }
    *mean = (float)sum;
    *factor = (float)(1 / sqrt(squares / (double)count + (double)epsilon));
}

static enum status prepare(struct load *load, struct error *err) {
    struct norm_state *state = load_state(load, struct norm_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    attr_ignore(load->node, "consumed_inputs"); /* opset 1 to 5: a hint */
    attr_ignore(load->node, "stash_type");      /* what we compute in is enough */
    status = attr_float(load->node, "epsilon", 1e-5F, &state->epsilon, err);
    return status == STATUS_OK && strcmp(load->node->type, "GroupNormalization") == 0
               ? attr_int_in(load->node, "num_groups", 1, 1, INT32_MAX, &state->groups,
                             err)
               : status;
}

/* Scale and bias are for each channel; those of GroupNormalization-18 for each group. */
static enum status channel_shape(struct exec *exec, struct error *err) {
    const struct norm_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    int64_t channels = x->rank >= 2 ? x->dims[1] : -1;
    bool by_group = state->groups > 0 && exec->node->opset < 21;
    int64_t wanted = by_group ? state->groups : channels;
    if (channels < 0 || (state->groups > 0 && channels % state->groups != 0) ||
        (int64_t)tensor_count(exec->x[1]) != wanted ||
        (int64_t)tensor_count(exec->x[2]) != wanted) {
        return node_error(exec->node, err, STATUS_POISON,
                          "%lld channels do not fit %zu scales and %zu biases",
                          (long long)channels, tensor_count(exec->x[1]),
                          tensor_count(exec->x[2]));
    }
    exec_same_shape(exec, 0, 0);
    return STATUS_OK;
}

static void channel_f64(const struct exec *exec) {
    const struct norm_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    const double *scale = exec->x[1]->data, *bias = exec->x[2]->data, *from = x->data;
    double *to = exec->y[0]->data;
    size_t count = tensor_count(x), channels = (size_t)x->dims[1];
    size_t groups = state->groups > 0 ? (size_t)state->groups : channels;
    bool by_group = state->groups > 0 && exec->node->opset < 21;
    size_t plane = count == 0 ? 0 : count / (size_t)x->dims[0] / channels;
    size_t group = plane * (channels / groups);
    for (size_t at = 0; at < count; at += group) {
        double mean = 0, variance = 0, factor;
        for (size_t i = at; i < at + group; i++) {
            mean += from[i] / (double)group;
        }
        for (size_t i = at; i < at + group; i++) {
            variance += (from[i] - mean) * (from[i] - mean) / (double)group;
        }
        factor = 1 / sqrt(variance + (double)state->epsilon);
        for (size_t i = at; i < at + group; i++) {
            size_t parameter = by_group ? at / group % groups : i / plane % channels;
            to[i] = (from[i] - mean) * factor * scale[parameter] + bias[parameter];
        }
    }
}

static enum status channel_run(struct exec *exec, struct error *err) {
    if (exec->x[0]->dtype == DTYPE_F64) {
        channel_f64(exec);
        return STATUS_OK;
    }
    const struct norm_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    const float *scale = exec->x[1]->data, *bias = exec->x[2]->data, *from = x->data;
    float *to = exec->y[0]->data;
    size_t count = tensor_count(x), channels = (size_t)x->dims[1];
    size_t groups = state->groups > 0 ? (size_t)state->groups : channels;
    bool by_group = state->groups > 0 && exec->node->opset < 21;
    size_t plane, group;
    (void)err; /* cannot fail */
    if (count == 0) {
        return STATUS_OK;
    }
    plane = count / (size_t)x->dims[0] / channels;
    group = plane * (channels / groups);
    for (size_t at = 0; at < count; at += group) {
        float mean, factor;
        statistics(from + at, group, state->epsilon, &mean, &factor);
        for (size_t i = 0; i < group; i += plane) {
            size_t channel = (at + i) / plane % channels;
            size_t parameter = by_group ? at / group % groups : channel;
            float f = factor * scale[parameter], b = bias[parameter] - mean * f;
            for (size_t k = at + i; k < at + i + plane; k++) {
                to[k] = from[k] * f + b;
            }
        }
    }
    return STATUS_OK;
}

/* ---- LpNormalization, Hardmax: along one axis ------------------------------------- */

struct axis_state {
    int64_t axis, p;
};

static enum status axis_prepare(struct load *load, struct error *err) {
    struct axis_state *state = load_state(load, struct axis_state);
    bool hardmax = strcmp(load->node->type, "Hardmax") == 0;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_int(load->node, "axis", hardmax && load->node->opset < 13 ? 1 : -1,
                      &state->axis, err);
    return status == STATUS_OK && !hardmax
               ? attr_int_in(load->node, "p", 2, 1, 2, &state->p, err)
               : status;
}

/* Lines along the axis: `length` elements, `inner` apart. */
struct lines {
    size_t count, length, inner;
};

/* Hardmax until opset 12 takes all axes from `axis` on as one. */
static enum status axis_lines(const struct exec *exec, bool joined, struct lines *lines,
                              struct error *err) {
    const struct axis_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    int axis = 0;
    enum status status = exec_axis(exec, state->axis, x->rank, &axis, err);
    *lines = (struct lines){1, 1, 1};
    for (int i = 0; status == STATUS_OK && i < x->rank; i++) {
        if (i == axis || (joined && i > axis)) {
            lines->length *= (size_t)x->dims[i];
        } else {
            lines->count *= (size_t)x->dims[i];
            lines->inner *= i > axis ? (size_t)x->dims[i] : 1;
        }
    }
    return status;
}

static size_t line_start(const struct lines *lines, size_t line) {
    return line / lines->inner * lines->inner * lines->length + line % lines->inner;
}

static double at_of(const struct tensor *x, size_t i) {
    return x->dtype == DTYPE_F32 ? (double)((const float *)x->data)[i]
                                 : ((const double *)x->data)[i];
}

static void set_at(struct tensor *y, size_t i, double value) {
    if (y->dtype == DTYPE_F32) {
        ((float *)y->data)[i] = (float)value;
    } else {
        ((double *)y->data)[i] = value;
    }
}

static enum status lp_run(struct exec *exec, struct error *err) {
    const struct axis_state *state = exec->node->state;
    struct lines lines;
    enum status status = axis_lines(exec, false, &lines, err);
    for (size_t l = 0; status == STATUS_OK && l < lines.count; l++) {
        size_t start = line_start(&lines, l);
        double norm = 0;
        for (size_t i = 0; i < lines.length; i++) {
            double v = at_of(exec->x[0], start + i * lines.inner);
            norm += state->p == 1 ? fabs(v) : v * v;
        }
        norm = state->p == 1 ? norm : sqrt(norm);
        for (size_t i = 0; i < lines.length; i++) {
            size_t at = start + i * lines.inner;
            set_at(exec->y[0], at, norm == 0 ? 0 : at_of(exec->x[0], at) / norm);
        }
    }
    return status;
}

static enum status hardmax_run(struct exec *exec, struct error *err) {
    struct lines lines;
    enum status status = axis_lines(exec, exec->node->opset < 13, &lines, err);
    for (size_t l = 0; status == STATUS_OK && l < lines.count; l++) {
        size_t start = line_start(&lines, l), best = 0;
        for (size_t i = 1; i < lines.length; i++) {
            best = at_of(exec->x[0], start + i * lines.inner) >
                           at_of(exec->x[0], start + best * lines.inner)
                       ? i
                       : best;
        }
        for (size_t i = 0; i < lines.length; i++) {
            set_at(exec->y[0], start + i * lines.inner, i == best ? 1 : 0);
        }
    }
    return status;
}

/* ---- MeanVarianceNormalization ---------------------------------------------------- */

struct mvn_state {
    struct attr_ints axes;
};

static enum status mvn_prepare(struct load *load, struct error *err) {
    struct mvn_state *state = load_state(load, struct mvn_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    return attr_ints(load->node, "axes", &state->axes, err);
}

static enum status mvn_axes(const struct exec *exec, unsigned *marked,
                            struct error *err) {
    const struct mvn_state *state = exec->node->state;
    static const int64_t usual[] = {0, 2, 3};
    bool given = state->axes.count > 0;
    size_t count = given ? state->axes.count : ARRAY_COUNT(usual);
    *marked = 0;
    for (size_t i = 0; i < count; i++) {
        int axis = 0;
        enum status status = exec_axis(exec, given ? state->axes.values[i] : usual[i],
                                       exec->x[0]->rank, &axis, err);
        if (status != STATUS_OK) {
            return status;
        }
        *marked |= 1U << axis;
    }
    return STATUS_OK;
}

static enum status mvn_shape(struct exec *exec, struct error *err) {
    unsigned marked;
    size_t groups = 1;
    enum status status = mvn_axes(exec, &marked, err);
    for (int i = 0; i < exec->x[0]->rank; i++) {
        groups *= (marked >> i & 1) != 0 ? 1 : (size_t)exec->x[0]->dims[i];
    }
    exec_same_shape(exec, 0, 0);
    exec->scratch_size = groups * 2 * sizeof(double);
    return status;
}

/* The group of element `at`: its index over the axes that are not reduced. */
static size_t group_of(const struct tensor *x, unsigned marked, size_t at) {
    size_t group = 0, step = 1;
    for (int i = x->rank - 1; i >= 0; i--) {
        size_t place = at % (size_t)x->dims[i];
        at /= (size_t)x->dims[i];
        if ((marked >> i & 1) == 0) {
            group += place * step;
            step *= (size_t)x->dims[i];
        }
    }
    return group;
}

static enum status mvn_run(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    const float *from = x->data;
    float *to = exec->y[0]->data;
    size_t count = tensor_count(x), groups = exec->scratch_size / (2 * sizeof(double));
    double *means = exec->scratch, *squares = means + groups, per_group;
    unsigned marked;
    enum status status = mvn_axes(exec, &marked, err);
    if (status != STATUS_OK || count == 0) {
        return status;
    }
    per_group = (double)(count / groups);
    memset(means, 0, exec->scratch_size);
    for (size_t i = 0; i < count; i++) {
        means[group_of(x, marked, i)] += (double)from[i] / per_group;
    }
    for (size_t i = 0; i < count; i++) {
        size_t g = group_of(x, marked, i);
        double d = (double)from[i] - means[g];
        squares[g] += d * d / per_group;
    }
    for (size_t i = 0; i < count; i++) {
        size_t g = group_of(x, marked, i);
        to[i] = (float)(((double)from[i] - means[g]) / (sqrt(squares[g]) + 1e-9));
    }
    return STATUS_OK;
}

/* ---- PRelu ------------------------------------------------------------------------- */

static enum status prelu_prepare(struct load *load, struct error *err) {
    (void)err;                                  /* nothing is checked */
    attr_ignore(load->node, "consumed_inputs"); /* opset 1 to 5: a hint */
    return STATUS_OK;
}

/* Until opset 6 a slope of one dimension is one number for each channel. */
static enum status prelu_shape(struct exec *exec, struct error *err) {
    struct tensor slope = *exec->x[1];
    const struct tensor *x[2] = {exec->x[0], &slope};
    enum status status;
    if (exec->node->opset < 7 && slope.rank == 1 && slope.dims[0] != 1) {
        for (slope.rank = 1; slope.rank < exec->x[0]->rank - 1; slope.rank++) {
            slope.dims[slope.rank] = 1;
        }
    }
    status = broadcast_shape(exec, x, 2, exec->y[0], err);
    if (status == STATUS_OK) {
        broadcast_init(exec->memo, x, 2, exec->y[0]);
    }
    return status;
}

#define PRELU(type)                                                       \
    do {                                                                  \
        const type *x = (const type *)exec->x[0]->data + walk.at[0];      \
        const type *slope = (const type *)exec->x[1]->data + walk.at[1];  \
        type *y = (type *)exec->y[0]->data + walk.out;                    \
        for (int64_t i = 0; i < plan->line; i++) {                        \
            type v = x[i * plan->line_step[0]];                           \
            y[i] = (type)(v < 0 ? v * slope[i * plan->line_step[1]] : v); \
        }                                                                 \
    } while (0)

static enum status prelu_run(struct exec *exec, struct error *err) {
    const struct broadcast *plan = exec->memo;
    struct broadcast_walk walk = {0};
    (void)err; /* cannot fail */
    if (!broadcast_any(plan)) {
        return STATUS_OK;
    }
    do {
        if (exec->x[0]->dtype == DTYPE_F32) {
            PRELU(float);
        } else {
            PRELU(double);
        }
    } while (broadcast_next(plan, &walk));
    return STATUS_OK;
}

#define CHANNELS(text, opset)                                               \
    {                                                                       \
        .name = text, .since = opset, .inputs_min = 3, .inputs_max = 3,     \
        .types = {TYPES_FLOAT}, .prepare = prepare, .shape = channel_shape, \
        .run = channel_run,                                                 \
    }

static const struct op ops[] = {
    CHANNELS("InstanceNormalization", 1),
    CHANNELS("GroupNormalization", 18),
    {.name = "LpNormalization",
     .since = 1,
     .inputs_min = 1,
     .inputs_max = 1,
     .types = {TYPES_FLOAT},
     .prepare = axis_prepare,
     .shape = op_shape_same,
     .run = lp_run},
    {.name = "Hardmax",
     .since = 1,
     .inputs_min = 1,
     .inputs_max = 1,
     .types = {TYPES_FLOAT},
     .prepare = axis_prepare,
     .shape = op_shape_same,
     .run = hardmax_run},
    {.name = "MeanVarianceNormalization",
     .since = 9,
     .inputs_min = 1,
     .inputs_max = 1,
     .types = {TYPES_F32},
     .prepare = mvn_prepare,
     .shape = mvn_shape,
     .run = mvn_run},
    {.name = "PRelu",
     .since = 1,
     .inputs_min = 2,
     .inputs_max = 2,
     .types = {TYPES_FLOAT},
     .memo_size = sizeof(struct broadcast),
     .prepare = prelu_prepare,
     .shape = prelu_shape,
     .run = prelu_run},
};

const struct op_list ops_norm_more = OP_LIST(ops);
