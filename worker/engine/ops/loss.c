/* loss.c - NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss.
 *
 * Scores are [batch, classes, d1, ...], labels [batch, d1, ...]: a position's loss is its
 * weight times minus the score (or log-softmax) of its label. */
#include <math.h>

#include "engine/ops/ops.h"

enum reduction { REDUCTION_MEAN, REDUCTION_NONE, REDUCTION_SUM };

struct loss_state {
    int reduction;
    bool ignores;
    int64_t ignored; /* a label, not necessarily a class */
};

static enum status prepare(struct load *load, struct error *err) {
    static const char *const words[] = {"mean", "none", "sum", NULL};
    struct loss_state *state = load_state(load, struct loss_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    state->ignores = attr_find(load->node, "ignore_index") != NULL;
    status = attr_int(load->node, "ignore_index", 0, &state->ignored, err);
    return status != STATUS_OK ? status
                               : attr_word(load->node, "reduction", REDUCTION_MEAN, words,
                                           &state->reduction, err);
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct loss_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *labels = exec->x[1];
    bool fits = x->rank >= 2 && labels->rank == x->rank - 1;
    for (int axis = 0; fits && axis < labels->rank; axis++) {
        fits = labels->dims[axis] == x->dims[axis == 0 ? 0 : axis + 1];
    }
    if (!fits) {
        char first[TENSOR_SHAPE_TEXT_MAX], second[TENSOR_SHAPE_TEXT_MAX];
        return node_error(
            exec->node, err, STATUS_POISON, "scores %s do not fit labels %s",
            tensor_shape_text(x->dims, x->rank, first, sizeof(first)),
            tensor_shape_text(labels->dims, labels->rank, second, sizeof(second)));
    }
    if (exec_has(exec, 2) &&
        (exec->x[2]->rank != 1 || exec->x[2]->dims[0] != x->dims[1])) {
        return node_error(exec->node, err, STATUS_POISON,
                          "weights must be one for each of %lld classes",
                          (long long)x->dims[1]);
    }
    if (exec_wants(exec, 0)) {
        exec->y[0]->rank = 0;
        if (state->reduction == REDUCTION_NONE) {
            exec_same_shape(exec, 0, 1);
        }
    }
    if (exec_wants(exec, 1)) {
        exec_same_shape(exec, 1, 0);
    }
    return STATUS_OK;
}

static double get(const struct tensor *x, int64_t i) {
    return x->dtype == DTYPE_F32 ? (double)((const float *)x->data)[i]
                                 : ((const double *)x->data)[i];
}

static void set(struct tensor *y, int64_t i, double value) {
    if (y->dtype == DTYPE_F32) {
        ((float *)y->data)[i] = (float)value;
    } else {
        ((double *)y->data)[i] = value;
    }
}

static int64_t label_at(const struct tensor *labels, int64_t i) {
    return labels->dtype == DTYPE_I32 ? ((const int32_t *)labels->data)[i]
                                      : ((const int64_t *)labels->data)[i];
}

/* The logarithm of the sum of exponentials of `classes` scores from `at`. */
static double log_sum(const struct tensor *x, int64_t at, int64_t classes, int64_t step) {
    double top = -INFINITY, sum = 0;
    for (int64_t i = 0; i < classes; i++) {
        double value = get(x, at + i * step);
        top = value > top ? value : top;
    }
    for (int64_t i = 0; i < classes; i++) {
        sum += exp(get(x, at + i * step) - top);
    }
    return classes > 0 ? top + log(sum) : top;
}

struct total {
    double loss, weight;
};

/* One position: its first score lies at `at`, its label at `i`. */
static enum status position(struct exec *exec, int64_t at, int64_t step, int64_t i,
                            double shift, struct total *total, struct error *err) {
    const struct loss_state *state = exec->node->state;
    int64_t classes = exec->x[0]->dims[1];
    int64_t label = label_at(exec->x[1], i);
    double weight = 0, loss = 0;
    if (!state->ignores || label != state->ignored) {
        if (label < 0 || label >= classes) {
            return node_error(exec->node, err, STATUS_POISON,
                              "a label is not one of %lld classes", (long long)classes);
        }
        weight = exec_has(exec, 2) ? get(exec->x[2], label) : 1;
        loss = weight * (shift - get(exec->x[0], at + label * step));
    }
    total->loss += loss;
    total->weight += weight;
    if (exec_wants(exec, 0) && state->reduction == REDUCTION_NONE) {
        set(exec->y[0], i, loss);
    }
    return STATUS_OK;
}

static enum status loss_run(struct exec *exec, bool softmax, struct error *err) {
    const struct loss_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    int64_t batch = x->dims[0], classes = x->dims[1], step = 1;
    struct total total = {0, 0};
    for (int axis = 2; axis < x->rank; axis++) {
        step *= x->dims[axis];
    }
    for (int64_t i = 0; i < batch * step; i++) {
        int64_t at = i / step * classes * step + i % step;
        double shift = softmax ? log_sum(x, at, classes, step) : 0;
        enum status status = position(exec, at, step, i, shift, &total, err);
        if (status != STATUS_OK) {
            return status;
        }
        for (int64_t c = 0; exec_wants(exec, 1) && c < classes; c++) {
            set(exec->y[1], at + c * step, get(x, at + c * step) - shift);
        }
    }
    if (exec_wants(exec, 0) && state->reduction != REDUCTION_NONE) {
        set(exec->y[0], 0,
            state->reduction == REDUCTION_SUM ? total.loss : total.loss / total.weight);
    }
    return STATUS_OK;
}

static enum status likelihood_run(struct exec *exec, struct error *err) {
    return loss_run(exec, false, err);
}

static enum status softmax_run(struct exec *exec, struct error *err) {
    return loss_run(exec, true, err);
}

#define LOSS(text, outputs, run_fn)                                     \
    {                                                                   \
        .name = text, .since = 12, .inputs_min = 2, .inputs_max = 3,    \
        .outputs_max = outputs, .types = {TYPES_FLOAT, TYPES_INDEX, 0}, \
        .prepare = prepare, .shape = shape, .run = run_fn,              \
    }

static const struct op ops[] = {
    LOSS("NegativeLogLikelihoodLoss", 1, likelihood_run),
    LOSS("SoftmaxCrossEntropyLoss", 2, softmax_run),
};

const struct op_list ops_loss = OP_LIST(ops);
