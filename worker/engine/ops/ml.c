/* ml.c - see ml.h. */
#include "engine/ops/ml.h"

#include <math.h>

#include "engine/kernels/vmath.h"

/* SOFTMAX_ZERO leaves scores this small as they are. */
#define NEARLY_ZERO 1e-7F

enum status ml_rows(const struct exec *exec, int64_t *rows, int64_t *cols,
                    struct error *err) {
    const struct tensor *x = exec->x[0];
    if (x->rank != 1 && x->rank != 2) {
        return node_error(exec->node, err, STATUS_POISON,
                          "the input has rank %d, rows of features are needed", x->rank);
    }
    *rows = x->rank == 2 ? x->dims[0] : 1;
    *cols = x->dims[x->rank - 1];
    return STATUS_OK;
}

#define CONVERT(type)                                          \
    do {                                                       \
        const type *from = (const type *)x->data + row * cols; \
        for (int64_t i = 0; i < cols; i++) {                   \
            buffer[i] = (float)from[i];                        \
        }                                                      \
    } while (0)

const float *ml_row(const struct tensor *x, int64_t row, int64_t cols, float *buffer) {
    if (x->dtype == DTYPE_F32) {
        return (const float *)x->data + row * cols;
    }
    if (x->dtype == DTYPE_F64) {
        CONVERT(double);
    } else if (x->dtype == DTYPE_I64) {
        CONVERT(int64_t);
    } else {
        CONVERT(int32_t);
    }
    return buffer;
}

const float *ml_floats_of(const struct tensor *x, int64_t rows, int64_t cols,
                          float *buffer) {
    if (x->dtype == DTYPE_F32) {
        return x->data;
    }
    for (int64_t r = 0; r < rows; r++) {
        (void)ml_row(x, r, cols, buffer + r * cols); /* into that place */
    }
    return buffer;
}

enum status ml_floats(struct load *load, const char *name, const float **values,
                      size_t *count, struct error *err) {
    const struct attr *attr = attr_find(load->node, name);
    *values = NULL;
    *count = 0;
    if (attr == NULL) {
        return STATUS_OK;
    }
    if (attr->kind != ATTR_FLOATS) {
        return node_error(load->node, err, STATUS_INVALID,
                          "attribute %s is no list of floats", name);
    }
    *values = attr->as.floats;
    *count = attr->count;
    return STATUS_OK;
}

enum status ml_reals(struct load *load, const char *name, const char *tensor_name,
                     struct tensor *values, struct error *err) {
    const struct attr *attr = attr_find(load->node, tensor_name);
    const float *floats = NULL;
    size_t count = 0;
    enum status status = ml_floats(load, name, &floats, &count, err);
    *values = (struct tensor){.dtype = DTYPE_F32, .rank = 1, .dims = {(int64_t)count}};
    values->data = (void *)(uintptr_t)floats; /* which is only read */
    if (status != STATUS_OK || count > 0 || attr == NULL) {
        return status;
    }
    if (attr->kind != ATTR_TENSOR ||
        (TYPE_BIT(attr->as.tensor->dtype) & TYPES_FLOAT) == 0) {
        return node_error(load->node, err, STATUS_INVALID,
                          "attribute %s is no tensor of floats", tensor_name);
    }
    *values = *attr->as.tensor;
    values->dims[0] = (int64_t)tensor_count(attr->as.tensor);
    values->rank = 1;
    return STATUS_OK;
}

enum status ml_read_transform(struct load *load, enum ml_transform *transform,
                              struct error *err) {
    static const char *const words[] = {
        [ML_NONE] = "NONE",         [ML_SOFTMAX] = "SOFTMAX",
        [ML_LOGISTIC] = "LOGISTIC", [ML_SOFTMAX_ZERO] = "SOFTMAX_ZERO",
        [ML_PROBIT] = "PROBIT",     NULL,
    };
    int word;
    enum status status =
        attr_word(load->node, "post_transform", ML_NONE, words, &word, err);
    *transform = (enum ml_transform)word;
    return status;
}

enum status ml_read_labels(struct load *load, const char *ints, const char *texts,
                           struct ml_labels *labels, struct error *err) {
    const struct attr *attr = attr_find(load->node, texts);
    struct attr_ints list;
    enum status status = attr_ints(load->node, ints, &list, err);
    if (status != STATUS_OK) {
        return status;
    }
    labels->ints = list.values;
    labels->count = list.count;
    if (attr != NULL && attr->kind == ATTR_TEXTS && attr->count > 0) {
        labels->texts = attr->as.texts;
        labels->count = attr->count;
    }
    if (labels->count == 0) {
        return node_error(load->node, err, STATUS_INVALID,
                          "neither %s nor %s name a class", ints, texts);
    }
    graph_set_output(load->graph, load->node, 0,
                     labels->texts != NULL ? DTYPE_STRING : DTYPE_I64);
    graph_set_output(load->graph, load->node, 1, DTYPE_F32);
    return STATUS_OK;
}

void ml_write_label(const struct ml_labels *labels, size_t label, struct tensor *y,
                    int64_t row) {
    if (labels->texts != NULL) {
        ((struct span *)y->data)[row] = labels->texts[label];
    } else {
        ((int64_t *)y->data)[row] = labels->ints[label];
    }
}

float ml_logistic(float x) {
    return 1 / (1 + expf(-x));
}

/* Softmax over the scores that are not nearly 0. */
static void softmax_zero(int64_t count, float *scores) {
    float most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < count; i++) {
        most = fmaxf(most, scores[i]);
    }
    for (int64_t i = 0; i < count; i++) {
        bool zero = fabsf(scores[i]) <= NEARLY_ZERO;
        scores[i] = zero ? scores[i] * expf(-most) : expf(scores[i] - most);
        sum += scores[i];
    }
    for (int64_t i = 0; i < count && sum != 0; i++) {
        scores[i] /= sum;
    }
}

/* What the normal distribution does not exceed with this probability: a guess (Winitzki's
 * of the inverse error function), and then Newton's method. */
static float probit(float x) {
    const double y = 2 * (double)x - 1, a = 0.147;
    const double logarithm = log((1 - y) * (1 + y));
    const double half = 2 / (3.141592653589793 * a) + logarithm / 2;
    double z = sqrt(sqrt(half * half - logarithm / a) - half);
    if (!(y > -1 && y < 1)) {
        return y == -1 ? -INFINITY : y == 1 ? INFINITY : NAN;
    }
    z = y < 0 ? -z : z;
    for (int i = 0; i < 3; i++) {
        z -= (erf(z) - y) / (1.1283791670955126 * exp(-z * z)); /* 2 / sqrt(pi) */
    }
    return (float)(z * 1.4142135623730951);
}

void ml_apply(enum ml_transform transform, int64_t rows, int64_t count, float *scores) {
    switch (transform) {
    case ML_SOFTMAX:
        vmath_softmax_rows(rows, count, scores, scores);
        return;
    case ML_LOGISTIC:
        vmath_sigmoid(rows * count, scores, scores);
        return;
    case ML_SOFTMAX_ZERO:
        for (int64_t r = 0; r < rows; r++) {
            softmax_zero(count, scores + r * count);
        }
        return;
    case ML_PROBIT:
        for (int64_t i = 0; i < rows * count; i++) {
            scores[i] = probit(scores[i]);
        }
        return;
    case ML_NONE:
    case ML_TRANSFORM_COUNT:
        return;
    }
}
