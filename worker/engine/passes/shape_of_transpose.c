/* shape_of_transpose.c - how tf2onnx writes the shape of a transposed tensor:
 *
 *     Gather(Shape(x), perm)   where   y = Transpose(x, perm)   becomes   Shape(y)
 *
 * so that x is read by the Transpose alone and can be fused with what makes it. */
#include <string.h>

#include "engine/load.h"
#include "engine/op.h"
#include "engine/ops/ops.h"
#include "engine/passes/passes.h"

static struct node *producer_of_type(struct graph *graph, const struct node *node,
                                     int input, const char *type) {
    int producer = graph->values[node->inputs[input]].producer;
    struct node *found = producer == NODE_NONE ? NULL : &graph->nodes[producer];
    bool is =
        found != NULL && strcmp(found->type, type) == 0 && found->op->domain == NULL;
    return is ? found : NULL;
}

static int64_t index_at(const struct tensor *indices, int i) {
    return indices->dtype == DTYPE_I64 ? ((const int64_t *)indices->data)[i]
                                       : ((const int32_t *)indices->data)[i];
}

/* The constant indices of `gather` are the perm of `transpose`. */
static bool picks(const struct graph *graph, const struct node *gather,
                  const struct node *transpose) {
    const struct tensor *indices = graph_constant(graph, gather, 1);
    int rank;
    const int64_t *perm = transpose_perm(transpose, &rank);
    if (indices == NULL || perm == NULL || indices->rank != 1 ||
        indices->dims[0] != rank) {
        return false;
    }
    for (int i = 0; i < rank; i++) {
        if (index_at(indices, i) != perm[i]) {
            return false;
        }
    }
    return true;
}

/* A Transpose of value `x` in front of node `before` whose perm `gather` picks by. */
static struct node *find_transpose(struct graph *graph, int x,
                                   const struct node *gather) {
    for (int n = 0; n < (int)(gather - graph->nodes); n++) {
        struct node *node = &graph->nodes[n];
        if (!node->dead && strcmp(node->type, "Transpose") == 0 &&
            node->op->domain == NULL && node->inputs[0] == x &&
            picks(graph, gather, node)) {
            return node;
        }
    }
    return NULL;
}

enum status pass_shape_of_transpose(struct graph *graph, struct error *err) {
    for (int n = 0; n < graph->node_count; n++) {
        struct node *gather = &graph->nodes[n], *shape, *transpose;
        enum status status;
        if (gather->dead || strcmp(gather->type, "Gather") != 0 ||
            gather->op->domain != NULL) {
            continue;
        }
        shape = producer_of_type(graph, gather, 0, "Shape");
        if (shape == NULL || shape->attrs.count > 0) { /* a part of the shape only */
            continue;
        }
        transpose = find_transpose(graph, shape->inputs[0], gather);
        if (transpose == NULL) {
            continue;
        }
        gather->op = shape->op;
        gather->type = "Shape";
        gather->attrs = (struct attr_list){0};
        gather->input_count = 1;
        gather->inputs[0] = transpose->outputs[0];
        status = load_node(graph, gather, err);
        if (status != STATUS_OK) {
            return status;
        }
        graph_recount(graph);
    }
    return STATUS_OK;
}
