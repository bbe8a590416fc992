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

/* Converting constants is worth it at any size; growing them out of nothing is not. */
static size_t fold_limit(const struct exec *exec) {
    size_t limit = LOAD_FOLD_SIZE_MAX;
    for (int i = 0; i < exec->node->input_count; i++) {
        if (exec->x[i] != NULL) {
            limit = size_max(limit, 4 * tensor_size(exec->x[i]));
        }
    }
    return limit;
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
        if (tensor_size(y) > fold_limit(exec)) {
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
    if (exec->scratch_size > LOAD_FOLD_SIZE_MAX ||
        exec->extra_size > LOAD_FOLD_SIZE_MAX) {
        *too_large = true;
        return STATUS_OK;
    }
    status = fold_memory(graph, exec, too_large, err);
    if (status != STATUS_OK || *too_large) {
        return status;
    }
    exec->extra = graph_memory(graph, exec->extra_size);
    if (exec->extra == NULL) {
        return node_error(exec->node, err, STATUS_NO_MEMORY, "out of memory");
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

/* Prepares the last node of the graph and folds it where that can be done. */
static enum status prepare_last(struct graph *graph, struct error *err) {
    struct node *node = &graph->nodes[graph->node_count - 1];
    enum status status = load_node(graph, node, err);
    if (status == STATUS_OK && inputs_constant(graph, node)) {
        status = fold(graph, node, err);
    }
    return status;
}

/* ---- halves ------------------------------------------------------------------------
 *
 * Few operators compute in float16 or bfloat16, and x86 has little for them.  Around all
 * others halves are cast to float32 and results back; a value's float32 twin is what the
 * next node reads, so a chain of nodes rounds to halves only where the model's outputs
 * are, and weights are float32 from load on. */

static bool is_half(enum dtype dtype) {
    return (TYPES_HALF & TYPE_BIT(dtype)) != 0;
}

/* twins[v]: the float32 value that v was narrowed from or widened to, or VALUE_NONE. */
struct twins {
    int *of;
    int room;
};

static bool twins_grow(struct twins *twins, int count) {
    int room = count * 2 + 64;
    int *grown;
    if (count <= twins->room) {
        return true;
    }
    grown = realloc(twins->of, (size_t)room * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    for (int i = twins->room; i < room; i++) {
        grown[i] = VALUE_NONE;
    }
    *twins = (struct twins){.of = grown, .room = room};
    return true;
}

/* The dtype of the halves `node` is to be spared from, or DTYPE_NONE. */
static enum dtype half_of(const struct graph *graph, const struct node *node,
                          const struct twins *twins) {
    enum dtype half = DTYPE_NONE;
    bool widen = false;
    unsigned first = node->op->types[0];
    if ((node->op->flags & OP_KEEPS_HALF) != 0 || (first & TYPES_SEQUENCE) != 0) {
        return DTYPE_NONE;
    }
    for (int i = 0; i < node->input_count; i++) {
        unsigned allowed =
            node->op->types[i < OP_TYPED_INPUTS_MAX ? i : OP_TYPED_INPUTS_MAX - 1];
        enum dtype dtype = graph_input_dtype(graph, node, i);
        if (is_half(dtype)) {
            half = half == DTYPE_NONE ? dtype : half;
            allowed = allowed == 0 ? first : allowed;
            widen = widen || (allowed & TYPE_BIT(dtype)) == 0 ||
                    twins->of[node->inputs[i]] != VALUE_NONE;
        }
    }
    return widen ? half : DTYPE_NONE;
}

/* Adds a Cast from value `from` to value `to`, which gets the dtype. */
static enum status add_cast(struct graph *graph, int from, int to, enum dtype dtype,
                            struct error *err) {
    int index = graph_add_node(graph);
    struct node *node = &graph->nodes[index < 0 ? 0 : index];
    struct attr *attr = arena_alloc(&graph->arena, 1, sizeof(*attr));
    if (index < 0 || attr == NULL || !graph_node_room(graph, node, 1, 1)) {
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    }
    *attr = (struct attr){.name = "to", .kind = ATTR_INT, .as.i = dtype};
    node->type = "Cast";
    node->name = graph->values[from].name;
    node->opset = OP_OPSET_MAX;
    node->op = op_find(NULL, "Cast", OP_OPSET_MAX);
    node->attrs = (struct attr_list){.items = attr, .count = 1};
    node->inputs[0] = from;
    node->outputs[0] = to;
    return prepare_last(graph, err);
}

static enum status widen_inputs(struct graph *graph, struct node *node,
                                struct twins *twins, struct error *err) {
    for (int i = 0; i < node->input_count; i++) {
        int v = node->inputs[i], wide;
        if (!is_half(graph_input_dtype(graph, node, i))) {
            continue;
        }
        wide = twins->of[v];
        if (wide == VALUE_NONE) {
            enum status status;
            wide = graph_add_value(graph, graph->values[v].name);
            if (wide < 0 || !twins_grow(twins, graph->value_count)) {
                return error_set(err, STATUS_NO_MEMORY, "out of memory");
            }
            status = add_cast(graph, v, wide, DTYPE_F32, err);
            if (status != STATUS_OK) {
                return status;
            }
            twins->of[v] = wide;
        }
        node->inputs[i] = wide;
    }
    return STATUS_OK;
}

/* The last node makes float32 where the model has `half`: it gets outputs of its own,
 * and narrow[i] is the value that output i is to be cast to. */
static enum status detach_outputs(struct graph *graph, struct twins *twins, int *narrow,
                                  struct error *err) {
    int last = graph->node_count - 1;
    for (int i = 0; i < graph->nodes[last].output_count; i++) {
        int v = graph->nodes[last].outputs[i], wide;
        bool stays = i < 32 && (graph->nodes[last].op->wide_outputs >> i & 1) != 0;
        narrow[i] = VALUE_NONE;
        if (v == VALUE_NONE || stays || graph->values[v].dtype != DTYPE_F32) {
            continue;
        }
        wide = graph_add_value(graph, graph->values[v].name);
        if (wide < 0 || !twins_grow(twins, graph->value_count)) {
            return error_set(err, STATUS_NO_MEMORY, "out of memory");
        }
        graph->values[wide].dtype = DTYPE_F32;
        graph->nodes[last].outputs[i] = wide;
        twins->of[v] = wide;
        narrow[i] = v;
    }
    return STATUS_OK;
}

static enum status prepare_widened(struct graph *graph, struct node node, enum dtype half,
                                   struct twins *twins, struct error *err) {
    int *narrow = arena_alloc(&graph->arena, (size_t)node.output_count, sizeof(*narrow));
    enum status status = widen_inputs(graph, &node, twins, err);
    int index = status == STATUS_OK ? graph_add_node(graph) : -1;
    int *outputs = node.outputs;
    if (narrow == NULL || (status == STATUS_OK && index < 0)) {
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    }
    if (status != STATUS_OK) {
        return status;
    }
    graph->nodes[index] = node;
    status = load_node(graph, &graph->nodes[index], err);
    if (status == STATUS_OK) {
        status = detach_outputs(graph, twins, narrow, err);
    }
    if (status == STATUS_OK && inputs_constant(graph, &graph->nodes[index])) {
        status = fold(graph, &graph->nodes[index], err);
    }
    for (int i = 0; status == STATUS_OK && i < node.output_count; i++) {
        if (narrow[i] != VALUE_NONE) {
            status = add_cast(graph, outputs[i], narrow[i], half, err);
        }
    }
    return status;
}

static enum status prepare_node(struct graph *graph, const struct node *node,
                                struct twins *twins, struct error *err) {
    enum dtype half = half_of(graph, node, twins);
    int index;
    if (half != DTYPE_NONE) {
        return prepare_widened(graph, *node, half, twins, err);
    }
    index = graph_add_node(graph);
    if (index < 0) {
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    }
    graph->nodes[index] = *node;
    return prepare_last(graph, err);
}

/* Prepares the nodes in order, into a new array because Casts come between. */
static enum status prepare_nodes(struct graph *graph, struct error *err) {
    struct node *nodes = graph->nodes;
    int count = graph->node_count;
    struct twins twins = {0};
    enum status status = STATUS_OK;
    if (!twins_grow(&twins, graph->value_count)) {
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    }
    graph->nodes = NULL;
    graph->node_count = graph->node_room = 0;
    for (int n = 0; status == STATUS_OK && n < count; n++) {
        status = prepare_node(graph, &nodes[n], &twins, err);
    }
    free(nodes);
    free(twins.of);
    graph_recount(graph);
    return status;
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
    if ((node->op->flags & OP_DYNAMIC) != 0) {
        return PHASE_DYNAMIC;
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
