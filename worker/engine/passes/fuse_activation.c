/* fuse_activation.c - an activation behind a node that can apply it to its result. */
#include "engine/op.h"
#include "engine/ops/ops.h"
#include "engine/passes/passes.h"

static const struct act *act_of(const struct node *node) {
    const struct act *act = unary_act(node);
    return act != NULL ? act : clip_act(node);
}

/* The node that alone makes the input of `node` and can take its activation. */
static struct node *fusing_producer(struct graph *graph, const struct node *node) {
    struct node *maker = graph_sole_producer(graph, node, 0);
    if (maker == NULL || maker->dead || (maker->op->flags & OP_FUSES_ACTIVATION) == 0 ||
        maker->act.kind != ACT_NONE || graph_input_dtype(graph, node, 0) != DTYPE_F32 ||
        maker->outputs[0] != node->inputs[0]) {
        return NULL;
    }
    return maker;
}

enum status pass_fuse_activation(struct graph *graph, struct error *err) {
    (void)err; /* cannot fail */
    for (int n = 0; n < graph->node_count; n++) {
        struct node *node = &graph->nodes[n], *maker;
        const struct act *act = node->dead ? NULL : act_of(node);
        if (act == NULL) {
            continue;
        }
        maker = fusing_producer(graph, node);
        if (maker != NULL) {
            maker->act = *act;
            pass_take_output(graph, maker, node);
        }
    }
    return STATUS_OK;
}
