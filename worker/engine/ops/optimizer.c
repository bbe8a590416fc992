/* optimizer.c - Adagrad, Adam and Momentum of ONNX's training preview: one step of
 * weights along their gradients.
 *
 * Inputs are the rate, the number of steps so far, and then, for n tensors, lists of n:
 * weights, gradients, and what the optimizer remembers of them, which come out again:
 *
 *     Adagrad   R T X.. G.. H..        ->  X.. H..
 *     Adam      R T X.. G.. V.. H..    ->  X.. V.. H..
 *     Momentum  R T X.. G.. V..        ->  X.. V..
 */
#include <math.h>

#include "engine/ops/number.h"
#include "engine/ops/ops.h"

enum { IN_RATE, IN_STEPS, IN_LISTS, MEMORIES_MAX = 2 };

struct optimizer_state {
    float decay, epsilon, norm, norm_post, alpha, beta;
    int nesterov;
};

/* What the step needs to know beside the state. */
struct moment {
    double rate, steps;
};

struct optimizer {
    int memories; /* lists of remembered tensors */
    /* The new x; `memory` is changed in place. */
    double (*step)(const struct optimizer_state *state, const struct moment *moment,
                   double x, double gradient, double *memory);
    bool has_mode;
};

static double adagrad_step(const struct optimizer_state *state,
                           const struct moment *moment, double x, double gradient,
                           double *memory) {
    double rate = moment->rate / (1 + moment->steps * (double)state->decay);
    double g = (double)state->norm * x + gradient;
    memory[0] += g * g;
    return x - rate * g / (sqrt(memory[0]) + (double)state->epsilon);
}

static double adam_step(const struct optimizer_state *state, const struct moment *moment,
                        double x, double gradient, double *memory) {
    double alpha = (double)state->alpha, beta = (double)state->beta, rate = moment->rate;
    double g = (double)state->norm * x + gradient;
    memory[0] = alpha * memory[0] + (1 - alpha) * g;
    memory[1] = beta * memory[1] + (1 - beta) * g * g;
    if (moment->steps > 0) {
        rate *= sqrt(1 - pow(beta, moment->steps)) / (1 - pow(alpha, moment->steps));
    }
    x -= rate * memory[0] / (sqrt(memory[1]) + (double)state->epsilon);
    return (1 - (double)state->norm_post) * x;
}

static double momentum_step(const struct optimizer_state *state,
                            const struct moment *moment, double x, double gradient,
                            double *memory) {
    double alpha = (double)state->alpha,
           beta = moment->steps > 0 ? (double)state->beta : 1;
    double g = (double)state->norm * x + gradient;
    memory[0] = alpha * memory[0] + beta * g;
    return x - moment->rate * (state->nesterov != 0 ? g + alpha * memory[0] : memory[0]);
}

static enum status prepare(struct load *load, struct error *err) {
    static const char *const modes[] = {"standard", "nesterov", NULL};
    const struct optimizer *optimizer = load->node->op->param;
    struct optimizer_state *state = load_state(load, struct optimizer_state);
    struct node *node = load->node;
    int lists = optimizer->memories + 2, count = node->input_count - IN_LISTS;
    enum status status = STATUS_OK;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    struct {
        const char *name;
        float *value, fallback;
    } numbers[] = {{"decay_factor", &state->decay, 0},
                   {"epsilon", &state->epsilon, 1e-6F},
                   {"norm_coefficient", &state->norm, 0},
                   {"norm_coefficient_post", &state->norm_post, 0},
                   {"alpha", &state->alpha, 0.9F},
                   {"beta", &state->beta, 0.999F}};
    for (size_t i = 0; status == STATUS_OK && i < ARRAY_COUNT(numbers); i++) {
        status =
            attr_float(node, numbers[i].name, numbers[i].fallback, numbers[i].value, err);
    }
    if (status == STATUS_OK && optimizer->has_mode) {
        status = attr_word(node, "mode", 0, modes, &state->nesterov, err);
    }
    if (status == STATUS_OK && (count < lists || count % lists != 0 ||
                                node->output_count != count / lists * (lists - 1))) {
        status = node_error(node, err, STATUS_INVALID,
                            "%d inputs and %d outputs are not lists of one length",
                            node->input_count, node->output_count);
    }
    for (int i = 0; status == STATUS_OK && i < node->output_count; i++) {
        int each = count / lists, like = IN_LISTS + (i < each ? i : i + each);
        graph_set_output(load->graph, node, i,
                         graph_input_dtype(load->graph, node, like));
    }
    return status;
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct optimizer *optimizer = exec->node->op->param;
    int each = (exec->node->input_count - IN_LISTS) / (optimizer->memories + 2);
    if (tensor_count(exec->x[IN_RATE]) != 1 || tensor_count(exec->x[IN_STEPS]) != 1) {
        return node_error(exec->node, err, STATUS_POISON,
                          "rate and steps must be single numbers");
    }
    for (int i = IN_LISTS; i < exec->node->input_count; i++) {
        if (exec->x[i] == NULL ||
            tensor_count(exec->x[i]) !=
                tensor_count(exec->x[IN_LISTS + (i - IN_LISTS) % each])) {
            return node_error(exec->node, err, STATUS_POISON,
                              "input %d is absent, or has another size than its weights",
                              i);
        }
    }
    for (int i = 0; i < exec->node->output_count; i++) {
        if (exec_wants(exec, i)) {
            exec_same_shape(exec, i, IN_LISTS + i % each);
        }
    }
    return STATUS_OK;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct optimizer *optimizer = exec->node->op->param;
    int each = (exec->node->input_count - IN_LISTS) / (optimizer->memories + 2);
    const struct moment moment = {number_real(exec->x[IN_RATE], 0),
                                  number_real(exec->x[IN_STEPS], 0)};
    (void)err; /* cannot fail */
    for (int t = 0; t < each; t++) {
        const struct tensor *const *x = exec->x + IN_LISTS + t;
        int64_t count = (int64_t)tensor_count(x[0]);
        for (int64_t i = 0; i < count; i++) {
            double memory[MEMORIES_MAX] = {0}, made;
            for (int m = 0; m < optimizer->memories; m++) {
                memory[m] = number_real(x[(2 + m) * each], i);
            }
            made = optimizer->step(exec->node->state, &moment, number_real(x[0], i),
                                   number_real(x[each], i), memory);
            if (exec_wants(exec, t)) {
                number_set_real(exec->y[t], i, made);
            }
            for (int m = 0; m < optimizer->memories; m++) {
                if (exec_wants(exec, t + (1 + m) * each)) {
                    number_set_real(exec->y[t + (1 + m) * each], i, memory[m]);
                }
            }
        }
    }
    return STATUS_OK;
}

static const struct optimizer adagrad = {.memories = 1, .step = adagrad_step};
static const struct optimizer adam = {.memories = 2, .step = adam_step};
static const struct optimizer momentum = {
    .memories = 1, .step = momentum_step, .has_mode = true};

#define OPTIMIZER(text, which)                                                           \
    {                                                                                    \
        .domain = "ai.onnx.preview.training", .name = text, .since = 1, .inputs_min = 5, \
        .inputs_max = NODE_INPUTS_MAX, .outputs_max = NODE_OUTPUTS_MAX,                  \
        .types = {TYPES_FLOAT, TYPES_I64,   TYPES_FLOAT,                                 \
                  TYPES_FLOAT, TYPES_FLOAT, TYPES_FLOAT},                                \
        .param = &(which), .prepare = prepare, .shape = shape, .run = run,               \
    }

static const struct op ops[] = {
    OPTIMIZER("Adagrad", adagrad),
    OPTIMIZER("Adam", adam),
    OPTIMIZER("Momentum", momentum),
};

const struct op_list ops_optimizer = OP_LIST(ops);
