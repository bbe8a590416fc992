/* fuse_through_reshape.c - MatMul, Reshape, then a bias or an activation: Keras's Dense
 * over more than two axes, or of several heads.  Both move in front of the Reshape, into
 * the product. */
#include "engine/op.h"
#include "engine/ops/ops.h"
#include "engine/passes/match.h"
#include "engine/passes/passes.h"

/* The number `behind` places before the last of a constant list. */
static bool listed(const struct tensor *x, int64_t behind, int64_t *number) {
    if (x == NULL || x->rank != 1 || x->dims[0] <= behind) {
        return false;
    }
    if (x->dtype == DTYPE_I64) {
        *number = ((const int64_t *)x->data)[x->dims[0] - 1 - behind];
        return true;
    }
    if (x->dtype == DTYPE_I32) {
        *number = ((const int32_t *)x->data)[x->dims[0] - 1 - behind];
        return true;
    }
    return false;
}

/* The size of the Reshape's axis `behind` before its last: its target is a constant, or
 * joined from parts of which the last ones are, perhaps behind a Cast. */
static bool target_axis(struct graph *graph, const struct node *reshape, int64_t behind,
                        int64_t *size) {
    const int target = reshape->inputs[1];
    const struct node *cast = match_maker(graph, target, "Cast"), *concat;
    if (graph->values[target].constant != NULL) {
        return listed(graph->values[target].constant, behind, size);
    }
    concat = match_maker(graph, cast != NULL ? cast->inputs[0] : target, "Concat");
    for (int i = concat == NULL ? 0 : concat->input_count; i > 0; i--) {
        const struct tensor *part = graph_constant(graph, concat, i - 1);
        if (part == NULL || part->rank != 1 || part->dims[0] > behind) {
            return listed(part, behind, size);
        }
        behind -= part->dims[0];
    }
    return false;
}

/* The Reshape cuts its last axis, or leaves it, as the bias lies. */
static bool ends_as(struct graph *graph, const struct node *reshape,
                    const struct tensor *bias) {
    for (int i = 0; i < bias->rank; i++) {
        int64_t size;
        if (!target_axis(graph, reshape, i, &size) ||
            size != bias->dims[bias->rank - 1 - i]) {
            return false;
        }
    }
    return bias->rank > 0;
}

/* The product with a constant matrix that `reshape` alone reads, or NULL. */
static struct node *product_of(struct graph *graph, const struct node *reshape) {
    struct node *product = graph_sole_producer(graph, reshape, 0);
    const struct tensor *w;
    if (product == NULL || !match_is(product, "MatMul")) {
        return NULL;
    }
    w = graph_constant(graph, product, 1);
    return w != NULL && w->dtype == DTYPE_F32 && w->rank == 2 ? product : NULL;
}

static enum status take_bias(struct graph *graph, struct node *product,
                             struct node *reshape, struct error *err) {
    const int64_t columns = graph_constant(graph, product, 1)->dims[1];
    struct node *add = graph_sole_reader(graph, reshape, "Add");
    int inputs[] = {product->inputs[0], product->inputs[1], VALUE_NONE};
    if (add == NULL || !match_is(add, "Add") || product->input_count != 2) {
        return STATUS_OK;
    }
    inputs[2] = add->inputs[add->inputs[0] == reshape->outputs[0]];
    const struct tensor *bias = graph->values[inputs[2]].constant;
    const int y = product->outputs[0];
    if (bias == NULL || bias->dtype != DTYPE_F32 ||
        (int64_t)tensor_count(bias) != columns || !ends_as(graph, reshape, bias)) {
        return STATUS_OK;
    }
    if (!graph_node_room(graph, product, 3, 1)) {
        return node_error(product, err, STATUS_NO_MEMORY, "out of memory");
    }
    memcpy(product->inputs, inputs, sizeof(inputs));
    product->outputs[0] = y;
    pass_take_output(graph, reshape, add);
    return STATUS_OK;
}

/* The activation that alone reads the Reshape's result, or NULL. */
static struct node *activation_of(struct graph *graph, const struct node *reshape) {
    for (int n = (int)(reshape - graph->nodes) + 1; n < graph->node_count; n++) {
        struct node *node = &graph->nodes[n];
        if (node->dead || node->input_count == 0 ||
            graph_sole_producer(graph, node, 0) != reshape) {
            continue;
        }
        return unary_act(node) != NULL || clip_act(node) != NULL ? node : NULL;
    }
    return NULL;
}

static void take_activation(struct graph *graph, struct node *product,
                            struct node *reshape) {
    struct node *node = activation_of(graph, reshape);
    if (node != NULL && product->act.kind == ACT_NONE) {
        const struct act *act = unary_act(node);
        product->act = act != NULL ? *act : *clip_act(node);
        pass_take_output(graph, reshape, node);
    }
}

enum status pass_fuse_through_reshape(struct graph *graph, struct error *err) {
    for (int n = 0; n < graph->node_count; n++) {
        struct node *reshape = &graph->nodes[n], *product;
        enum status status;
        if (!match_is(reshape, "Reshape")) {
            continue;
        }
        product = product_of(graph, reshape);
        status = product == NULL ? STATUS_OK : take_bias(graph, product, reshape, err);
        if (status != STATUS_OK) {
            return status;
        }
        if (product != NULL) {
            take_activation(graph, product, reshape);
        }
    }
    return STATUS_OK;
}
