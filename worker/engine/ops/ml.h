/* ml.h - what the operators of ai.onnx.ml share: rows of features in, scores and labels
 * out.  skl2onnx, onnxmltools and the boosting libraries write them.
 *
 * Source: the ai.onnx.ml operator documents; where they are silent (scores of binary
 * classifiers with one column), ONNX Runtime's answers.
 *
 * Depends on: engine/op.h.
 * Ownership: labels are borrowed from the file.
 * Threads: read-only in run. */
#ifndef MILLRACE_ENGINE_OPS_ML_H
#define MILLRACE_ENGINE_OPS_ML_H

#include "engine/op.h"

#define ML_DOMAIN "ai.onnx.ml"
#define TYPES_FEATURES (TYPES_FLOAT | TYPES_INDEX)

enum ml_transform {
    ML_NONE,
    ML_SOFTMAX,
    ML_LOGISTIC,
    ML_SOFTMAX_ZERO,
    ML_PROBIT,
    ML_TRANSFORM_COUNT
};

/* Class labels: integers or strings. */
struct ml_labels {
    size_t count;
    const int64_t *ints; /* or NULL */
    const struct span *texts;
};

/* Rows and columns of input 0: [features] counts as one row. */
MUST_CHECK enum status ml_rows(const struct exec *exec, int64_t *rows, int64_t *cols,
                               struct error *err);

/* Row `row` of input 0 as float32: in place, or converted into `buffer` of cols. */
const float *ml_row(const struct tensor *x, int64_t row, int64_t cols, float *buffer);

/* Input 0 as floats [rows, cols]: itself, or converted into `buffer`. */
const float *ml_floats_of(const struct tensor *x, int64_t rows, int64_t cols,
                          float *buffer);

MUST_CHECK enum status ml_floats(struct load *load, const char *name,
                                 const float **values, size_t *count, struct error *err);
/* The same of float32 or float64, as a tensor of rank 1: attribute `name` or, where that
 * is absent, `tensor_name`. */
MUST_CHECK enum status ml_reals(struct load *load, const char *name,
                                const char *tensor_name, struct tensor *values,
                                struct error *err);
MUST_CHECK enum status ml_read_transform(struct load *load, enum ml_transform *transform,
                                         struct error *err);
/* Reads the labels and sets the dtype of output 0 to theirs. */
MUST_CHECK enum status ml_read_labels(struct load *load, const char *ints,
                                      const char *texts, struct ml_labels *labels,
                                      struct error *err);
void ml_write_label(const struct ml_labels *labels, size_t label, struct tensor *y,
                    int64_t row);

/* Applies `transform` to scores[rows, count]. */
void ml_apply(enum ml_transform transform, int64_t rows, int64_t count, float *scores);
float ml_logistic(float x);

#endif
