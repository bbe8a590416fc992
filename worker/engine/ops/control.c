/* control.c - If and Loop.
 *
 * Their shapes follow from what their bodies compute, so shape() runs the bodies and
 * run() hands out the results. */
#include "engine/body.h"
#include "engine/ops/ops.h"

/* Each iteration costs time even where it does nothing: a loop without end must end. */
#define LOOP_ITERATIONS_MAX 1000000

#define TYPES_ANY \
    { TYPES_VALUE, TYPES_VALUE, TYPES_VALUE, TYPES_VALUE, TYPES_VALUE, TYPES_VALUE }

static const struct value *body_output(const struct model *body, int i) {
    return &body->graph.values[body->graph.outputs[i]];
}

static bool same_type(const struct value *a, const struct value *b) {
    return a->dtype == b->dtype && a->inner[0] == b->inner[0] &&
           a->inner[1] == b->inner[1];
}

static bool read_bool(const struct tensor *x) {
    return tensor_count(x) == 1 && *(const bool *)x->data;
}

/* ---- If --------------------------------------------------------------------------- */

struct branches {
    struct model *body[2]; /* else, then */
    int index[2];
};

/* Bodies let any type through; what steers them is of one. */
static enum status check_type(const struct load *load, int input, enum dtype wanted,
                              struct error *err) {
    enum dtype dtype = input < load->node->explicit_count
                           ? graph_input_dtype(load->graph, load->node, input)
                           : DTYPE_NONE;
    return dtype == DTYPE_NONE || dtype == wanted
               ? STATUS_OK
               : node_error(load->node, err, STATUS_INVALID, "input %d is %s, not %s",
                            input, dtype_name(dtype), dtype_name(wanted));
}

static enum status if_prepare(struct load *load, struct error *err) {
    struct branches *state = load_state(load, struct branches);
    int wanted = load->node->output_count;
    enum status status = check_type(load, 0, DTYPE_BOOL, err);
    if (status == STATUS_OK && load->node->explicit_count == 0) {
        status = node_error(load->node, err, STATUS_INVALID, "has no condition");
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status =
        body_load(load, "else_branch", NULL, 0, &state->body[0], &state->index[0], err);
    if (status == STATUS_OK) {
        status = body_load(load, "then_branch", NULL, 0, &state->body[1],
                           &state->index[1], err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (state->body[0]->graph.output_count != wanted ||
        state->body[1]->graph.output_count != wanted) {
        return node_error(load->node, err, STATUS_INVALID,
                          "its branches do not have %d outputs", wanted);
    }
    for (int i = 0; i < wanted; i++) {
        const struct value *from = body_output(state->body[1], i);
        if (!same_type(from, body_output(state->body[0], i))) {
            return node_error(load->node, err, STATUS_UNSUPPORTED,
                              "its branches make output %d of different types", i);
        }
        graph_set_output_like(load->graph, load->node, i, from);
    }
    return STATUS_OK;
}

static enum status if_shape(struct exec *exec, struct error *err) {
    const struct branches *state = exec->node->state;
    struct body_memo *memo = exec->memo;
    enum status status = body_memo_make(exec, 0, err);
    int taken;
    if (status == STATUS_OK && tensor_count(exec->x[0]) != 1) {
        status = node_error(exec->node, err, STATUS_POISON,
                            "its condition is not one boolean");
    }
    if (status != STATUS_OK) {
        return status;
    }
    taken = read_bool(exec->x[0]) ? 1 : 0;
    status =
        body_run(exec, state->body[taken], state->index[taken], memo->inputs, 0, err);
    if (status != STATUS_OK) {
        return status;
    }
    for (int i = 0; i < exec->node->output_count; i++) {
        memo->results[i] = *session_output(exec->bodies[state->index[taken]], i);
    }
    body_memo_shape(exec);
    return STATUS_OK;
}

/* ---- Loop ------------------------------------------------------------------------- */

struct loop {
    struct model *body;
    int index;
    int carried, scans; /* the body has 2 + carried inputs, 1 + carried + scans outputs */
};

/* Where one run stands. */
struct loop_run {
    const struct loop *loop;
    struct body_memo *memo;
    int64_t iteration, limit;
    bool go_on;
};

/* An optional may become what it holds: the body then gets it in an optional again. */
static bool is_element(const struct value *made, const struct value *optional) {
    return optional->dtype == DTYPE_OPTIONAL && made->dtype == optional->inner[0] &&
           made->inner[0] == optional->inner[1];
}

static bool takes_optional(const struct loop *loop, int carried) {
    const struct graph *graph = &loop->body->graph;
    return graph->values[graph->inputs[2 + carried]].dtype == DTYPE_OPTIONAL;
}

static enum status loop_outputs(struct load *load, const struct loop *state,
                                const struct value *const *inputs, struct error *err) {
    for (int i = 0; i < state->carried + state->scans; i++) {
        const struct value *made = body_output(state->body, 1 + i);
        bool scan = i >= state->carried;
        if (!scan && !same_type(made, inputs[2 + i]) &&
            !is_element(made, inputs[2 + i])) {
            return node_error(load->node, err, STATUS_INVALID,
                              "its body changes the type of carried value %d", i);
        }
        if (scan && (made->dtype == DTYPE_STRING || made->dtype >= DTYPE_SEQUENCE)) {
            return node_error(load->node, err, STATUS_UNSUPPORTED,
                              "output %d collects %s, only numbers are handled", i,
                              dtype_name(made->dtype));
        }
        graph_set_output_like(load->graph, load->node, i, made);
    }
    return STATUS_OK;
}

static enum status loop_prepare(struct load *load, struct error *err) {
    static const struct value counter = {.dtype = DTYPE_I64};
    static const struct value condition = {.dtype = DTYPE_BOOL};
    struct loop *state = load_state(load, struct loop);
    int count = load->node->explicit_count;
    const struct value **inputs = arena_alloc(
        &load->graph->arena, (size_t)(count < 2 ? 2 : count), sizeof(*inputs));
    enum status status;
    if (state == NULL || inputs == NULL) {
        return load_no_memory(load, err);
    }
    status = check_type(load, 0, DTYPE_I64, err);
    if (status == STATUS_OK) {
        status = check_type(load, 1, DTYPE_BOOL, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    inputs[0] = &counter;
    inputs[1] = &condition;
    count = count < 2 ? 2 : count;
    for (int i = 2; i < count; i++) {
        inputs[i] = graph_input(load->graph, load->node, i);
        if (inputs[i] == NULL) {
            return node_error(load->node, err, STATUS_INVALID,
                              "carried value %d is empty", i - 2);
        }
    }
    status = body_keep_constants(load, "body", inputs, count, 2, 1, err);
    if (status == STATUS_OK) {
        status = body_load(load, "body", inputs, count, &state->body, &state->index, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    state->carried = count - 2;
    state->scans = state->body->graph.output_count - 1 - state->carried;
    if (state->scans < 0 || load->node->output_count != state->carried + state->scans ||
        body_output(state->body, 0)->dtype != DTYPE_BOOL) {
        return node_error(load->node, err, STATUS_INVALID,
                          "its body's outputs are not a condition, %d carried values and "
                          "what is collected",
                          state->carried);
    }
    return loop_outputs(load, state, inputs, err);
}

/* Collected values are laid one behind the other as they come. */
static enum status collect(struct exec *exec, const struct loop_run *run, int scan,
                           const struct tensor *x, struct error *err) {
    struct tensor *all = &run->memo->results[run->loop->carried + scan];
    struct hold *hold = &run->memo->holds[2 * run->loop->carried + scan];
    size_t size = tensor_size(x);
    enum status status;
    if (run->iteration == 0) {
        if (x->rank == TENSOR_RANK_MAX) {
            return node_error(exec->node, err, STATUS_POISON,
                              "what it collects has rank %d, one less is handled",
                              x->rank);
        }
        all->rank = x->rank + 1;
        memcpy(all->dims + 1, x->dims, (size_t)x->rank * sizeof(x->dims[0]));
    } else if (all->rank != x->rank + 1 ||
               memcmp(all->dims + 1, x->dims, (size_t)x->rank * sizeof(x->dims[0])) !=
                   0) {
        return node_error(exec->node, err, STATUS_POISON,
                          "what it collects changes its shape at iteration %lld",
                          (long long)run->iteration);
    }
    all->dims[0] = run->iteration + 1;
    status = hold_grow(exec, hold, size * (size_t)(run->iteration + 1), err);
    if (status == STATUS_OK && size > 0) {
        memcpy((uint8_t *)hold->data + size * (size_t)run->iteration, x->data, size);
    }
    all->data = hold->data;
    return status;
}

static enum status iterate(struct exec *exec, struct loop_run *run, struct error *err) {
    const struct loop *loop = run->loop;
    const struct session *session = exec->bodies[loop->index];
    struct tensor *in = run->memo->inputs;
    struct hold *side = run->memo->holds + (run->iteration % 2 == 0 ? 0 : loop->carried);
    enum status status;
    in[0] = (struct tensor){.dtype = DTYPE_I64, .data = &run->iteration};
    in[1] = (struct tensor){.dtype = DTYPE_BOOL, .data = &run->go_on};
    for (int i = 0; i < loop->carried; i++) {
        in[2 + i] = run->memo->results[i];
        if (takes_optional(loop, i) && in[2 + i].dtype != DTYPE_OPTIONAL) {
            in[2 + i] = (struct tensor){.dtype = DTYPE_OPTIONAL,
                                        .rank = 1,
                                        .dims = {1},
                                        .data = &run->memo->results[i]};
        }
    }
    status = body_run(exec, loop->body, loop->index, in, 2 + loop->carried, err);
    for (int i = 0; status == STATUS_OK && i < loop->carried; i++) {
        status = hold_copy(exec, &side[i], session_output(session, 1 + i),
                           &run->memo->results[i], err);
    }
    for (int i = 0; status == STATUS_OK && i < loop->scans; i++) {
        status =
            collect(exec, run, i, session_output(session, 1 + loop->carried + i), err);
    }
    run->go_on = status == STATUS_OK && read_bool(session_output(session, 0));
    return status;
}

/* Without an iteration the shapes of collected values are what the body declares. */
static void collect_nothing(struct exec *exec, const struct loop *loop,
                            struct body_memo *memo) {
    for (int i = 0; i < loop->scans; i++) {
        const struct tensor *type =
            &loop->body->ports.outputs[1 + loop->carried + i].type;
        struct tensor *all = &memo->results[loop->carried + i];
        int rank = type->rank < 0 || type->rank == TENSOR_RANK_MAX ? 0 : type->rank;
        (void)exec;
        all->rank = rank + 1;
        all->dims[0] = 0;
        for (int k = 0; k < rank; k++) {
            all->dims[1 + k] = type->dims[k] < 0 ? 0 : type->dims[k];
        }
    }
}

/* Behind its own inputs a node has those that its bodies read from around it. */
static bool has_own(const struct exec *exec, int input) {
    return input < exec->node->explicit_count && exec_has(exec, input);
}

static enum status loop_limit(const struct exec *exec, struct loop_run *run,
                              struct error *err) {
    run->limit = LOOP_ITERATIONS_MAX;
    run->go_on = true;
    if ((has_own(exec, 0) && tensor_count(exec->x[0]) != 1) ||
        (has_own(exec, 1) && tensor_count(exec->x[1]) != 1)) {
        return node_error(exec->node, err, STATUS_POISON,
                          "its trip count or condition is not one element");
    }
    if (has_own(exec, 0) && *(const int64_t *)exec->x[0]->data < run->limit) {
        run->limit = *(const int64_t *)exec->x[0]->data;
    }
    if (has_own(exec, 1)) {
        run->go_on = read_bool(exec->x[1]);
    }
    return STATUS_OK;
}

/* Without an iteration an optional is still one: what it holds, or an empty sequence. */
static void settle(struct tensor *result, enum dtype dtype) {
    if (result->dtype != DTYPE_OPTIONAL || dtype == DTYPE_OPTIONAL) {
        return;
    }
    *result = result->dims[0] == 1
                  ? *(const struct tensor *)result->data
                  : (struct tensor){.dtype = dtype, .rank = 1, .data = NULL};
}

static enum status loop_shape(struct exec *exec, struct error *err) {
    const struct loop *loop = exec->node->state;
    struct loop_run run = {.loop = loop, .memo = exec->memo};
    enum status status = body_memo_make(exec, 2 * loop->carried + loop->scans, err);
    if (status == STATUS_OK) {
        status = loop_limit(exec, &run, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    for (int i = 0; i < loop->carried; i++) {
        run.memo->results[i] = *exec->x[2 + i];
    }
    collect_nothing(exec, loop, run.memo);
    for (; run.go_on && run.iteration < run.limit; run.iteration++) {
        status = iterate(exec, &run, err);
        if (status != STATUS_OK) {
            return status;
        }
    }
    if (run.go_on && run.iteration == LOOP_ITERATIONS_MAX) {
        return node_error(exec->node, err, STATUS_POISON, "more than %d iterations",
                          LOOP_ITERATIONS_MAX);
    }
    for (int i = 0; i < loop->carried; i++) {
        settle(&run.memo->results[i], body_output(loop->body, 1 + i)->dtype);
    }
    body_memo_shape(exec);
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "If",
        .since = 1,
        .inputs_min = 1,
        .inputs_max = NODE_INPUTS_MAX,
        .outputs_max = NODE_OUTPUTS_MAX,
        .flags = OP_DYNAMIC,
        .types = {TYPES_BOOL | TYPES_SEQUENCE, TYPES_VALUE, TYPES_VALUE, TYPES_VALUE,
                  TYPES_VALUE, TYPES_VALUE},
        .memo_size = sizeof(struct body_memo),
        .prepare = if_prepare,
        .shape = if_shape,
        .run = body_memo_run,
        .release = body_memo_release,
    },
    {
        .name = "Loop",
        .since = 1,
        .inputs_min = 0,
        .inputs_max = NODE_INPUTS_MAX,
        .outputs_max = NODE_OUTPUTS_MAX,
        .flags = OP_DYNAMIC,
        .types = TYPES_ANY,
        .memo_size = sizeof(struct body_memo),
        .prepare = loop_prepare,
        .shape = loop_shape,
        .run = body_memo_run,
        .release = body_memo_release,
    },
};

const struct op_list ops_control = OP_LIST(ops);
