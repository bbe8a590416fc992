/* load.c - see load.h. */
#include "engine/load.h"

#include <assert.h>

#include "engine/kernels/blas.h"
#include "engine/op.h"
#include "engine/prepare.h"
#include "engine/passes/passes.h"
#include "engine/weights.h"

enum status load_status(enum status status, struct error *err) {
    if (status == STATUS_POISON) {
        err->status = status = STATUS_INVALID;
    }
    return status;
}

enum status load_node(struct graph *graph, struct node *node, struct error *err) {
    return load_status(op_prepare(graph, node, err), err);
}

static enum status pack_nodes(struct graph *graph, struct error *err) {
    struct weights weights;
    enum status status = STATUS_OK;
    if (!weights_begin(&weights, graph)) {
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    }
    for (int n = 0; status == STATUS_OK && n < graph->node_count; n++) {
        struct load load = {
            .graph = graph, .node = &graph->nodes[n], .weights = &weights};
        if (load.node->op->pack != NULL) {
            status = load_status(load.node->op->pack(&load, err), err);
            weights_consumed(&weights, load.node, load.consumed);
        }
    }
    weights_end(&weights);
    return status;
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
    graph->values[to].inner[0] = graph->values[from].inner[0];
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

/* Opening the library takes longer than many a model does, and run is no time for it. */
static void load_blas(const struct graph *graph) {
    for (int v = 0; v < graph->value_count; v++) {
        if (graph->values[v].dtype == DTYPE_F64) {
            (void)blas_load(); /* without it the kernels' own loops are used */
            return;
        }
    }
}

enum status load_graph(struct graph *graph, unsigned passes, struct error *err) {
    enum status status;
    graph->passes = passes;
    status = prepare_nodes(graph, err);
    load_blas(graph);
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
