/* dropout.c - Dropout, which drops nothing but where a model is in training mode. */
#include "engine/ops/number.h"
#include "engine/ops/ops.h"
#include "engine/ops/random.h"

enum { IN_X, IN_RATIO, IN_TRAINING };

struct dropout_state {
    uint64_t seed;
    bool never; /* in training mode */
};

static enum status prepare(struct load *load, struct error *err) {
    static const char *const hints[] = {"ratio", "is_test", "consumed_inputs"};
    struct dropout_state *state = load_state(load, struct dropout_state);
    const struct tensor *training = graph_constant(load->graph, load->node, IN_TRAINING);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    for (size_t i = 0; i < ARRAY_COUNT(hints); i++) {
        attr_ignore(load->node, hints[i]);
    }
    state->never =
        graph_input_dtype(load->graph, load->node, IN_TRAINING) == DTYPE_NONE ||
        (training != NULL && training->dtype == DTYPE_BOOL &&
         tensor_count(training) == 1 && !*(const bool *)training->data);
    if (load->node->opset >= 10) { /* before it was of the input's type */
        graph_set_output(load->graph, load->node, 1, DTYPE_BOOL);
    }
    return random_seed(load, &state->seed, err);
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct dropout_state *state = exec->node->state;
    if (!state->never &&
        ((exec_has(exec, IN_RATIO) && tensor_count(exec->x[IN_RATIO]) != 1) ||
         tensor_count(exec->x[IN_TRAINING]) != 1)) {
        return node_error(exec->node, err, STATUS_POISON,
                          "ratio and training_mode must be single values");
    }
    exec_same_shape(exec, 0, IN_X);
    if (exec_wants(exec, 1)) {
        exec_same_shape(exec, 1, IN_X);
    } else if (state->never) {
        exec_alias(exec, IN_X, 0);
    }
    return STATUS_OK;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct dropout_state *state = exec->node->state;
    const struct tensor *x = exec->x[IN_X];
    int64_t count = (int64_t)tensor_count(x);
    bool training = !state->never && *(const bool *)exec->x[IN_TRAINING]->data;
    double ratio =
        exec_has(exec, IN_RATIO) && training ? number_real(exec->x[IN_RATIO], 0) : 0.5;
    ratio = training ? ratio : 0;
    if (!(ratio >= 0 && ratio < 1)) {
        return node_error(exec->node, err, STATUS_POISON, "the ratio is not in [0, 1)");
    }
    if (exec_wants(exec, 0) && tensor_size(x) > 0) {
        memcpy(exec->y[0]->data, x->data, tensor_size(x));
    }
    for (int64_t i = 0; i < count; i++) {
        bool kept = ratio == 0 || random_uniform(state->seed, (uint64_t)i) >= ratio;
        if (exec_wants(exec, 0) && ratio > 0) {
            number_set_real(exec->y[0], i, kept ? number_real(x, i) / (1 - ratio) : 0);
        }
        if (exec_wants(exec, 1)) {
            number_set_integer(exec->y[1], i, kept ? 1 : 0);
        }
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Dropout",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = 3,
        .outputs_max = 2,
        .types = {TYPES_FLOAT, TYPES_FLOAT, TYPES_BOOL},
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_dropout = OP_LIST(ops);
