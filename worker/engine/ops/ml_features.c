/* ml_features.c - Imputer, Binarizer, FeatureVectorizer. */
#include <math.h>

#include "engine/ops/ml.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

/* ---- Imputer ----------------------------------------------------------------------- */

struct imputer {
    const float *reals; /* what is put in: one value, or one for each column */
    const int64_t *ints;
    size_t count;
    float missing_real; /* NaN stands for any NaN */
    int64_t missing_int;
};

static enum status imputer_prepare(struct load *load, struct error *err) {
    struct imputer *state = load_state(load, struct imputer);
    bool real = graph_input_dtype(load->graph, load->node, 0) == DTYPE_F32;
    struct attr_ints ints = {0};
    enum status status;
    size_t reals = 0;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = ml_floats(load, "imputed_value_floats", &state->reals, &reals, err);
    if (status == STATUS_OK) {
        status = attr_ints(load->node, "imputed_value_int64s", &ints, err);
    }
    if (status == STATUS_OK) {
        status =
            attr_float(load->node, "replaced_value_float", 0, &state->missing_real, err);
    }
    if (status == STATUS_OK) {
        status =
            attr_int(load->node, "replaced_value_int64", 0, &state->missing_int, err);
    }
    state->ints = ints.values;
    state->count = real ? reals : ints.count;
    if (status == STATUS_OK && state->count == 0) {
        status = node_error(load->node, err, STATUS_INVALID,
                            "has no values of the input's type to put in");
    }
    return status;
}

static enum status imputer_shape(struct exec *exec, struct error *err) {
    const struct imputer *state = exec->node->state;
    int64_t rows, cols;
    enum status status = ml_rows(exec, &rows, &cols, err);
    if (status == STATUS_OK && state->count != 1 && (int64_t)state->count != cols) {
        return node_error(exec->node, err, STATUS_POISON,
                          "%zu values to put in for %lld columns", state->count,
                          (long long)cols);
    }
    exec_same_shape(exec, 0, 0);
    return status;
}

static enum status imputer_run(struct exec *exec, struct error *err) {
    const struct imputer *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    size_t count = tensor_count(x);
    bool any_nan = isnan(state->missing_real);
    (void)err; /* cannot fail */
    for (size_t i = 0; i < count; i++) {
        size_t column = state->count == 1 ? 0 : i % state->count;
        if (x->dtype == DTYPE_F32) {
            float value = ((const float *)x->data)[i];
            bool missing = any_nan ? isnan(value) : value == state->missing_real;
            ((float *)exec->y[0]->data)[i] = missing ? state->reals[column] : value;
        } else {
            int64_t value = ((const int64_t *)x->data)[i];
            ((int64_t *)exec->y[0]->data)[i] =
                value == state->missing_int ? state->ints[column] : value;
        }
    }
    return STATUS_OK;
}

/* ---- Binarizer --------------------------------------------------------------------- */

struct binarizer {
    float threshold;
};

static enum status binarizer_prepare(struct load *load, struct error *err) {
    struct binarizer *state = load_state(load, struct binarizer);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    return attr_float(load->node, "threshold", 0, &state->threshold, err);
}

static enum status binarizer_run(struct exec *exec, struct error *err) {
    const struct binarizer *state = exec->node->state;
    int64_t count = (int64_t)tensor_count(exec->x[0]);
    (void)err; /* cannot fail */
    for (int64_t i = 0; i < count; i++) {
        bool above = number_real(exec->x[0], i) > (double)state->threshold;
        number_set_integer(exec->y[0], i, above ? 1 : 0);
    }
    return STATUS_OK;
}

/* ---- FeatureVectorizer ------------------------------------------------------------- */

static enum status vectorizer_prepare(struct load *load, struct error *err) {
    (void)err;                                  /* nothing is checked */
    attr_ignore(load->node, "inputdimensions"); /* the inputs tell theirs */
    return STATUS_OK;
}

static enum status vectorizer_shape(struct exec *exec, struct error *err) {
    int64_t rows = exec->x[0]->rank == 2 ? exec->x[0]->dims[0] : 1, cols = 0;
    for (int i = 0; i < exec->node->input_count; i++) {
        const struct tensor *x = exec->x[i];
        if (x->rank < 1 || x->rank > 2 || (x->rank == 2 ? x->dims[0] : 1) != rows ||
            __builtin_add_overflow(cols, x->dims[x->rank - 1], &cols)) {
            return node_error(exec->node, err, STATUS_POISON,
                              "input %d does not have %lld rows", i, (long long)rows);
        }
    }
    exec->y[0]->rank = 2;
    exec->y[0]->dims[0] = rows;
    exec->y[0]->dims[1] = cols;
    return STATUS_OK;
}

static enum status vectorizer_run(struct exec *exec, struct error *err) {
    int64_t rows = exec->y[0]->dims[0], width = exec->y[0]->dims[1], at = 0;
    float *y = exec->y[0]->data;
    (void)err; /* cannot fail */
    for (int i = 0; i < exec->node->input_count; i++) {
        const struct tensor *x = exec->x[i];
        int64_t cols = x->dims[x->rank - 1];
        for (int64_t row = 0; row < rows; row++) {
            for (int64_t c = 0; c < cols; c++) {
                y[row * width + at + c] = (float)number_real(x, row * cols + c);
            }
        }
        at += cols;
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .domain = ML_DOMAIN,
        .name = "Imputer",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_F32 | TYPES_I64},
        .prepare = imputer_prepare,
        .shape = imputer_shape,
        .run = imputer_run,
    },
    {
        .domain = ML_DOMAIN,
        .name = "Binarizer",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_FEATURES},
        .prepare = binarizer_prepare,
        .shape = op_shape_same,
        .run = binarizer_run,
    },
    {
        .domain = ML_DOMAIN,
        .name = "FeatureVectorizer",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = NODE_INPUTS_MAX,
        .types = {TYPES_FEATURES, TYPES_FEATURES, TYPES_FEATURES, TYPES_FEATURES,
                  TYPES_FEATURES, TYPES_FEATURES},
        .output_dtype = DTYPE_F32,
        .prepare = vectorizer_prepare,
        .shape = vectorizer_shape,
        .run = vectorizer_run,
    },
};

const struct op_list ops_ml_features = OP_LIST(ops);
