/* channels_last.c - convolutions and what lies between them hold images with channels
 * innermost, so that a pixel's channels are one piece of memory; Transposes stand only
 * where such a value meets an operator that wants channels first. */
#include "engine/passes/channels_last.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/load.h"
#include "engine/op.h"
#include "engine/ops/ops.h"
#include "engine/passes/passes.h"

static enum status no_memory(struct error *err) {
    return error_set(err, STATUS_NO_MEMORY, "out of memory");
}

/* ---- values and nodes ------------------------------------------------------------- */

static bool grow_twins(struct rewrite *r) {
    const int room = r->graph->value_count * 2 + 64;
    struct twin *grown;
    if (r->graph->value_count <= r->twin_room) {
        return true;
    }
    grown = realloc(r->twins, (size_t)room * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    for (int i = r->twin_room; i < room; i++) {
        grown[i] = (struct twin){.last = VALUE_NONE};
    }
    r->twins = grown;
    r->twin_room = room;
    return true;
}

static bool emit(struct rewrite *r, const struct node *node) {
    if (r->node_count == r->node_room) {
        const int room = r->node_room * 2 + 64;
        struct node *grown = realloc(r->nodes, (size_t)room * sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        r->nodes = grown;
        r->node_room = room;
    }
    r->nodes[r->node_count++] = *node;
    return true;
}

int twin_of(const struct rewrite *r, int value) {
    return value == VALUE_NONE ? VALUE_NONE : r->twins[value].last;
}

int twin_axis(int axis, int rank) {
    return axis == 0 ? 0 : axis == 1 ? rank - 1 : axis - 1;
}

void twin_perm(bool to_last, int rank, int64_t *perm) {
    for (int axis = 0; axis < rank; axis++) {
        const int last = twin_axis(axis, rank);
        perm[to_last ? last : axis] = to_last ? axis : last;
    }
}

enum status twin_set(struct rewrite *r, int value, int last, int rank,
                     struct error *err) {
    if (!grow_twins(r)) {
        return no_memory(err);
    }
    r->twins[value].last = last;
    r->twins[value].rank = rank;
    return STATUS_OK;
}

/* A new value of the dtype of `value`, its twin. */
static enum status new_twin(struct rewrite *r, int value, int rank, int *last,
                            struct error *err) {
    struct graph *graph = r->graph;
    *last = graph_add_value(graph, graph->values[value].name);
    if (*last < 0) {
        return no_memory(err);
    }
    graph->values[*last].dtype = graph->values[value].dtype;
    return twin_set(r, value, *last, rank, err);
}

/* to = Transpose(from) at the end of the new order. */
static enum status emit_transpose(struct rewrite *r, bool to_last, int rank, int from,
                                  int to, struct error *err) {
    struct graph *graph = r->graph;
    struct node node = {.type = "Transpose",
                        .name = graph->values[from].name,
                        .opset = graph->opset,
                        .op = op_find(NULL, "Transpose", OP_OPSET_MAX)};
    int64_t *perm = arena_alloc(&graph->arena, (size_t)rank, sizeof(*perm));
    struct attr *attr = arena_alloc(&graph->arena, 1, sizeof(*attr));
    enum status status;
    assert(node.op != NULL);
    if (perm == NULL || attr == NULL || !graph_node_room(graph, &node, 1, 1)) {
        return no_memory(err);
    }
    twin_perm(to_last, rank, perm);
    *attr = (struct attr){
        .name = "perm", .kind = ATTR_INTS, .count = (size_t)rank, .as = {.ints = perm}};
    node.attrs = (struct attr_list){.items = attr, .count = 1};
    node.inputs[0] = from;
    node.outputs[0] = to;
    status = load_node(graph, &node, err);
    return status == STATUS_OK && !emit(r, &node) ? no_memory(err) : status;
}

enum status twin_make(struct rewrite *r, int value, int rank, int *last,
                      struct error *err) {
    enum status status;
    *last = twin_of(r, value);
    if (*last != VALUE_NONE) {
        return STATUS_OK;
    }
    status = new_twin(r, value, rank, last, err);
    return status == STATUS_OK ? emit_transpose(r, true, rank, value, *last, err)
                               : status;
}

enum status twin_outputs(struct rewrite *r, struct node *node, int rank,
                         struct error *err) {
    int *outputs =
        arena_alloc(&r->graph->arena, (size_t)node->output_count, sizeof(*outputs));
    if (outputs == NULL) {
        return no_memory(err);
    }
    for (int i = 0; i < node->output_count; i++) {
        const int value = node->outputs[i];
        enum status status;
        outputs[i] = VALUE_NONE;
        if (value == VALUE_NONE) {
            continue;
        }
        status = new_twin(r, value, rank, &outputs[i], err);
        if (status != STATUS_OK) {
            return status;
        }
        r->twins[value].due = true;
    }
    node->outputs = outputs;
    return STATUS_OK;
}

/* `value` itself is made, for who reads it with channels first. */
static enum status make_first(struct rewrite *r, int value, struct error *err) {
    struct twin *twin = &r->twins[value];
    if (!twin->due) {
        return STATUS_OK;
    }
    twin->due = false;
    return emit_transpose(r, false, twin->rank, twin->last, value, err);
}

/* ---- Transposes that are there ---------------------------------------------------- */

static bool is_perm(const struct node *node, bool to_last, int *rank) {
    const int64_t *perm = transpose_perm(node, rank);
    int64_t wanted[TENSOR_RANK_MAX];
    if (perm == NULL || *rank < 3 || *rank > 4) {
        return false;
    }
    twin_perm(to_last, *rank, wanted);
    return memcmp(perm, wanted, (size_t)*rank * sizeof(*perm)) == 0;
}

/* A Transpose to channels last reads what there is a twin of: the twin it is. */
static bool is_twin(struct rewrite *r, const struct node *node) {
    const int last = twin_of(r, node->inputs[0]);
    int rank;
    if (last == VALUE_NONE || !is_perm(node, true, &rank) ||
        r->graph->values[node->outputs[0]].is_output) {
        return false;
    }
    graph_replace_uses(r->graph, node->outputs[0], last);
    return true;
}

/* ---- the walk --------------------------------------------------------------------- */

static enum status keep(struct rewrite *r, const struct node *node, struct error *err) {
    enum status status = STATUS_OK;
    int rank;
    for (int i = 0; status == STATUS_OK && i < node->input_count; i++) {
        if (node->inputs[i] != VALUE_NONE) {
            status = make_first(r, node->inputs[i], err);
        }
    }
    if (status == STATUS_OK && strcmp(node->type, "Transpose") == 0 &&
        node->op->domain == NULL && is_perm(node, false, &rank)) {
        status = twin_set(r, node->outputs[0], node->inputs[0], rank, err);
    }
    return status == STATUS_OK && !emit(r, node) ? no_memory(err) : status;
}

static enum status walk(struct rewrite *r, struct error *err) {
    struct graph *graph = r->graph;
    enum status status = STATUS_OK;
    for (int n = 0; status == STATUS_OK && n < graph->node_count; n++) {
        struct node node = graph->nodes[n];
        bool done = false;
        if (strcmp(node.type, "Transpose") == 0 && node.op->domain == NULL &&
            is_twin(r, &node)) {
            continue;
        }
        status = channels_last_rule(r, &node, &done, err);
        if (status != STATUS_OK) {
            return status;
        }
        if (!done) {
            status = keep(r, &node, err);
        } else if (!emit(r, &node)) {
            status = no_memory(err);
        }
    }
    for (int i = 0; status == STATUS_OK && i < graph->output_count; i++) {
        status = make_first(r, graph->outputs[i], err);
    }
    return status;
}

static enum status take_nodes(struct rewrite *r, struct error *err) {
    while (r->graph->node_count < r->node_count) {
        if (graph_add_node(r->graph) < 0) {
            return no_memory(err);
        }
    }
    memcpy(r->graph->nodes, r->nodes, (size_t)r->node_count * sizeof(*r->nodes));
    r->graph->node_count = r->node_count;
    graph_recount(r->graph);
    return STATUS_OK;
}

static bool has_convolution(const struct graph *graph) {
    for (int n = 0; n < graph->node_count; n++) {
        if (channels_last_starts(&graph->nodes[n])) {
            return true;
        }
    }
    return false;
}

enum status pass_channels_last(struct graph *graph, struct error *err) {
    struct rewrite r = {.graph = graph};
    enum status status;
    if (!has_convolution(graph)) {
        return STATUS_OK;
    }
    status = grow_twins(&r) ? walk(&r, err) : no_memory(err);
    if (status == STATUS_OK) {
        status = take_nodes(&r, err);
    }
    free(r.twins);
    free(r.nodes);
    return status;
}
