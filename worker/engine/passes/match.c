/* match.c - see match.h. */
#include "engine/passes/match.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/op.h"

bool match_is(const struct node *node, const char *type) {
    return !node->dead && node->op->domain == NULL && node->act.kind == ACT_NONE &&
           strcmp(node->type, type) == 0;
}

struct node *match_maker(struct graph *graph, int value, const char *type) {
    struct node *node;
    if (value == VALUE_NONE || graph->values[value].producer == NODE_NONE) {
        return NULL;
    }
    node = &graph->nodes[graph->values[value].producer];
    return match_is(node, type) && node->outputs[0] == value ? node : NULL;
}

bool match_scalar(const struct graph *graph, int value, float *scalar) {
    const struct tensor *x = value == VALUE_NONE ? NULL : graph->values[value].constant;
    if (x == NULL || x->dtype != DTYPE_F32 || x->rank > 1 || tensor_count(x) != 1) {
        return false;
    }
    *scalar = *(const float *)x->data;
    return true;
}

bool match_near(const struct graph *graph, int value, float wanted) {
    float scalar;
    return match_scalar(graph, value, &scalar) &&
           fabsf(scalar - wanted) <= 1e-6F * fabsf(wanted);
}

bool match_with_scalar(const struct graph *graph, const struct node *node, int *other,
                       float *scalar) {
    if (node->input_count != 2) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        if (match_scalar(graph, node->inputs[i], scalar)) {
            *other = node->inputs[!i];
            return true;
        }
    }
    return false;
}

struct node *match_either(struct graph *graph, const struct node *node, const char *type,
                          int *other) {
    for (int i = 0; i < 2 && node->input_count == 2; i++) {
        struct node *maker = match_maker(graph, node->inputs[i], type);
        if (maker != NULL) {
            *other = node->inputs[!i];
            return maker;
        }
    }
    return NULL;
}

int match_axis(const struct graph *graph, struct node *node, int rank) {
    const struct tensor *input = graph_constant(graph, node, 1);
    const struct attr *attr = attr_find(node, "axes");
    int64_t axis = -rank - 1;
    if (input != NULL && input->dtype == DTYPE_I64 && tensor_count(input) == 1) {
        axis = *(const int64_t *)input->data;
    } else if (node->input_count == 1 && attr != NULL && attr->kind == ATTR_INTS &&
               attr->count == 1) {
        axis = attr->as.ints[0];
    }
    axis += axis < 0 ? rank : 0;
    return axis >= 0 && axis < rank ? (int)axis : -1;
}

enum status match_become(struct graph *graph, struct node *node, const char *type,
                         int64_t opset, const int *inputs, int input_count,
                         const struct attr *attrs, int attr_count, struct error *err) {
    const int output = node->outputs[0];
    struct attr *items =
        arena_alloc(&graph->arena, (size_t)attr_count + 1, sizeof(*items));
    if (items == NULL || !graph_node_room(graph, node, input_count, 1)) {
        return node_error(node, err, STATUS_NO_MEMORY, "out of memory");
    }
    if (attr_count > 0) {
        memcpy(items, attrs, (size_t)attr_count * sizeof(*items));
    }
    memcpy(node->inputs, inputs, (size_t)input_count * sizeof(*inputs));
    node->outputs[0] = output;
    node->op = op_find(NULL, type, opset);
    node->op = node->op != NULL ? node->op : op_find("millrace", type, opset);
    assert(node->op != NULL);
    node->type = type;
    node->opset = opset;
    node->attrs = (struct attr_list){.items = items, .count = attr_count};
    node->state = NULL;
    graph_recount(graph);
    return op_prepare(graph, node, err);
}
