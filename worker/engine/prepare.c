/* prepare.c - see prepare.h. */
#include "engine/prepare.h"

#include "engine/fold.h"
#include "engine/load.h"
#include "engine/model_impl.h"

/* Prepares the last node of the graph and folds it where that can be done. */
static enum status prepare_last(struct graph *graph, struct error *err) {
    struct node *node = &graph->nodes[graph->node_count - 1];
    enum status status = load_node(graph, node, err);
    if (status == STATUS_OK && fold_possible(graph, node)) {
        status = fold_node(graph, node, err);
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
    /* A half may stand beside a float32 that tells the result's type: Pow's exponent. */
    bool stays_wide = graph_input_dtype(graph, &node, 0) == DTYPE_F32;
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
    for (int i = 0; i < node.output_count; i++) {
        narrow[i] = VALUE_NONE;
    }
    if (status == STATUS_OK && !stays_wide) {
        status = detach_outputs(graph, twins, narrow, err);
    }
    if (status == STATUS_OK && fold_possible(graph, &graph->nodes[index])) {
        status = fold_node(graph, &graph->nodes[index], err);
    }
    for (int i = 0; status == STATUS_OK && i < node.output_count; i++) {
        if (narrow[i] != VALUE_NONE) {
            status = add_cast(graph, outputs[i], narrow[i], half, err);
        }
    }
    return status;
}

/* ---- a decided If ------------------------------------------------------------------
 *
 * Exporters write an If whose condition follows from constants; the nodes of the branch
 * it takes stand in its place. */

static enum status prepare_node(struct graph *graph, const struct node *node,
                                struct twins *twins, struct error *err);

/* The branch a constant condition takes, or NULL. */
static struct model *decided_branch(const struct graph *graph, struct node *node) {
    const struct tensor *condition = graph_constant(graph, node, 0);
    const struct attr *attr;
    if (strcmp(node->type, "If") != 0 || node->op->domain != NULL || condition == NULL ||
        condition->dtype != DTYPE_BOOL || tensor_count(condition) != 1) {
        return NULL;
    }
    attr =
        attr_find(node, *(const bool *)condition->data ? "then_branch" : "else_branch");
    return attr != NULL && attr->kind == ATTR_GRAPH &&
                   attr->as.body->graph.output_count == node->output_count
               ? attr->as.body
               : NULL;
}

/* map[v]: the value of `graph` for the body's value v. */
static int *splice_values(struct graph *graph, const struct node *node,
                          const struct model *body) {
    const struct graph *from = &body->graph;
    int *map = arena_alloc(&graph->arena, (size_t)from->value_count + 1, sizeof(*map));
    for (int v = 0; map != NULL && v < from->value_count; v++) {
        const struct value *value = &from->values[v];
        int index;
        if (value->input >= 0) {
            map[v] = node->inputs[body->capture_first + value->input];
            continue;
        }
        index = graph_add_value(graph, value->name);
        if (index < 0) {
            return NULL;
        }
        map[v] = index;
        graph->values[index].dtype = value->dtype;
        memcpy(graph->values[index].inner, value->inner, sizeof(value->inner));
        graph->values[index].constant = value->constant;
    }
    return map;
}

static void remap(int *values, int count, const int *map) {
    for (int i = 0; i < count; i++) {
        values[i] = values[i] == VALUE_NONE ? VALUE_NONE : map[values[i]];
    }
}

static enum status splice(struct graph *graph, const struct node *node,
                          struct model *body, struct twins *twins, struct error *err) {
    int *map = body->graph.input_count == body->capture_count
                   ? splice_values(graph, node, body)
                   : NULL;
    enum status status = STATUS_OK;
    if (map == NULL || !twins_grow(twins, graph->value_count)) {
        return node_error(node, err, STATUS_INVALID,
                          "a branch has inputs, or memory ran out");
    }
    for (int n = 0; status == STATUS_OK && n < body->graph.node_count; n++) {
        struct node *inner = &body->graph.nodes[n];
        remap(inner->inputs, inner->input_count, map);
        remap(inner->outputs, inner->output_count, map);
        status = prepare_node(graph, inner, twins, err);
    }
    for (int i = 0; status == STATUS_OK && i < node->output_count; i++) {
        if (node->outputs[i] != VALUE_NONE) {
            int made = map[body->graph.outputs[i]];
            struct node copy = {.type = "Identity", .name = node->name};
            copy.opset = OP_OPSET_MAX;
            copy.op = op_find(NULL, "Identity", OP_OPSET_MAX);
            if (!graph_node_room(graph, &copy, 1, 1)) {
                return node_error(node, err, STATUS_NO_MEMORY, "out of memory");
            }
            copy.inputs[0] = made;
            copy.outputs[0] = node->outputs[i];
            status = prepare_node(graph, &copy, twins, err);
        }
    }
    return status;
}

static enum status prepare_node(struct graph *graph, const struct node *node,
                                struct twins *twins, struct error *err) {
    struct node own = *node;
    struct model *branch = decided_branch(graph, &own);
    enum dtype half = half_of(graph, node, twins);
    int index;
    if (branch != NULL) {
        return splice(graph, node, branch, twins, err);
    }
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
enum status prepare_nodes(struct graph *graph, struct error *err) {
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
