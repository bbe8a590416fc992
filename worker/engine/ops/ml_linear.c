/* ml_linear.c - Scaler, Normalizer, LinearRegressor, LinearClassifier, and
 * ArrayFeatureExtractor, of ai.onnx.ml. */
#include <math.h>

#include "base/size.h"
#include "engine/ops/ml.h"
#include "engine/ops/ops.h"

/* ---- Scaler: (x - offset) * scale ---------------------------------------------- */

struct scaler_state {
    const float *offset, *scale;
    size_t offset_count, scale_count; /* 0, 1 or one for each feature */
};

static enum status scaler_prepare(struct load *load, struct error *err) {
    struct scaler_state *state = load_state(load, struct scaler_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = ml_floats(load, "offset", &state->offset, &state->offset_count, err);
    if (status == STATUS_OK) {
        status = ml_floats(load, "scale", &state->scale, &state->scale_count, err);
    }
    return status;
}

static bool suits(size_t count, int64_t cols) {
    return count <= 1 || count == (size_t)cols;
}

static enum status scaler_shape(struct exec *exec, struct error *err) {
    const struct scaler_state *state = exec->node->state;
    int64_t rows, cols;
    enum status status = ml_rows(exec, &rows, &cols, err);
    if (status == STATUS_OK &&
        (!suits(state->offset_count, cols) || !suits(state->scale_count, cols))) {
        status = node_error(exec->node, err, STATUS_POISON,
                            "%lld features come, offset and scale have %zu and %zu",
                            (long long)cols, state->offset_count, state->scale_count);
    }
    exec_same_shape(exec, 0, 0);
    exec->scratch_size = (size_t)cols * sizeof(float);
    return status;
}

static float pick(const float *values, size_t count, int64_t i, float fallback) {
    return count == 0 ? fallback : values[count == 1 ? 0 : i];
}

static enum status scaler_run(struct exec *exec, struct error *err) {
    const struct scaler_state *state = exec->node->state;
    int64_t rows, cols;
    float *y = exec->y[0]->data;
    enum status status = ml_rows(exec, &rows, &cols, err);
    for (int64_t r = 0; status == STATUS_OK && r < rows; r++, y += cols) {
        const float *x = ml_row(exec->x[0], r, cols, exec->scratch);
        for (int64_t i = 0; i < cols; i++) {
            y[i] = (x[i] - pick(state->offset, state->offset_count, i, 0)) *
                   pick(state->scale, state->scale_count, i, 1);
        }
    }
    return status;
}

/* ---- Normalizer: rows of norm 1 ------------------------------------------------ */

enum norm { NORM_MAX, NORM_L1, NORM_L2 };

struct normalizer_state {
    int norm;
};

static enum status normalizer_prepare(struct load *load, struct error *err) {
    static const char *const words[] = {
        [NORM_MAX] = "MAX", [NORM_L1] = "L1", [NORM_L2] = "L2", NULL};
    struct normalizer_state *state = load_state(load, struct normalizer_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    return attr_word(load->node, "norm", NORM_MAX, words, &state->norm, err);
}

static enum status normalizer_shape(struct exec *exec, struct error *err) {
    int64_t rows, cols = 0;
    enum status status = ml_rows(exec, &rows, &cols, err);
    exec_same_shape(exec, 0, 0);
    exec->scratch_size = (size_t)cols * sizeof(float);
    return status;
}

static float norm_of(int norm, int64_t count, const float *x) {
    float sum = norm == NORM_MAX ? -INFINITY : 0;
    for (int64_t i = 0; i < count; i++) {
        sum = norm == NORM_MAX  ? fmaxf(sum, x[i])
              : norm == NORM_L1 ? sum + fabsf(x[i])
                                : sum + x[i] * x[i];
    }
    return norm == NORM_L2 ? sqrtf(sum) : sum;
}

static enum status normalizer_run(struct exec *exec, struct error *err) {
    const struct normalizer_state *state = exec->node->state;
    int64_t rows, cols;
    float *y = exec->y[0]->data;
    enum status status = ml_rows(exec, &rows, &cols, err);
    for (int64_t r = 0; status == STATUS_OK && r < rows; r++, y += cols) {
        const float *x = ml_row(exec->x[0], r, cols, exec->scratch);
        float norm = norm_of(state->norm, cols, x);
        for (int64_t i = 0; i < cols; i++) {
            y[i] = norm != 0 ? x[i] / norm : x[i];
        }
    }
    return status;
}

/* ---- LinearRegressor, LinearClassifier ----------------------------------------- */

struct linear_state {
    const float *coefficients; /* [targets, features] */
    const float *intercepts;   /* [targets] or NULL */
    int64_t targets;
    size_t coefficient_count;
    struct ml_labels labels; /* of the classifier */
    enum ml_transform transform;
};

static enum status linear_read(struct load *load, struct linear_state *state,
                               struct error *err) {
    size_t intercepts = 0;
    enum status status = ml_floats(load, "coefficients", &state->coefficients,
                                   &state->coefficient_count, err);
    if (status == STATUS_OK) {
        status = ml_floats(load, "intercepts", &state->intercepts, &intercepts, err);
    }
    if (status == STATUS_OK) {
        status = ml_read_transform(load, &state->transform, err);
    }
    if (status == STATUS_OK && state->intercepts != NULL &&
        intercepts != (size_t)state->targets) {
        status = node_error(load->node, err, STATUS_INVALID,
                            "%zu intercepts do not suit %lld targets", intercepts,
                            (long long)state->targets);
    }
    if (status == STATUS_OK && (state->coefficient_count == 0 ||
                                state->coefficient_count % (size_t)state->targets != 0)) {
        status = node_error(load->node, err, STATUS_INVALID,
                            "%zu coefficients do not suit %lld targets",
                            state->coefficient_count, (long long)state->targets);
    }
    return status;
}

static enum status regressor_prepare(struct load *load, struct error *err) {
    struct linear_state *state = load_state(load, struct linear_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_int_in(load->node, "targets", 1, 1, INT32_MAX, &state->targets, err);
    return status == STATUS_OK ? linear_read(load, state, err) : status;
}

/* The number of intercepts tells how many scores there are: a binary classifier may have
 * one alone. */
static enum status classifier_prepare(struct load *load, struct error *err) {
    struct linear_state *state = load_state(load, struct linear_state);
    const float *intercepts;
    size_t count;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    attr_ignore(load->node, "multi_class"); /* says how it was trained */
    status = ml_read_labels(load, "classlabels_ints", "classlabels_strings",
                            &state->labels, err);
    if (status == STATUS_OK) {
        status = ml_floats(load, "intercepts", &intercepts, &count, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    state->targets = (int64_t)(count == 0 ? state->labels.count : count);
    if (state->labels.count != (size_t)state->targets &&
        !(state->labels.count == 2 && state->targets == 1)) {
        return node_error(load->node, err, STATUS_INVALID,
                          "%zu classes do not suit %lld scores", state->labels.count,
                          (long long)state->targets);
    }
    return linear_read(load, state, err);
}

static enum status linear_rows(struct exec *exec, int64_t *rows, int64_t *cols,
                               struct error *err) {
    const struct linear_state *state = exec->node->state;
    enum status status = ml_rows(exec, rows, cols, err);
    size_t wanted = 0;
    if (status == STATUS_OK &&
        (!size_mul((size_t)*cols, (size_t)state->targets, &wanted) ||
         wanted != state->coefficient_count)) {
        status = node_error(exec->node, err, STATUS_POISON,
                            "%lld features come, the model has %zu", (long long)*cols,
                            state->coefficient_count / (size_t)state->targets);
    }
    exec->scratch_size = status == STATUS_OK ? (size_t)*cols * sizeof(float) : 0;
    return status;
}

static void scores_of(const struct linear_state *state, const float *x, int64_t cols,
                      float *scores) {
    for (int64_t t = 0; t < state->targets; t++) {
        const float *coefficients = state->coefficients + t * cols;
        float sum = state->intercepts == NULL ? 0 : state->intercepts[t];
        for (int64_t i = 0; i < cols; i++) {
            sum += x[i] * coefficients[i];
        }
        scores[t] = sum;
    }
}

static enum status regressor_shape(struct exec *exec, struct error *err) {
    const struct linear_state *state = exec->node->state;
    int64_t rows, cols;
    enum status status = linear_rows(exec, &rows, &cols, err);
    if (status == STATUS_OK) {
        exec->y[0]->rank = 2;
        exec->y[0]->dims[0] = rows;
        exec->y[0]->dims[1] = state->targets;
    }
    return status;
}

static enum status regressor_run(struct exec *exec, struct error *err) {
    const struct linear_state *state = exec->node->state;
    int64_t rows, cols;
    float *y = exec->y[0]->data;
    enum status status = ml_rows(exec, &rows, &cols, err);
    for (int64_t r = 0; status == STATUS_OK && r < rows; r++, y += state->targets) {
        scores_of(state, ml_row(exec->x[0], r, cols, exec->scratch), cols, y);
        ml_apply(state->transform, 1, state->targets, y);
    }
    return status;
}

static enum status classifier_shape(struct exec *exec, struct error *err) {
    const struct linear_state *state = exec->node->state;
    int64_t rows, cols;
    enum status status = linear_rows(exec, &rows, &cols, err);
    if (status != STATUS_OK) {
        return status;
    }
    exec->scratch_size += state->labels.count * sizeof(float);
    exec->y[0]->rank = 1;
    exec->y[0]->dims[0] = rows;
    if (exec_wants(exec, 1)) {
        exec->y[1]->rank = 2;
        exec->y[1]->dims[0] = rows;
        exec->y[1]->dims[1] = (int64_t)state->labels.count;
    }
    return STATUS_OK;
}

/* Turns raw scores into those to be given, and returns the class. */
static size_t classify(const struct linear_state *state, float *scores) {
    size_t best = 0;
    if (state->targets < (int64_t)state->labels.count) { /* one score for two classes */
        float score = scores[0];
        bool logistic = state->transform == ML_LOGISTIC;
        scores[1] = logistic ? ml_logistic(score) : score;
        scores[0] = logistic ? 1 - scores[1] : -score;
        return score > 0 ? 1 : 0;
    }
    for (int64_t i = 1; i < state->targets; i++) {
        best = scores[i] > scores[best] ? (size_t)i : best;
    }
    ml_apply(state->transform, 1, state->targets, scores);
    return best;
}

static enum status classifier_run(struct exec *exec, struct error *err) {
    const struct linear_state *state = exec->node->state;
    int64_t rows, cols;
    enum status status = ml_rows(exec, &rows, &cols, err);
    for (int64_t r = 0; status == STATUS_OK && r < rows; r++) {
        float *buffer = exec->scratch, *scores = buffer + cols;
        if (exec_wants(exec, 1)) {
            scores = (float *)exec->y[1]->data + r * (int64_t)state->labels.count;
        }
        scores_of(state, ml_row(exec->x[0], r, cols, buffer), cols, scores);
        ml_write_label(&state->labels, classify(state, scores), exec->y[0], r);
    }
    return status;
}

/* ---- ArrayFeatureExtractor: columns, chosen by index --------------------------- */

static enum status extract_shape(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    struct tensor *y = exec->y[0];
    if (x->rank == 0) {
        return node_error(exec->node, err, STATUS_POISON, "the input has no axis");
    }
    exec_same_shape(exec, 0, 0);
    if (x->rank == 1) {
        y->rank = 2;
        y->dims[0] = 1;
    }
    y->dims[y->rank - 1] = (int64_t)tensor_count(exec->x[1]);
    return STATUS_OK;
}

static enum status extract_run(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[0];
    const int64_t *index = exec->x[1]->data, cols = x->dims[x->rank - 1];
    size_t size = dtype_size(x->dtype), count = tensor_count(exec->x[1]);
    size_t rows = count == 0 ? 0 : tensor_count(exec->y[0]) / count;
    const uint8_t *from = x->data;
    uint8_t *to = exec->y[0]->data;
    for (size_t i = 0; i < count; i++) {
        if (index[i] < 0 || index[i] >= cols) {
            return node_error(exec->node, err, STATUS_POISON,
                              "an index is outside [0, %lld)", (long long)cols);
        }
    }
    for (size_t r = 0; r < rows; r++, from += (size_t)cols * size) {
        for (size_t i = 0; i < count; i++, to += size) {
            memcpy(to, from + (size_t)index[i] * size, size);
        }
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .domain = ML_DOMAIN,
        .name = "Scaler",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_FEATURES},
        .output_dtype = DTYPE_F32,
        .prepare = scaler_prepare,
        .shape = scaler_shape,
        .run = scaler_run,
    },
    {
        .domain = ML_DOMAIN,
        .name = "Normalizer",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_FEATURES},
        .output_dtype = DTYPE_F32,
        .prepare = normalizer_prepare,
        .shape = normalizer_shape,
        .run = normalizer_run,
    },
    {
        .domain = ML_DOMAIN,
        .name = "LinearRegressor",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_FEATURES},
        .output_dtype = DTYPE_F32,
        .prepare = regressor_prepare,
        .shape = regressor_shape,
        .run = regressor_run,
    },
    {
        .domain = ML_DOMAIN,
        .name = "LinearClassifier",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .outputs_max = 2,
        .types = {TYPES_FEATURES},
        .prepare = classifier_prepare,
        .shape = classifier_shape,
        .run = classifier_run,
    },
    {
        .domain = ML_DOMAIN,
        .name = "ArrayFeatureExtractor",
        .since = 1,
        .inputs_min = 2,
        .inputs_max = 2,
        .types = {TYPES_ALL, TYPES_I64},
        .shape = extract_shape,
        .run = extract_run,
    },
};

const struct op_list ops_ml_linear = OP_LIST(ops);
