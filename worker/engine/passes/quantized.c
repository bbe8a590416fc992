/* quantized.c - what stands between DequantizeLinear and QuantizeLinear is computed on
 * bytes: the walk and its rules; see quantized.h. */
#include "engine/passes/quantized.h"

#include <stdlib.h>
#include <string.h>

#include "engine/op.h"
#include "engine/ops/ops.h"
#include "engine/passes/match.h"
#include "engine/passes/passes.h"

/* ---- sinks ------------------------------------------------------------------------- */

/* The node that alone reads `value`, at its first input; -1 where there is none. */
static int sole_reader(const struct quantized *q, int value) {
    const struct value *v = &q->graph->values[value];
    int reader;
    if (value >= q->reader_count || v->use_count != 1 || v->is_output) {
        return -1;
    }
    reader = q->readers[value];
    return q->graph->nodes[reader].inputs[0] == value ? reader : -1;
}

static bool clamps(const struct node *node) {
    const struct act *act = node->op->domain != NULL ? NULL : unary_act(node);
    act = act == NULL && node->op->domain == NULL ? clip_act(node) : act;
    return act != NULL && (act->kind == ACT_RELU || act->kind == ACT_CLIP);
}

bool quantized_sink(struct quantized *q, int value, struct sink *sink) {
    int reader = sole_reader(q, value);
    const struct node *node = NULL;
    sink->is_direct = true;
    while (reader >= 0) {
        node = &q->graph->nodes[reader];
        if (!clamps(node)) {
            break;
        }
        sink->is_direct = false;
        reader = sole_reader(q, node->outputs[0]);
    }
    if (reader < 0 || !match_is(node, "QuantizeLinear") || q->done[reader] ||
        !quantized_form(q, node, &sink->form)) {
        return false;
    }
    sink->node = reader;
    sink->dtype = q->graph->values[node->outputs[0]].dtype;
    return true;
}

enum status quantized_sink_output(struct quantized *q, int value, struct sink *sink,
                                  int *made) {
    enum status status;
    if (sink->is_direct) {
        q->done[sink->node] = true;
        *made = q->graph->nodes[sink->node].outputs[0];
        return STATUS_OK;
    }
    status = quantized_value(q, &q->graph->nodes[sink->node], made);
    if (status == STATUS_OK) {
        quantized_learn(q, value, *made, sink->form);
    }
    return status;
}

/* ---- the ends ---------------------------------------------------------------------- */

static enum status rule_quantize(struct quantized *q, struct node *node, bool *keep) {
    const int output = node->outputs[0];
    struct form form;
    int made;
    enum status status;
    if (!quantized_form(q, node, &form)) {
        return STATUS_OK;
    }
    status = quantized_bytes(q, node, node->inputs[0], output, &made);
    *keep = status == STATUS_OK && made == VALUE_NONE;
    if (status != STATUS_OK || *keep || made == output) {
        return status;
    }
    if (q->graph->values[output].is_output) {
        return quantized_emit(q, node, NULL, "Identity", &made, 1, NULL, output);
    }
    q->facts[output].alias = made;
    return STATUS_OK;
}

static enum status rule_dequantize(struct quantized *q, struct node *node, bool *keep) {
    struct form form;
    (void)keep;
    if (quantized_form(q, node, &form)) {
        quantized_learn(q, node->outputs[0], node->inputs[0], form);
    }
    return STATUS_OK;
}

/* ---- the walk ---------------------------------------------------------------------- */

static const struct {
    const char *type;
    quantized_rule *rule;
} rules[] = {
    {"DequantizeLinear", rule_dequantize},
    {"QuantizeLinear", rule_quantize},
    {"Conv", quantized_conv},
    {"MatMul", quantized_matmul},
    {"Gemm", quantized_gemm},
    {"Add", quantized_binary},
    {"Mul", quantized_binary},
    {"AveragePool", quantized_pool},
    {"GlobalAveragePool", quantized_global_pool},
    {"Concat", quantized_concat},
    {"Pad", quantized_pad},
    {"Resize", quantized_resize},
    {"Upsample", quantized_resize},
    {"MaxPool", quantized_pool},
    {"DepthToSpace", quantized_move},
    {"Expand", quantized_move},
    {"Flatten", quantized_move},
    {"Gather", quantized_move},
    {"GatherElements", quantized_move},
    {"Reshape", quantized_move},
    {"Slice", quantized_move},
    {"SpaceToDepth", quantized_move},
    {"Split", quantized_move},
    {"Squeeze", quantized_move},
    {"Tile", quantized_move},
    {"Transpose", quantized_move},
    {"Unsqueeze", quantized_move},
};

static enum status apply_rule(struct quantized *q, struct node *node, bool *keep) {
    if (node->op->domain != NULL || node->input_count != node->explicit_count ||
        node->input_count == 0) {
        return STATUS_OK;
    }
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        if (strcmp(rules[i].type, node->type) == 0) {
            return rules[i].rule(q, node, keep);
        }
    }
    return quantized_elementwise(q, node, keep);
}

static enum status walk(struct quantized *q) {
    enum status status = STATUS_OK;
    for (int n = 0; status == STATUS_OK && n < q->graph->node_count; n++) {
        struct node *node = &q->graph->nodes[n];
        bool keep = true;
        if (q->done[n]) {
            continue;
        }
        for (int i = 0; i < node->input_count; i++) {
            const int value = node->inputs[i];
            if (value != VALUE_NONE && q->facts[value].alias != VALUE_NONE) {
                node->inputs[i] = q->facts[value].alias;
            }
        }
        status = apply_rule(q, node, &keep);
        if (status == STATUS_OK && keep) {
            status = quantized_push(q, node);
        }
    }
    return status;
}

static enum status take_nodes(struct quantized *q) {
    while (q->graph->node_count < q->node_count) {
        if (graph_add_node(q->graph) < 0) {
            return quantized_no_memory(q);
        }
    }
    memcpy(q->graph->nodes, q->nodes, (size_t)q->node_count * sizeof(*q->nodes));
    q->graph->node_count = q->node_count;
    graph_recount(q->graph);
    return STATUS_OK;
}

static bool start(struct quantized *q) {
    struct graph *graph = q->graph;
    q->reader_count = graph->value_count;
    q->readers = calloc((size_t)graph->value_count + 1, sizeof(*q->readers));
    q->done = calloc((size_t)graph->node_count + 1, sizeof(*q->done));
    if (q->readers == NULL || q->done == NULL || !quantized_grow(q)) {
        return false;
    }
    for (int n = 0; n < graph->node_count; n++) {
        for (int i = 0; i < graph->nodes[n].input_count; i++) {
            if (graph->nodes[n].inputs[i] != VALUE_NONE) {
                q->readers[graph->nodes[n].inputs[i]] = n;
            }
        }
    }
    return true;
}

static bool has_bytes(const struct graph *graph) {
    for (int n = 0; n < graph->node_count; n++) {
        if (strcmp(graph->nodes[n].type, "DequantizeLinear") == 0) {
            return true;
        }
    }
    return false;
}

enum status pass_quantized(struct graph *graph, struct error *err) {
    struct quantized q = {.graph = graph,
                          .err = err,
                          .zeros = {VALUE_NONE, VALUE_NONE},
                          .iotas = {VALUE_NONE, VALUE_NONE}};
    enum status status;
    if (!has_bytes(graph)) {
        return STATUS_OK;
    }
    status = start(&q) ? walk(&q) : quantized_no_memory(&q);
    if (status == STATUS_OK) {
        status = take_nodes(&q);
    }
    free(q.facts);
    free(q.readers);
    free(q.done);
    free(q.nodes);
    return status;
}
