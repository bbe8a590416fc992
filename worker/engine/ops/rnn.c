/* rnn.c - RNN, GRU and LSTM, one or two directions, float32. */
#include "engine/kernels/rnn.h"

#include "base/size.h"
#include "engine/ops/ops.h"

/* Inputs, in the order of all three; the last two are LSTM's. */
enum { IN_X, IN_W, IN_R, IN_B, IN_LENGTHS, IN_H0, IN_C0, IN_P };
enum { OUT_Y, OUT_H, OUT_C };
enum { DIRECTIONS_MAX = 2 };
enum { FORWARD, REVERSE, BIDIRECTIONAL };

struct rnn_state {
    struct rnn rnn[DIRECTIONS_MAX]; /* .input is set once W is known */
    int directions;
    bool reverse[DIRECTIONS_MAX];
    bool batch_first;                    /* layout 1 */
    int64_t hidden;                      /* 0 where the attribute is absent */
    const float *packed[DIRECTIONS_MAX]; /* NULL where weights are not constant */
};

struct rnn_memo {
    struct rnn rnn[DIRECTIONS_MAX];
    int64_t steps, batch;
    size_t pack_size; /* bytes at the front of scratch for weights packed by run */
};

/* ---- prepare ------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum act_kind kind;
    bool takes_alpha, takes_beta;
    float alpha, beta; /* defaults */
} activations[] = {
    {"Relu", ACT_RELU, false, false, 0, 0},
    {"Tanh", ACT_TANH, false, false, 0, 0},
    {"Sigmoid", ACT_SIGMOID, false, false, 0, 0},
    {"Affine", ACT_AFFINE, true, true, 1, 0},
    {"LeakyRelu", ACT_LEAKY_RELU, true, false, 0.01F, 0},
    {"ThresholdedRelu", ACT_THRESHOLD, true, false, 1, 0},
    {"ScaledTanh", ACT_SCALED_TANH, true, true, 1, 1},
    {"HardSigmoid", ACT_HARD_SIGMOID, true, true, 0.2F, 0.5F},
    {"Elu", ACT_ELU, true, false, 1, 0},
    {"Softsign", ACT_SOFTSIGN, false, false, 0, 0},
    {"Softplus", ACT_SOFTPLUS, false, false, 0, 0},
};

/* The next of the floats in an attribute, or `fallback` behind the last. */
static float next_float(const struct attr *attr, size_t *used, float fallback) {
    if (attr == NULL || attr->kind != ATTR_FLOATS || *used >= attr->count) {
        return fallback;
    }
    return attr->as.floats[(*used)++];
}

static bool find_activation(struct span name, const struct attr *alphas, size_t *alpha,
                            const struct attr *betas, size_t *beta, struct act *act) {
    for (size_t i = 0; i < ARRAY_COUNT(activations); i++) {
        if (!span_is(name, activations[i].name)) {
            continue;
        }
        *act = (struct act){.kind = activations[i].kind,
                            .alpha = activations[i].alpha,
                            .beta = activations[i].beta};
        if (activations[i].takes_alpha) {
            act->alpha = next_float(alphas, alpha, act->alpha);
        }
        if (activations[i].takes_beta) {
            act->beta = next_float(betas, beta, act->beta);
        }
        return true;
    }
    return false;
}

static enum status read_activations(struct load *load, struct rnn_state *state,
                                    struct error *err) {
    static const enum act_kind defaults[RNN_KIND_COUNT][3] = {
        [RNN_PLAIN] = {ACT_TANH},
        [RNN_GRU] = {ACT_SIGMOID, ACT_TANH},
        [RNN_LSTM] = {ACT_SIGMOID, ACT_TANH, ACT_TANH},
    };
    const enum rnn_kind kind = state->rnn[0].kind;
    const struct attr *names = attr_find(load->node, "activations");
    const struct attr *alphas = attr_find(load->node, "activation_alpha");
    const struct attr *betas = attr_find(load->node, "activation_beta");
    size_t each = (size_t)kind + 1, alpha = 0, beta = 0;
    if (names != NULL &&
        (names->kind != ATTR_TEXTS || names->count != each * (size_t)state->directions)) {
        return node_error(load->node, err, STATUS_INVALID,
                          "activations must name %zu functions for each direction", each);
    }
    for (size_t i = 0; i < each * (size_t)state->directions; i++) {
        struct act *act = &state->rnn[i / each].act[i % each];
        act->kind = defaults[kind][i % each];
        if (names != NULL &&
            !find_activation(names->as.texts[i], alphas, &alpha, betas, &beta, act)) {
            return node_error(load->node, err, STATUS_UNSUPPORTED,
                              "activation '%.*s' is not handled",
                              (int)size_min(names->as.texts[i].size, 40),
                              (const char *)names->as.texts[i].data);
        }
    }
    return STATUS_OK;
}

static enum status read_numbers(struct load *load, struct rnn_state *state,
                                struct error *err) {
    struct rnn *rnn = &state->rnn[0];
    enum status status = attr_float(load->node, "clip", 0, &rnn->clip, err);
    if (status == STATUS_OK) {
        status =
            attr_int_in(load->node, "hidden_size", 0, 0, INT32_MAX, &state->hidden, err);
    }
    if (status == STATUS_OK) {
        status = attr_bool(load->node, "layout", false, &state->batch_first, err);
    }
    if (status == STATUS_OK && rnn->kind == RNN_GRU) {
        status = attr_bool(load->node, "linear_before_reset", false,
                           &rnn->linear_before_reset, err);
    }
    if (status == STATUS_OK && rnn->kind == RNN_LSTM) {
        status = attr_bool(load->node, "input_forget", false, &rnn->input_forget, err);
    }
    attr_ignore(load->node, "output_sequence"); /* opset 1 to 6: outputs tell */
    return status;
}

static enum status prepare(struct load *load, struct error *err) {
    static const char *const words[] = {"forward", "reverse", "bidirectional", NULL};
    const enum rnn_kind *kind = load->node->op->param;
    struct rnn_state *state = load_state(load, struct rnn_state);
    int direction;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    state->rnn[0].kind = state->rnn[1].kind = *kind;
    status = attr_word(load->node, "direction", FORWARD, words, &direction, err);
    if (status == STATUS_OK) {
        status = read_numbers(load, state, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    state->directions = direction == BIDIRECTIONAL ? 2 : 1;
    state->reverse[0] = direction == REVERSE;
    state->reverse[1] = true;
    state->rnn[1] = state->rnn[0];
    if (state->batch_first && state->directions == 2) {
        return node_error(load->node, err, STATUS_UNSUPPORTED,
                          "layout 1 is not handled for two directions");
    }
    return read_activations(load, state, err);
}

/* ---- weights ------------------------------------------------------------------- */

static bool has_dims(const struct tensor *x, int rank, int64_t a, int64_t b, int64_t c) {
    const int64_t want[] = {a, b, c};
    return x == NULL ||
           (x->rank == rank && memcmp(x->dims, want, (size_t)rank * sizeof(*want)) == 0);
}

/* Takes sizes from W [directions, gates*hidden, input] and R [.., gates*hidden, hidden]
 * and checks the others against them. */
static enum status take_sizes(const struct node *node, const struct tensor *const *x,
                              struct rnn *rnn, struct error *err) {
    const struct rnn_state *state = node->state;
    const struct tensor *w = x[IN_W], *r = x[IN_R];
    const int64_t gates = rnn_gates(state->rnn[0].kind);
    const int64_t hidden = r->rank == 3 ? r->dims[2] : 0;
    const int64_t input = w->rank == 3 ? w->dims[2] : 0;
    if (hidden < 1 || hidden > INT32_MAX || input < 0 || input > INT32_MAX ||
        (state->hidden != 0 && state->hidden != hidden) ||
        !has_dims(w, 3, state->directions, gates * hidden, input) ||
        !has_dims(r, 3, state->directions, gates * hidden, hidden) ||
        !has_dims(x[IN_B], 2, state->directions, 2 * gates * hidden, 0) ||
        !has_dims(x[IN_P], 2, state->directions, 3 * hidden, 0)) {
        return node_error(
            node, err, STATUS_INVALID,
            "W, R, B and P do not agree on directions, input and hidden size");
    }
    for (int d = 0; d < state->directions; d++) {
        rnn[d] = state->rnn[d];
        rnn[d].input = input;
        rnn[d].hidden = hidden;
    }
    return STATUS_OK;
}

static const float *direction_of(const struct tensor *x, int direction) {
    const float *data = x == NULL ? NULL : x->data;
    size_t each = x == NULL ? 0 : tensor_count(x) / (size_t)x->dims[0];
    return data == NULL ? NULL : data + each * (size_t)direction;
}

static void pack_direction(const struct rnn *rnn, const struct tensor *const *x,
                           int direction, float *packed) {
    rnn_pack(rnn, direction_of(x[IN_W], direction), direction_of(x[IN_R], direction),
             direction_of(x[IN_B], direction), direction_of(x[IN_P], direction), packed);
}

/* The inputs, NULL where absent, also past the node's last. */
static void all_inputs(const struct exec *exec, const struct tensor **x) {
    for (int i = 0; i <= IN_P; i++) {
        x[i] = exec_has(exec, i) ? exec->x[i] : NULL;
    }
}

static enum status pack(struct load *load, struct error *err) {
    static const int weights[] = {IN_W, IN_R, IN_B, IN_P};
    struct rnn_state *state = load->node->state;
    const struct tensor *x[IN_P + 1] = {0};
    struct rnn rnn[DIRECTIONS_MAX];
    enum status status;
    for (size_t i = 0; i < ARRAY_COUNT(weights); i++) {
        x[weights[i]] = graph_constant(load->graph, load->node, weights[i]);
        if (x[weights[i]] == NULL &&
            graph_input_dtype(load->graph, load->node, weights[i]) != DTYPE_NONE) {
            return STATUS_OK;
        }
    }
    status = take_sizes(load->node, x, rnn, err);
    for (int d = 0; status == STATUS_OK && d < state->directions; d++) {
        size_t size = rnn_pack_size(&rnn[d]);
        float *packed = size == SIZE_MAX ? NULL : graph_memory(load->graph, size);
        if (packed == NULL) {
            return load_no_memory(load, err);
        }
        pack_direction(&rnn[d], x, d, packed);
        state->packed[d] = packed;
    }
    for (size_t i = 0; status == STATUS_OK && i < ARRAY_COUNT(weights); i++) {
        load->consumed |= 1U << weights[i];
    }
    return status;
}

/* ---- shape --------------------------------------------------------------------- */

static enum status check_states(const struct exec *exec, const struct tensor *const *x,
                                const struct rnn_memo *memo, struct error *err) {
    const struct rnn_state *state = exec->node->state;
    const int64_t hidden = memo->rnn[0].hidden;
    const int64_t first = state->batch_first ? memo->batch : state->directions;
    const int64_t second = state->batch_first ? state->directions : memo->batch;
    if (!has_dims(x[IN_H0], 3, first, second, hidden) ||
        !has_dims(x[IN_C0], 3, first, second, hidden)) {
        return node_error(exec->node, err, STATUS_POISON,
                          "an initial state must have shape [%lld,%lld,%lld]",
                          (long long)first, (long long)second, (long long)hidden);
    }
    if (!has_dims(x[IN_LENGTHS], 1, memo->batch, 0, 0)) {
        return node_error(exec->node, err, STATUS_POISON,
                          "sequence_lens must hold %lld numbers", (long long)memo->batch);
    }
    return STATUS_OK;
}

static void set_dims(struct tensor *y, int rank, const int64_t *dims) {
    if (y != NULL) {
        y->rank = rank;
        memcpy(y->dims, dims, (size_t)rank * sizeof(*dims));
    }
}

static void set_outputs(const struct exec *exec, const struct rnn_memo *memo) {
    const struct rnn_state *state = exec->node->state;
    const int64_t hidden = memo->rnn[0].hidden;
    const int64_t y_time_first[] = {memo->steps, state->directions, memo->batch, hidden};
    const int64_t y_batch_first[] = {memo->batch, memo->steps, state->directions, hidden};
    const int64_t h_time_first[] = {state->directions, memo->batch, hidden};
    const int64_t h_batch_first[] = {memo->batch, state->directions, hidden};
    for (int i = 0; i < exec->node->output_count; i++) {
        if (i == OUT_Y) {
            set_dims(exec->y[i], 4, state->batch_first ? y_batch_first : y_time_first);
        } else {
            set_dims(exec->y[i], 3, state->batch_first ? h_batch_first : h_time_first);
        }
    }
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct rnn_state *state = exec->node->state;
    const struct tensor *x[IN_P + 1];
    struct rnn_memo *memo = exec->memo;
    size_t scratch = 0;
    enum status status;
    all_inputs(exec, x);
    status = take_sizes(exec->node, x, memo->rnn, err);
    if (status != STATUS_OK) {
        return status;
    }
    if (x[IN_X]->rank != 3 || x[IN_X]->dims[2] != memo->rnn[0].input) {
        return node_error(exec->node, err, STATUS_POISON,
                          "the input must have rank 3 and %lld features",
                          (long long)memo->rnn[0].input);
    }
    memo->steps = x[IN_X]->dims[state->batch_first ? 1 : 0];
    memo->batch = x[IN_X]->dims[state->batch_first ? 0 : 1];
    memo->pack_size = 0;
    for (int d = 0; d < state->directions; d++) {
        scratch = size_max(scratch, rnn_scratch_size(&memo->rnn[d], memo->batch));
        if (state->packed[d] == NULL) {
            memo->pack_size = size_max(memo->pack_size, rnn_pack_size(&memo->rnn[d]));
        }
    }
    memo->pack_size = size_align(memo->pack_size, 64);
    exec->scratch_size = memo->pack_size + scratch;
    set_outputs(exec, memo);
    return check_states(exec, x, memo, err);
}

/* ---- run ----------------------------------------------------------------------- */

/* Memory of direction `d` in a state [directions, batch, hidden]; NULL where absent. */
static float *state_of(const struct tensor *x, const struct rnn_memo *memo, int d) {
    float *data = x == NULL ? NULL : x->data;
    return data == NULL ? NULL : data + (int64_t)d * memo->batch * memo->rnn[d].hidden;
}

static struct tensor *output(const struct exec *exec, int index) {
    return exec_wants(exec, index) ? exec->y[index] : NULL;
}

static void run_direction(const struct exec *exec, const struct tensor *const *x, int d) {
    const struct rnn_state *state = exec->node->state;
    const struct rnn_memo *memo = exec->memo;
    const int64_t input = memo->rnn[d].input, hidden = memo->rnn[d].hidden;
    const int64_t wide = hidden * state->directions;
    uint8_t *scratch = exec->scratch;
    const float *packed = state->packed[d];
    struct tensor *y = output(exec, OUT_Y);
    struct rnn_call call = {
        .steps = memo->steps,
        .batch = memo->batch,
        .x = x[IN_X]->data,
        .x_step = state->batch_first ? input : memo->batch * input,
        .x_row = state->batch_first ? memo->steps * input : input,
        .y = y == NULL ? NULL : (float *)y->data + d * memo->batch * hidden,
        .y_step = state->batch_first ? hidden : memo->batch * wide,
        .y_row = state->batch_first ? memo->steps * hidden : hidden,
        .h0 = state_of(x[IN_H0], memo, d),
        .c0 = state_of(x[IN_C0], memo, d),
        .h = state_of(output(exec, OUT_H), memo, d),
        .c = state_of(output(exec, OUT_C), memo, d),
        .lengths = x[IN_LENGTHS] == NULL ? NULL : x[IN_LENGTHS]->data,
        .reverse = state->reverse[d],
    };
    if (packed == NULL) {
        pack_direction(&memo->rnn[d], x, d, exec->scratch);
        packed = exec->scratch;
    }
    rnn_run(&memo->rnn[d], packed, &call,
            scratch == NULL ? NULL : scratch + memo->pack_size);
}

static enum status run(struct exec *exec, struct error *err) {
    const struct rnn_state *state = exec->node->state;
    const struct rnn_memo *memo = exec->memo;
    const struct tensor *x[IN_P + 1];
    all_inputs(exec, x);
    for (int64_t i = 0; x[IN_LENGTHS] != NULL && i < memo->batch; i++) {
        int32_t length = ((const int32_t *)x[IN_LENGTHS]->data)[i];
        if (length < 0 || length > memo->steps) {
            return node_error(exec->node, err, STATUS_POISON,
                              "a sequence length is outside 0..%lld",
                              (long long)memo->steps);
        }
    }
    for (int d = 0; d < state->directions; d++) {
        run_direction(exec, x, d);
    }
    return STATUS_OK;
}

static const enum rnn_kind plain = RNN_PLAIN, gru = RNN_GRU, lstm = RNN_LSTM;

#define RECURRENT(text, opset, most_inputs, most_outputs, which)                     \
    {                                                                                \
        .name = text, .flags = OP_NO_FIRST, .since = opset, .inputs_min = 3,         \
        .inputs_max = most_inputs, .outputs_max = most_outputs,                      \
        .types = {TYPES_F32, 0, 0, 0, TYPE_BIT(DTYPE_I32), 0},                       \
        .memo_size = sizeof(struct rnn_memo), .param = &(which), .prepare = prepare, \
        .pack = pack, .shape = shape, .run = run,                                    \
    }

static const struct op ops[] = {
    RECURRENT("RNN", 1, 6, 2, plain),
    RECURRENT("GRU", 1, 6, 2, gru),
    RECURRENT("LSTM", 1, 8, 3, lstm),
};

const struct op_list ops_rnn = OP_LIST(ops);
