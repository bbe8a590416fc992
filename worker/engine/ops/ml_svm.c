/* ml_svm.c - SVMRegressor and SVMClassifier.
 *
 * Source: the operators' documents; where they are silent, libsvm (votes of pairs of
 * classes, probabilities by pairwise coupling, Wu, Lin and Weng 2004) as ONNX Runtime
 * uses it. */
#include <math.h>

#include "base/size.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/vmath.h"
#include "engine/ops/ml.h"
#include "engine/ops/ops.h"

enum kernel { KERNEL_LINEAR, KERNEL_POLY, KERNEL_RBF, KERNEL_SIGMOID };

/* More classes than this would make tables of pairs that no memory holds. */
#define CLASSES_MAX 4096

struct svm {
    int kernel;
    float gamma, offset, degree;
    size_t vectors; /* support vectors; 0: a linear model */
    size_t cols;    /* of a vector; of a row, where the model is linear */
    const float *support, *factors, *rho;
    /* The support vectors side by side: [cols, vectors] for vmath_distances, or packed
     * for gemm_run. */
    const float *packed;
    size_t support_count, factor_count, rho_count;
    enum ml_transform transform;
    bool one_class;
    /* Of the classifier. */
    struct ml_labels labels;
    const int64_t *per_class; /* support vectors of each */
    const float *prob_a, *prob_b;
    size_t prob_count;
};

/* ---- prepare ----------------------------------------------------------------------- */

static enum status read_kernel(struct load *load, struct svm *svm, struct error *err) {
    static const char *const words[] = {"LINEAR", "POLY", "RBF", "SIGMOID", NULL};
    const float *params = NULL;
    size_t count = 0;
    enum status status =
        attr_word(load->node, "kernel_type", 0, words, &svm->kernel, err);
    if (status == STATUS_OK) {
        status = ml_floats(load, "kernel_params", &params, &count, err);
    }
    if (status == STATUS_OK && count >= 3) {
        svm->gamma = params[0];
        svm->offset = params[1];
        svm->degree = params[2];
    }
    if (status == STATUS_OK) {
        status =
            ml_floats(load, "support_vectors", &svm->support, &svm->support_count, err);
    }
    if (status == STATUS_OK) {
        status = ml_floats(load, "coefficients", &svm->factors, &svm->factor_count, err);
    }
    if (status == STATUS_OK) {
        status = ml_floats(load, "rho", &svm->rho, &svm->rho_count, err);
    }
    return status == STATUS_OK ? ml_read_transform(load, &svm->transform, err) : status;
}

/* Makes `packed`, once sizes are known. */
static enum status pack_support(struct load *load, struct svm *svm, struct error *err) {
    const int64_t cols = (int64_t)svm->cols, vectors = (int64_t)svm->vectors;
    size_t size = svm->kernel == KERNEL_RBF ? svm->support_count * sizeof(float)
                                            : gemm_pack_size(cols, vectors);
    float *packed;
    if (svm->vectors == 0) {
        return STATUS_OK;
    }
    packed = size == SIZE_MAX ? NULL : graph_memory(load->graph, size);
    svm->packed = packed;
    if (packed == NULL) {
        return load_no_memory(load, err);
    }
    if (svm->kernel == KERNEL_RBF) {
        transpose_f32(vectors, cols, svm->support, packed);
    } else {
        gemm_pack(cols, vectors, svm->support, cols, true, packed);
    }
    return STATUS_OK;
}

static enum status wrong_sizes(struct load *load, const struct svm *svm,
                               struct error *err) {
    return node_error(
        load->node, err, STATUS_INVALID,
        "%zu support vectors, %zu numbers in them, %zu coefficients and %zu "
        "of rho do not fit together",
        svm->vectors, svm->support_count, svm->factor_count, svm->rho_count);
}

static enum status regressor_prepare(struct load *load, struct error *err) {
    struct svm *svm = load_state(load, struct svm);
    int64_t vectors = 0;
    enum status status;
    if (svm == NULL) {
        return load_no_memory(load, err);
    }
    graph_set_output(load->graph, load->node, 0, DTYPE_F32);
    status = read_kernel(load, svm, err);
    if (status == STATUS_OK) {
        status = attr_int_in(load->node, "n_supports", 0, 0, INT32_MAX, &vectors, err);
    }
    if (status == STATUS_OK) {
        status = attr_bool(load->node, "one_class", false, &svm->one_class, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    svm->vectors = (size_t)vectors;
    svm->cols = vectors > 0 ? svm->support_count / svm->vectors : svm->factor_count;
    if (svm->rho_count < 1 || svm->cols == 0 ||
        (vectors > 0 && (svm->support_count != svm->vectors * svm->cols ||
                         svm->factor_count < svm->vectors))) {
        return wrong_sizes(load, svm, err);
    }
    return pack_support(load, svm, err);
}

/* Pairs of classes; one decision each. */
static size_t pairs(const struct svm *svm) {
    return svm->labels.count * (svm->labels.count - 1) / 2;
}

static enum status classifier_sizes(struct load *load, struct svm *svm,
                                    const struct attr_ints *per_class,
                                    struct error *err) {
    size_t classes = svm->labels.count;
    bool fits = classes >= 2 && classes <= CLASSES_MAX;
    if (per_class->count == 0) { /* linear: coefficients [classes, cols] */
        svm->cols = fits ? svm->factor_count / classes : 0;
        fits = fits && svm->cols > 0 && svm->rho_count >= 1;
        return fits ? STATUS_OK : wrong_sizes(load, svm, err);
    }
    fits = fits && per_class->count == classes;
    for (size_t i = 0; fits && i < classes; i++) {
        fits = per_class->values[i] >= 0 && per_class->values[i] <= INT32_MAX;
        svm->vectors += fits ? (size_t)per_class->values[i] : 0;
    }
    svm->per_class = per_class->values;
    svm->cols = fits && svm->vectors > 0 ? svm->support_count / svm->vectors : 0;
    fits = fits && svm->cols > 0 && svm->support_count == svm->vectors * svm->cols &&
           svm->factor_count == svm->vectors * (classes - 1) &&
           svm->rho_count == pairs(svm) &&
           (svm->prob_count == 0 || svm->prob_count == pairs(svm));
    return fits ? pack_support(load, svm, err) : wrong_sizes(load, svm, err);
}

static enum status classifier_prepare(struct load *load, struct error *err) {
    struct svm *svm = load_state(load, struct svm);
    struct attr_ints per_class = {0};
    size_t others = 0;
    enum status status;
    if (svm == NULL) {
        return load_no_memory(load, err);
    }
    status = read_kernel(load, svm, err);
    if (status == STATUS_OK) {
        status = ml_read_labels(load, "classlabels_ints", "classlabels_strings",
                                &svm->labels, err);
    }
    if (status == STATUS_OK) {
        status = attr_ints(load->node, "vectors_per_class", &per_class, err);
    }
    if (status == STATUS_OK) {
        status = ml_floats(load, "prob_a", &svm->prob_a, &svm->prob_count, err);
    }
    if (status == STATUS_OK) {
        status = ml_floats(load, "prob_b", &svm->prob_b, &others, err);
    }
    if (status == STATUS_OK && others != svm->prob_count) {
        status = wrong_sizes(load, svm, err);
    }
    return status == STATUS_OK ? classifier_sizes(load, svm, &per_class, err) : status;
}

/* ---- kernels ----------------------------------------------------------------------- */

/* In doubles: large terms of both signs leave small decisions.  Four chains, so that
 * additions do not wait for each other. */
static double dot(const float *a, const float *b, size_t count) {
    double sums[4] = {0};
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        for (size_t k = 0; k < 4; k++) {
            sums[k] += (double)a[i + k] * (double)b[i + k];
        }
    }
    for (; i < count; i++) {
        sums[0] += (double)a[i] * (double)b[i];
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/* x^n for the small whole degrees that polynomials have, powf for others. */
static float power(float x, float degree) {
    float result = 1;
    if (!(degree >= 0 && degree <= 16 && floorf(degree) == degree)) {
        return powf(x, degree);
    }
    for (int i = 0; i < (int)degree; i++) {
        result *= x;
    }
    return result;
}

/* What the kernel gives for x[cols] and each support vector. */
static void kernels_of(const struct svm *svm, const float *x, float *values) {
    const int64_t count = (int64_t)svm->vectors, cols = (int64_t)svm->cols;
    const struct gemm_tail tail = {.alpha = svm->gamma};
    switch ((enum kernel)svm->kernel) {
    case KERNEL_LINEAR:
        gemm_run(1, count, cols, x, cols, svm->packed, NULL, values, count);
        return;
    case KERNEL_POLY:
        gemm_run(1, count, cols, x, cols, svm->packed, &tail, values, count);
        for (int64_t i = 0; i < count; i++) {
            values[i] = power(values[i] + svm->offset, svm->degree);
        }
        return;
    case KERNEL_SIGMOID:
        gemm_run(1, count, cols, x, cols, svm->packed, &tail, values, count);
        ew_binary(EW_ADD, EW_SCALAR_B, count, values, &svm->offset, values);
        vmath_tanh(count, values, values);
        return;
    case KERNEL_RBF: {
        const float factor = -svm->gamma;
        vmath_distances(count, cols, x, svm->packed, count, values);
        ew_binary(EW_MUL, EW_SCALAR_B, count, values, &factor, values);
        vmath_exp(count, values, values);
        return;
    }
    }
}

static enum status check_cols(const struct exec *exec, int64_t *rows, struct error *err) {
    const struct svm *svm = exec->node->state;
    int64_t cols;
    enum status status = ml_rows(exec, rows, &cols, err);
    if (status == STATUS_OK && cols != (int64_t)svm->cols) {
        return node_error(exec->node, err, STATUS_POISON,
                          "%lld columns where the model has %zu", (long long)cols,
                          svm->cols);
    }
    return status;
}

/* ---- SVMRegressor ------------------------------------------------------------------ */

static enum status regressor_shape(struct exec *exec, struct error *err) {
    const struct svm *svm = exec->node->state;
    int64_t rows = 0;
    enum status status = check_cols(exec, &rows, err);
    exec->y[0]->rank = 2;
    exec->y[0]->dims[0] = rows;
    exec->y[0]->dims[1] = 1;
    exec->scratch_size = (svm->cols + svm->vectors) * sizeof(float);
    return status;
}

static enum status regressor_run(struct exec *exec, struct error *err) {
    const struct svm *svm = exec->node->state;
    float *y = exec->y[0]->data;
    float *values = (float *)exec->scratch + svm->cols;
    (void)err; /* cannot fail */
    for (int64_t row = 0; row < exec->y[0]->dims[0]; row++) {
        const float *x = ml_row(exec->x[0], row, (int64_t)svm->cols, exec->scratch);
        double sum = (double)svm->rho[0];
        if (svm->vectors == 0) {
            sum += dot(svm->factors, x, svm->cols);
        }
        if (svm->vectors > 0) {
            kernels_of(svm, x, values);
            sum += dot(svm->factors, values, svm->vectors);
        }
        y[row] = svm->one_class ? (sum > 0 ? 1.0F : -1.0F) : (float)sum;
    }
    return STATUS_OK;
}

/* ---- SVMClassifier ----------------------------------------------------------------- */

/* Working memory of one row. */
struct desk {
    float *row, *kernels, *scores;
    double *pair, *q, *qp, *p; /* [classes,classes] twice, [classes] twice */
    int *votes;
};

static size_t desk_take(uint8_t **memory, size_t size) {
    size_t whole = size_align(size, 64);
    *memory = *memory == NULL ? NULL : *memory + whole;
    return whole;
}

/* Lays out `memory`; NULL to ask for the size only. */
static size_t desk_make(const struct svm *svm, uint8_t *memory, struct desk *desk) {
    size_t classes = svm->labels.count, square = classes * classes;
    size_t scores = pairs(svm) > classes ? pairs(svm) : classes, total = 0;
    desk->row = (void *)memory;
    total += desk_take(&memory, svm->cols * sizeof(float));
    desk->kernels = (void *)memory;
    total += desk_take(&memory, svm->vectors * sizeof(float));
    desk->scores = (void *)memory;
    total += desk_take(&memory, scores * sizeof(float));
    desk->pair = (void *)memory;
    total += desk_take(&memory, square * sizeof(double));
    desk->q = (void *)memory;
    total += desk_take(&memory, square * sizeof(double));
    desk->qp = (void *)memory;
    total += desk_take(&memory, classes * sizeof(double));
    desk->p = (void *)memory;
    total += desk_take(&memory, classes * sizeof(double));
    desk->votes = (void *)memory;
    return total + desk_take(&memory, classes * sizeof(int));
}

/* Columns of the scores: a probability for each class, or the decisions of the pairs;
 * two columns where there is one decision. */
static int64_t columns(const struct svm *svm) {
    if (svm->vectors == 0 || svm->prob_count > 0 || svm->labels.count == 2) {
        return (int64_t)svm->labels.count;
    }
    return (int64_t)pairs(svm);
}

static enum status classifier_shape(struct exec *exec, struct error *err) {
    const struct svm *svm = exec->node->state;
    struct desk unused;
    int64_t rows = 0;
    enum status status = check_cols(exec, &rows, err);
    if (exec_wants(exec, 0)) {
        exec->y[0]->rank = 1;
        exec->y[0]->dims[0] = rows;
    }
    if (exec_wants(exec, 1)) {
        exec->y[1]->rank = 2;
        exec->y[1]->dims[0] = rows;
        exec->y[1]->dims[1] = columns(svm);
    }
    exec->scratch_size = desk_make(svm, NULL, &unused);
    return status;
}

/* The decision of each pair, and the vote it gives. */
static void decide_pairs(const struct svm *svm, struct desk *desk) {
    size_t classes = svm->labels.count, at = 0, start_i = 0;
    memset(desk->votes, 0, classes * sizeof(*desk->votes));
    for (size_t i = 0; i < classes; i++) {
        size_t count_i = (size_t)svm->per_class[i], start_j = start_i + count_i;
        for (size_t j = i + 1; j < classes; j++) {
            size_t count_j = (size_t)svm->per_class[j];
            double sum = (double)svm->rho[at];
            sum += dot(svm->factors + svm->vectors * (j - 1) + start_i,
                       desk->kernels + start_i, count_i);
            sum += dot(svm->factors + svm->vectors * i + start_j, desk->kernels + start_j,
                       count_j);
            desk->scores[at++] = (float)sum;
            desk->votes[sum > 0 ? i : j]++;
            start_j += count_j;
        }
        start_i += count_i;
    }
}

static double coupled(const double *p, const double *q, size_t classes, size_t t) {
    double sum = 0;
    for (size_t j = 0; j < classes; j++) {
        sum += q[t * classes + j] * p[j];
    }
    return sum;
}

/* Probabilities of classes from those of pairs: libsvm's multiclass_probability. */
static void couple(struct desk *desk, size_t classes) {
    double *r = desk->pair, *q = desk->q, *qp = desk->qp, *p = desk->p;
    size_t rounds = classes > 100 ? classes : 100;
    for (size_t t = 0; t < classes; t++) {
        p[t] = 1 / (double)classes;
        q[t * classes + t] = 0;
        for (size_t j = 0; j < classes; j++) {
            if (j != t) {
                q[t * classes + t] += r[j * classes + t] * r[j * classes + t];
                q[t * classes + j] = -r[j * classes + t] * r[t * classes + j];
            }
        }
    }
    for (size_t round = 0; round < rounds; round++) {
        double whole = 0, error = 0;
        for (size_t t = 0; t < classes; t++) {
            qp[t] = coupled(p, q, classes, t);
            whole += p[t] * qp[t];
        }
        for (size_t t = 0; t < classes; t++) {
            error = fmax(error, fabs(qp[t] - whole));
        }
        if (error < 0.005 / (double)classes) {
            return;
        }
        for (size_t t = 0; t < classes; t++) {
            double own = q[t * classes + t], step = (whole - qp[t]) / own;
            p[t] += step;
            whole = (whole + step * (step * own + 2 * qp[t])) / (1 + step) / (1 + step);
            for (size_t j = 0; j < classes; j++) {
                qp[j] = (qp[j] + step * q[t * classes + j]) / (1 + step);
                p[j] /= 1 + step;
            }
        }
    }
}

static void probabilities(const struct svm *svm, struct desk *desk) {
    size_t classes = svm->labels.count, at = 0;
    for (size_t i = 0; i < classes; i++) {
        for (size_t j = i + 1; j < classes; j++, at++) {
            float z = desk->scores[at] * svm->prob_a[at] + svm->prob_b[at];
            double p = 1 - (double)ml_logistic(z);
            p = fmin(fmax(p, 1e-7), 1 - 1e-7);
            desk->pair[i * classes + j] = p;
            desk->pair[j * classes + i] = 1 - p;
        }
    }
    couple(desk, classes);
    for (size_t i = 0; i < classes; i++) {
        desk->scores[i] = (float)desk->p[i];
    }
}

static size_t best_score(const float *scores, size_t count) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++) {
        best = scores[i] > scores[best] ? i : best;
    }
    return best;
}

/* Fills desk->scores; returns the class. */
static size_t classify(const struct svm *svm, const float *x, struct desk *desk) {
    size_t classes = svm->labels.count, best = 0;
    if (svm->vectors == 0) {
        for (size_t i = 0; i < classes; i++) {
            desk->scores[i] =
                svm->rho[0] + (float)dot(svm->factors + i * svm->cols, x, svm->cols);
        }
        return best_score(desk->scores, classes);
    }
    kernels_of(svm, x, desk->kernels);
    decide_pairs(svm, desk);
    /* The votes decide even where there are probabilities, which may lean the other way:
     * so it is in scikit-learn. */
    for (size_t i = 1; i < classes; i++) {
        best = desk->votes[i] > desk->votes[best] ? i : best;
    }
    if (svm->prob_count > 0) {
        probabilities(svm, desk);
    } else if (classes == 2) { /* one decision, for the second class as ONNX has it */
        desk->scores[1] = desk->scores[0];
        desk->scores[0] = -desk->scores[0];
    }
    return best;
}

static enum status classifier_run(struct exec *exec, struct error *err) {
    const struct svm *svm = exec->node->state;
    int64_t rows = exec->x[0]->rank == 1 ? 1 : exec->x[0]->dims[0];
    int64_t width = columns(svm);
    struct desk desk;
    (void)err, (void)desk_make(svm, exec->scratch, &desk); /* its size is known */
    for (int64_t row = 0; row < rows; row++) {
        const float *x = ml_row(exec->x[0], row, (int64_t)svm->cols, desk.row);
        size_t best = classify(svm, x, &desk);
        if (exec_wants(exec, 0)) {
            ml_write_label(&svm->labels, best, exec->y[0], row);
        }
        if (exec_wants(exec, 1)) {
            ml_apply(svm->transform, 1, width, desk.scores);
            memcpy((float *)exec->y[1]->data + row * width, desk.scores,
                   (size_t)width * sizeof(float));
        }
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .domain = ML_DOMAIN,
        .name = "SVMRegressor",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_FEATURES},
        .prepare = regressor_prepare,
        .shape = regressor_shape,
        .run = regressor_run,
    },
    {
        .domain = ML_DOMAIN,
        .name = "SVMClassifier",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 1,
        .outputs_max = 2,
        .types = {TYPES_FEATURES},
        .prepare = classifier_prepare,
        .shape = classifier_shape,
        .run = classifier_run,
    },
};

const struct op_list ops_ml_svm = OP_LIST(ops);
