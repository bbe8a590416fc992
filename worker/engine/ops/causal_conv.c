/* causal_conv.c - CausalConvWithState: a depthwise convolution over time that sees the
 * past only, and hands on the end of what it saw.
 *
 *     seen = past_state [batch, channels, k - 1] ++ input [batch, channels, length]
 *     output[t] = act(bias + sum over j of weight[j] seen[t + j])
 *     present_state = the last k - 1 of seen
 */
#include "base/size.h"
#include "engine/kernels/act.h"
#include "engine/kernels/vmath.h"
#include "engine/ops/ops.h"

enum { IN_X, IN_WEIGHT, IN_BIAS, IN_PAST };

struct causal_state {
    int activation; /* 0: none */
};

static enum status prepare(struct load *load, struct error *err) {
    static const char *const words[] = {"none", "silu", "swish", NULL};
    struct causal_state *state = load_state(load, struct causal_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    return attr_word(load->node, "activation", 0, words, &state->activation, err);
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct tensor *x = exec->x[IN_X], *w = exec->x[IN_WEIGHT];
    const struct tensor *past = exec_has(exec, IN_PAST) ? exec->x[IN_PAST] : NULL;
    bool fits = x->rank == 3 && w->rank == 3 && w->dims[0] == x->dims[1] &&
                w->dims[1] == 1 && w->dims[2] >= 1;
    fits = fits && (!exec_has(exec, IN_BIAS) ||
                    (int64_t)tensor_count(exec->x[IN_BIAS]) == x->dims[1]);
    fits = fits && (past == NULL ||
                    (past->rank == 3 && past->dims[0] == x->dims[0] &&
                     past->dims[1] == x->dims[1] && past->dims[2] == w->dims[2] - 1));
    if (!fits) {
        char a[TENSOR_SHAPE_TEXT_MAX], b[TENSOR_SHAPE_TEXT_MAX];
        return node_error(exec->node, err, STATUS_POISON,
                          "input %s, weights %s, bias and past do not fit together",
                          tensor_shape_text(x->dims, x->rank, a, sizeof(a)),
                          tensor_shape_text(w->dims, w->rank, b, sizeof(b)));
    }
    if (exec_wants(exec, 0)) {
        exec_same_shape(exec, 0, IN_X);
    }
    if (exec_wants(exec, 1)) {
        exec_same_shape(exec, 1, IN_X);
        exec->y[1]->dims[2] = w->dims[2] - 1;
    }
    exec->scratch_size = ((size_t)x->dims[2] * 2 + (size_t)w->dims[2]) * sizeof(float);
    return STATUS_OK;
}

/* One channel: `seen` has the past in front of the input. */
static void convolve(const float *seen, const float *weights, int64_t k, float bias,
                     int64_t length, float *y) {
    for (int64_t t = 0; t < length; t++) {
        y[t] = bias;
    }
    for (int64_t j = 0; j < k; j++) {
        for (int64_t t = 0; t < length; t++) {
            y[t] += weights[j] * seen[t + j];
        }
    }
}

static void silu(int64_t length, float *gates, float *y) {
    vmath_sigmoid(length, y, gates);
    for (int64_t t = 0; t < length; t++) {
        y[t] *= gates[t];
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct causal_state *state = exec->node->state;
    const struct tensor *x = exec->x[IN_X];
    const float *w = exec->x[IN_WEIGHT]->data;
    const float *bias = exec_has(exec, IN_BIAS) ? exec->x[IN_BIAS]->data : NULL;
    const float *past = exec_has(exec, IN_PAST) ? exec->x[IN_PAST]->data : NULL;
    int64_t k = exec->x[IN_WEIGHT]->dims[2], length = x->dims[2], kept = k - 1;
    float *seen = exec->scratch, *gates = seen + kept + length;
    (void)err; /* cannot fail */
    for (int64_t i = 0; i < x->dims[0] * x->dims[1]; i++) {
        int64_t c = i % x->dims[1];
        for (int64_t t = 0; t < kept; t++) {
            seen[t] = past == NULL ? 0 : past[i * kept + t];
        }
        if (length > 0) {
            memcpy(seen + kept, (const float *)x->data + i * length,
                   (size_t)length * sizeof(float));
        }
        if (exec_wants(exec, 0)) {
            float *y = (float *)exec->y[0]->data + i * length;
            convolve(seen, w + c * k, k, bias == NULL ? 0 : bias[c], length, y);
            if (state->activation != 0) {
                silu(length, gates, y);
            }
        }
        if (exec_wants(exec, 1) && kept > 0) {
            memcpy((float *)exec->y[1]->data + i * kept, seen + length,
                   (size_t)kept * sizeof(float));
        }
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "CausalConvWithState",
        .since = 27,
        .inputs_min = 2,
        .inputs_max = 4,
        .outputs_max = 2,
        .types = {TYPES_F32},
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_causal_conv = OP_LIST(ops);
