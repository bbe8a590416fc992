/* loss.c - NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss.
 *
 * Scores are [N, C, d1, ..], labels [N, d1, ..].  The loss of a label is -w[label] times
 * the (log-)score of its class; a mean is over the weights of those that count. */
#include <math.h>

#include "engine/ops/ops.h"

enum reduction { REDUCE_MEAN, REDUCE_SUM, REDUCE_NONE };

struct loss_state {
    int reduction;
    int64_t ignored;
    bool ignores;
};

static enum status prepare(struct load *load, struct error *err) {
    static const char *const words[] = {"mean", "sum", "none", NULL};
    struct loss_state *state = load_state(load, struct loss_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_word(load->node, "reduction", 0, words, &state->reduction, err);
    state->ignores = attr_find(load->node, "ignore_index") != NULL;
    return status == STATUS_OK
               ? attr_int(load->node, "ignore_index", 0, &state->ignored, err)
               : status;
}

static bool shapes_fit(const struct tensor *x, const struct tensor *labels) {
    bool fits =
        x->rank >= 2 && labels->rank == x->rank - 1 && labels->dims[0] == x->dims[0];
    for (int i = 2; fits && i < x->rank; i++) {
        fits = labels->dims[i - 1] == x->dims[i];
    }
    return fits;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct loss_state *state = exec->node->state;
    const struct tensor *x = exec->x[0], *labels = exec->x[1];
    char have[TENSOR_SHAPE_TEXT_MAX], want[TENSOR_SHAPE_TEXT_MAX];
    if (!shapes_fit(x, labels)) {
        return node_error(
            exec->node, err, STATUS_POISON, "scores of %s do not fit labels of %s",
            tensor_shape_text(x->dims, x->rank, have, sizeof(have)),
            tensor_shape_text(labels->dims, labels->rank, want, sizeof(want)));
    }
    if (exec_has(exec, 2) && (int64_t)tensor_count(exec->x[2]) != x->dims[1]) {
        return node_error(exec->node, err, STATUS_POISON, "%zu weights for %lld classes",
                          tensor_count(exec->x[2]), (long long)x->dims[1]);
    }
    if (exec->y[0] != NULL && state->reduction == REDUCE_NONE) {
        exec_same_shape(exec, 0, 1);
    } else if (exec->y[0] != NULL) {
        exec->y[0]->rank = 0;
    }
    if (exec_wants(exec, 1)) {
        exec_same_shape(exec, 1, 0);
    }
    return STATUS_OK;
}

/* Where the classes of one label lie: `step` apart. */
struct classes {
    const float *scores;
    int64_t count, step;
};

/* log(sum e^score), without overflow. */
static double log_sum(const struct classes *classes) {
    double top = -INFINITY, sum = 0;
    for (int64_t c = 0; c < classes->count; c++) {
        double score = (double)classes->scores[c * classes->step];
        top = score > top ? score : top;
    }
    for (int64_t c = 0; c < classes->count; c++) {
        sum += exp((double)classes->scores[c * classes->step] - top);
    }
    return top + log(sum);
}

static int64_t label_at(const struct tensor *labels, size_t i) {
    return labels->dtype == DTYPE_I64 ? ((const int64_t *)labels->data)[i]
                                      : ((const int32_t *)labels->data)[i];
}

struct totals {
    double loss, weight;
};

/* The loss of label `i`, added to the totals. */
static enum status one(struct exec *exec, size_t i, const struct classes *classes,
                       double shift, struct totals *totals, struct error *err) {
    const struct loss_state *state = exec->node->state;
    int64_t label = label_at(exec->x[1], i);
    double weight = 1, loss = 0;
    if (state->ignores && label == state->ignored) {
        weight = 0;
    } else if (label < 0 || label >= classes->count) {
        return node_error(exec->node, err, STATUS_POISON, "a label is outside [0, %lld)",
                          (long long)classes->count);
    } else {
        if (exec_has(exec, 2)) {
            weight = (double)((const float *)exec->x[2]->data)[label];
        }
        loss = weight * (shift - (double)classes->scores[label * classes->step]);
    }
    totals->loss += loss;
    totals->weight += weight;
    if (exec->y[0] != NULL && state->reduction == REDUCE_NONE) {
        ((float *)exec->y[0]->data)[i] = (float)loss;
    }
    return STATUS_OK;
}

static void finish(const struct exec *exec, const struct totals *totals) {
    const struct loss_state *state = exec->node->state;
    if (exec->y[0] != NULL && state->reduction != REDUCE_NONE) {
        double mean = totals->loss / totals->weight;
        *(float *)exec->y[0]->data =
            (float)(state->reduction == REDUCE_MEAN ? mean : totals->loss);
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const bool *softmax = exec->node->op->param;
    const struct tensor *x = exec->x[0];
    struct classes classes = {.count = x->dims[1], .step = 1};
    struct totals totals = {0};
    size_t count = tensor_count(exec->x[1]);
    for (int i = 2; i < x->rank; i++) {
        classes.step *= x->dims[i];
    }
    for (size_t i = 0; i < count; i++) {
        size_t step = (size_t)classes.step, outer = i / step, inner = i % step;
        size_t at = outer * step * (size_t)classes.count + inner;
        double shift;
        enum status status;
        classes.scores = (const float *)x->data + at;
        shift = *softmax ? log_sum(&classes) : 0;
        status = one(exec, i, &classes, shift, &totals, err);
        if (status != STATUS_OK) {
            return status;
        }
        for (int64_t c = 0; exec_wants(exec, 1) && c < classes.count; c++) {
            ((float *)exec->y[1]->data)[at + (size_t)(c * classes.step)] =
                (float)((double)classes.scores[c * classes.step] - shift);
        }
    }
    finish(exec, &totals);
    return STATUS_OK;
}

static const bool plain = false, with_softmax = true;

static const struct op ops[] = {
    {
        .name = "NegativeLogLikelihoodLoss",
        .since = 12,
        .inputs_min = 2,
        .inputs_max = 3,
        .types = {TYPES_F32, TYPES_INDEX, TYPES_F32},
        .param = &plain,
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
    {
        .name = "SoftmaxCrossEntropyLoss",
        .since = 12,
        .inputs_min = 2,
        .inputs_max = 3,
        .outputs_max = 2,
        .types = {TYPES_F32, TYPES_INDEX, TYPES_F32},
        .param = &with_softmax,
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_loss = OP_LIST(ops);
