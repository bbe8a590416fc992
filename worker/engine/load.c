/* load.c - see load.h. */
#include "engine/load.h"

#include <assert.h>

#include "base/size.h"
#include "engine/op.h"
#include "engine/plan.h"
#include "engine/passes/passes.h"

/* What the data of a job would make wrong is, in a constant, the model's fault. */
static enum status of_model(enum status status, struct error *err) {
    if (status == STATUS_POISON) {
        err->status = status = STATUS_INVALID;
    }
    return status;
}

enum status load_node(struct graph *graph, struct node *node, struct error *err) {
    return of_model(op_prepare(graph, node, err), err);
}

/* ---- folding ---------------------------------------------------------------------- */

static bool inputs_constant(const struct graph *graph, const struct node *node) {
    for (int i = 0; i < node->input_count; i++) {
        if (node->inputs[i] != VALUE_NONE &&
            graph->values[node->inputs[i]].constant == NULL) {
            return false;
        }
    }
    return (node->op->flags & OP_NOT_CONSTANT) == 0;
}

/* An exec for `node` over constants; outputs have no data yet. */
static bool bind(struct graph *graph, const struct node *node, struct exec *exec) {
    struct arena *arena = &graph->arena;
    const struct tensor **x =
        arena_alloc(arena, (size_t)node->input_count + 1, sizeof(*x));
    struct tensor **y = arena_alloc(arena, (size_t)node->output_count + 1, sizeof(*y));
    void *memo = arena_alloc(arena, 1, node->op->memo_size + PLAN_ALIGN);
    if (x == NULL || y == NULL || memo == NULL) {
        return false;
    }
    for (int i = 0; i < node->input_count; i++) {
        x[i] = graph_constant(graph, node, i);
    }
    for (int i = 0; i < node->output_count; i++) {
        if (node->outputs[i] == VALUE_NONE) {
            continue;
        }
        y[i] = arena_alloc(arena, 1, sizeof(**y));
        if (y[i] == NULL) {
            return false;
        }
        y[i]->dtype = graph->values[node->outputs[i]].dtype;
    }
    *exec = (struct exec){
        .node = node,
        .x = x,
        .y = y,
        .memo = (void *)(size_align((uintptr_t)memo, PLAN_ALIGN)),
        .alias_input = ALIAS_NONE,
    };
    return true;
}

/* Memory for the outputs; *too_large instead where folding would not pay. */
static enum status fold_memory(struct graph *graph, struct exec *exec, bool *too_large,
                               struct error *err) {
    const struct node *node = exec->node;
    for (int i = 0; i < node->output_count; i++) {
        struct tensor *y = exec->y[i];
        if (y == NULL) {
            continue;
        }
        if (tensor_size(y) > LOAD_FOLD_SIZE_MAX) {
            *too_large = true;
            return STATUS_OK;
        }
        y->data = graph_memory(graph, tensor_size(y));
        if (y->data == NULL) {
            return node_error(node, err, STATUS_NO_MEMORY, "out of memory");
        }
    }
    return STATUS_OK;
}

static enum status compute(struct graph *graph, struct exec *exec, bool *too_large,
                           struct error *err) {
    enum status status;
    if (exec->alias_input != ALIAS_NONE) {
        uint8_t *from = exec->x[exec->alias_input]->data;
        exec->y[0]->data = from + exec->alias_offset;
        return STATUS_OK;
    }
    if (exec->scratch_size > LOAD_FOLD_SIZE_MAX) {
        *too_large = true;
        return STATUS_OK;
    }
    status = fold_memory(graph, exec, too_large, err);
    if (status != STATUS_OK || *too_large) {
        return status;
    }
    exec->scratch =
        aligned_alloc(PLAN_ALIGN, size_align(exec->scratch_size + 1, PLAN_ALIGN));
    if (exec->scratch == NULL) {
        return node_error(exec->node, err, STATUS_NO_MEMORY, "out of memory");
    }
    status = exec->node->op->run(exec, err);
    free(exec->scratch);
    return status;
}

static enum status fold(struct graph *graph, struct node *node, struct error *err) {
    struct exec exec;
    bool too_large = false;
    enum status status;
    if (!bind(graph, node, &exec)) {
        return node_error(node, err, STATUS_NO_MEMORY, "out of memory");
    }
    status = op_shape(&exec, err);
    if (status == STATUS_OK) {
        status = compute(graph, &exec, &too_large, err);
    }
    if (status != STATUS_OK || too_large) {
        return of_model(status, err);
    }
    for (int i = 0; i < node->output_count; i++) {
        if (node->outputs[i] != VALUE_NONE) {
            graph->values[node->outputs[i]].constant = exec.y[i];
        }
    }
    node->dead = true;
    return STATUS_OK;
}

static enum status prepare_nodes(struct graph *graph, struct error *err) {
    for (int n = 0; n < graph->node_count; n++) {
        struct node *node = &graph->nodes[n];
        enum status status = load_node(graph, node, err);
        if (status == STATUS_OK && inputs_constant(graph, node)) {
            status = fold(graph, node, err);
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

/* ---- the rest --------------------------------------------------------------------- */

static enum status pack_nodes(struct graph *graph, struct error *err) {
    for (int n = 0; n < graph->node_count; n++) {
        struct load load = {.graph = graph, .node = &graph->nodes[n]};
        if (load.node->op->pack != NULL) {
            enum status status = of_model(load.node->op->pack(&load, err), err);
            if (status != STATUS_OK) {
                return status;
            }
        }
    }
    return STATUS_OK;
}

/* A graph output that is a graph input gets a node that copies it, because outputs
 * outlive the inputs they came with. */
static enum status copy_through(struct graph *graph, int output, struct error *err) {
    int from = graph->outputs[output];
    int to = graph_add_value(graph, graph->values[from].name);
    int index = graph_add_node(graph);
    struct node *node;
    if (to < 0 || index < 0 || !graph_node_room(graph, &graph->nodes[index], 1, 1)) {
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    }
    node = &graph->nodes[index];
    node->type = "Identity";
    node->name = graph->values[from].name;
    node->opset = graph->opset;
    node->op = op_find(NULL, "Identity", OP_OPSET_MAX);
    assert(node->op != NULL);
    node->inputs[0] = from;
    node->outputs[0] = to;
    graph->outputs[output] = to;
    graph->values[to].is_output = true;
    return load_node(graph, node, err);
}

static enum status separate_outputs(struct graph *graph, struct error *err) {
    for (int i = 0; i < graph->output_count; i++) {
        if (graph->values[graph->outputs[i]].input >= 0) {
            enum status status = copy_through(graph, i, err);
            if (status != STATUS_OK) {
                return status;
            }
        }
    }
    for (int v = 0; v < graph->value_count; v++) {
        if (graph->values[v].input >= 0) {
            graph->values[v].is_output = false;
        }
    }
    graph_recount(graph);
    return STATUS_OK;
}

enum status load_graph(struct graph *graph, unsigned passes, struct error *err) {
    enum status status = prepare_nodes(graph, err);
    if (status == STATUS_OK) {
        status = separate_outputs(graph, err);
    }
    if (status == STATUS_OK) {
        graph_sweep(graph);
        status = passes_apply(graph, passes, err);
    }
    if (status == STATUS_OK) {
        graph_check(graph);
        status = pack_nodes(graph, err);
    }
    return status;
}

static enum phase node_phase(const struct node *node, const enum phase *made_in) {
    bool known = true, shape_known = true;
    for (int i = 0; i < node->input_count; i++) {
        enum phase phase;
        if (node->inputs[i] == VALUE_NONE) {
            continue;
        }
        phase = made_in[node->inputs[i]];
        if (phase == PHASE_DYNAMIC) {
            return PHASE_DYNAMIC;
        }
        known = known && phase == PHASE_PREPARE;
        if (phase == PHASE_RUN && i < 32 && (node->op->shape_inputs >> i & 1) != 0) {
            shape_known = false;
        }
    }
    if ((node->op->flags & OP_READS_SHAPE_ONLY) != 0 ||
        (known && (node->op->flags & OP_NOT_CONSTANT) == 0)) {
        return PHASE_PREPARE;
    }
    return shape_known ? PHASE_RUN : PHASE_DYNAMIC;
}

void load_phases(const struct graph *graph, enum phase *phases, enum phase *made_in) {
    for (int v = 0; v < graph->value_count; v++) {
        made_in[v] = graph->values[v].constant != NULL ? PHASE_PREPARE : PHASE_RUN;
    }
    for (int n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        phases[n] = node_phase(node, made_in);
        for (int i = 0; i < node->output_count; i++) {
            if (node->outputs[i] != VALUE_NONE) {
                made_in[node->outputs[i]] = phases[n];
            }
        }
    }
}
