/* ml_linear.c - Scaler, Normalizer, LinearRegressor, LinearClassifier, and
 * ArrayFeatureExtractor, of ai.onnx.ml. */
#include <math.h>

#include "base/size.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/gemm.h"
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
    return status;
}

/* y = a op values, of which there are none, one, or one for each column. */
static void apply(enum ew_op op, int64_t rows, int64_t cols, const float *a,
                  const float *values, size_t count, float *y) {
    if (count > 1) {
        ew_binary_rows(op, rows, cols, a, values, y);
    } else if (count == 1) {
        ew_binary(op, EW_SCALAR_B, rows * cols, a, values, y);
    } else if (a != y && rows * cols > 0) {
        memcpy(y, a, (size_t)(rows * cols) * sizeof(*y));
    }
}

static enum status scaler_run(struct exec *exec, struct error *err) {
    const struct scaler_state *state = exec->node->state;
    int64_t rows, cols;
    float *y = exec->y[0]->data;
    enum status status = ml_rows(exec, &rows, &cols, err);
    if (status == STATUS_OK) {
        const float *x = ml_floats_of(exec->x[0], rows, cols, y);
        apply(EW_SUB, rows, cols, x, state->offset, state->offset_count, y);
        apply(EW_MUL, rows, cols, y, state->scale, state->scale_count, y);
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
    const float *packed;     /* coefficients, [features, targets] for gemm_run */
    const float *intercepts; /* [targets] or NULL */
    int64_t targets, features;
    struct ml_labels labels; /* of the classifier */
    enum ml_transform transform;
};

static enum status linear_pack(struct load *load, struct linear_state *state,
                               const float *coefficients, size_t count,
                               struct error *err) {
    size_t size;
    float *packed;
    state->features = (int64_t)count / state->targets;
    size = gemm_pack_size(state->features, state->targets);
    packed = size == SIZE_MAX ? NULL : graph_memory(load->graph, size);
    state->packed = packed;
    if (packed == NULL) {
        return load_no_memory(load, err);
    }
    gemm_pack(state->features, state->targets, coefficients, state->features, true,
              packed);
    return STATUS_OK;
}

static enum status linear_read(struct load *load, struct linear_state *state,
                               struct error *err) {
    const float *coefficients;
    size_t intercepts = 0, count = 0;
    enum status status = ml_floats(load, "coefficients", &coefficients, &count, err);
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
    if (status == STATUS_OK && (count == 0 || count % (size_t)state->targets != 0)) {
        status = node_error(load->node, err, STATUS_INVALID,
                            "%zu coefficients do not suit %lld targets", count,
                            (long long)state->targets);
    }
    return status == STATUS_OK ? linear_pack(load, state, coefficients, count, err)
                               : status;
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

/* Rows that are no floats become such in scratch, which is followed by `extra` floats for
 * each row. */
static enum status linear_rows(struct exec *exec, int64_t extra, int64_t *rows,
                               int64_t *cols, struct error *err) {
    const struct linear_state *state = exec->node->state;
    enum status status = ml_rows(exec, rows, cols, err);
    size_t width = exec->x[0]->dtype == DTYPE_F32 ? 0 : (size_t)state->features;
    if (status == STATUS_OK && *cols != state->features) {
        status = node_error(exec->node, err, STATUS_POISON,
                            "%lld features come, the model has %lld", (long long)*cols,
                            (long long)state->features);
    }
    if (status == STATUS_OK &&
        (!size_mul((size_t)*rows, (width + (size_t)extra) * sizeof(float),
                   &exec->scratch_size))) {
        status = node_error(exec->node, err, STATUS_POISON, "the input is too large");
    }
    return status;
}

/* Scores, `step` of them between rows. */
static void scores_of(struct exec *exec, int64_t rows, int64_t cols, float *scores,
                      int64_t step) {
    const struct linear_state *state = exec->node->state;
    const struct gemm_tail tail = {.alpha = 1, .bias = state->intercepts};
    const float *x = ml_floats_of(exec->x[0], rows, cols, exec->scratch);
    gemm_run(rows, state->targets, cols, x, cols, state->packed, &tail, scores, step);
}

static enum status regressor_shape(struct exec *exec, struct error *err) {
    const struct linear_state *state = exec->node->state;
    int64_t rows, cols;
    enum status status = linear_rows(exec, 0, &rows, &cols, err);
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
    if (status == STATUS_OK) {
        scores_of(exec, rows, cols, y, state->targets);
        ml_apply(state->transform, rows, state->targets, y);
    }
    return status;
}

static enum status classifier_shape(struct exec *exec, struct error *err) {
    const struct linear_state *state = exec->node->state;
    const int64_t classes = (int64_t)state->labels.count;
    int64_t rows, cols;
    enum status status =
        linear_rows(exec, exec_wants(exec, 1) ? 0 : classes, &rows, &cols, err);
    if (status != STATUS_OK) {
        return status;
    }
    if (exec_wants(exec, 0)) {
        exec->y[0]->rank = 1;
        exec->y[0]->dims[0] = rows;
    }
    if (exec_wants(exec, 1)) {
        exec->y[1]->rank = 2;
        exec->y[1]->dims[0] = rows;
        exec->y[1]->dims[1] = classes;
    }
    return STATUS_OK;
}

static void write_label(struct exec *exec, size_t label, int64_t row) {
    const struct linear_state *state = exec->node->state;
    if (exec_wants(exec, 0)) {
        ml_write_label(&state->labels, label, exec->y[0], row);
    }
}

/* One score for two classes, at the first of each pair. */
static void classify_pairs(struct exec *exec, int64_t rows, float *scores) {
    const struct linear_state *state = exec->node->state;
    const bool logistic = state->transform == ML_LOGISTIC;
    for (int64_t r = 0; r < rows; r++) {
        float *pair = scores + 2 * r;
        write_label(exec, pair[0] > 0 ? 1 : 0, r);
        pair[1] = pair[0];
        pair[0] = -pair[0];
    }
    if (logistic) {
        ml_apply(ML_LOGISTIC, rows, 2, scores);
    }
}

/* Turns raw scores into those to be given. */
static void classify(struct exec *exec, int64_t rows, float *scores) {
    const struct linear_state *state = exec->node->state;
    const int64_t targets = state->targets;
    if (targets < (int64_t)state->labels.count) {
        classify_pairs(exec, rows, scores);
        return;
    }
    for (int64_t r = 0; r < rows; r++) {
        const float *row = scores + r * targets;
        int64_t best = 0;
        for (int64_t t = 1; t < targets; t++) {
            best = row[t] > row[best] ? t : best;
        }
        write_label(exec, (size_t)best, r);
    }
    ml_apply(state->transform, rows, targets, scores);
}

static enum status classifier_run(struct exec *exec, struct error *err) {
    const struct linear_state *state = exec->node->state;
    int64_t rows, cols;
    enum status status = ml_rows(exec, &rows, &cols, err);
    if (status == STATUS_OK) {
        const bool converted = exec->x[0]->dtype != DTYPE_F32;
        float *scores = exec_wants(exec, 1)
                            ? exec->y[1]->data
                            : (float *)exec->scratch + (converted ? rows * cols : 0);
        scores_of(exec, rows, cols, scores, (int64_t)state->labels.count);
        classify(exec, rows, scores);
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
