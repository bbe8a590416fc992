/* fuse_residual.c - a Conv, then Add or Sum of its result and another tensor: the way
 * around in a residual network.  The convolution starts from the other tensor. */
#include "engine/op.h"
#include "engine/ops/ops.h"
#include "engine/ops/residual.h"
#include "engine/passes/match.h"
#include "engine/passes/passes.h"

/* The Conv that makes input `side` of `add` and can take the other input, made before. */
static struct node *conv_for(struct graph *graph, const struct node *add, int side) {
    struct node *conv = graph_sole_producer(graph, add, side);
    const struct value *other = graph_input(graph, add, 1 - side);
    if (conv == NULL || !match_is(conv, "Conv") || other == NULL ||
        conv->input_count > RESIDUAL_INPUT || !conv_accumulates(graph, conv) ||
        other->producer >= (int)(conv - graph->nodes)) {
        return NULL;
    }
    return conv;
}

static enum status fuse(struct graph *graph, struct node *conv, struct node *add,
                        int side, struct error *err) {
    const int x = conv->inputs[0], w = conv->inputs[1], y = conv->outputs[0];
    const int bias = conv->input_count > 2 ? conv->inputs[2] : VALUE_NONE;
    if (!graph_node_room(graph, conv, RESIDUAL_INPUT + 1, 1)) {
        return node_error(conv, err, STATUS_NO_MEMORY, "out of memory");
    }
    conv->inputs[0] = x;
    conv->inputs[1] = w;
    conv->inputs[2] = bias;
    conv->inputs[RESIDUAL_INPUT] = add->inputs[1 - side];
    conv->outputs[0] = y;
    pass_take_output(graph, conv, add);
    return STATUS_OK;
}

enum status pass_fuse_residual(struct graph *graph, struct error *err) {
    for (int n = 0; n < graph->node_count; n++) {
        struct node *add = &graph->nodes[n];
        if ((!match_is(add, "Add") && !match_is(add, "Sum")) || add->input_count != 2 ||
            (add->opset < 7 && match_is(add, "Add")) ||
            graph_input_dtype(graph, add, 0) != DTYPE_F32) {
            continue;
        }
        for (int side = 0; side < 2; side++) {
            struct node *conv = conv_for(graph, add, side);
            if (conv != NULL) {
                enum status status = fuse(graph, conv, add, side, err);
                if (status != STATUS_OK) {
                    return status;
                }
                break;
            }
        }
    }
    return STATUS_OK;
}
