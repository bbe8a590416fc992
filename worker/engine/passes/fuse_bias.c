/* fuse_bias.c - MatMul or Conv, then Add of a constant: the bias becomes input 2.
 *
 *     MatMul  a vector, one number for each column of a constant matrix
 *     Conv    one number for each output channel, shaped [1, channels, 1, 1] */
#include "engine/op.h"
#include "engine/passes/passes.h"

static bool is_vector(const struct tensor *bias, int64_t count) {
    return bias->rank == 1 && bias->dims[0] == count;
}

/* [channels, 1, ..] with as many axes as the weights, or 1 in front of them. */
static bool is_per_channel(const struct tensor *bias, const struct tensor *w) {
    int lead = bias->rank - (w->rank - 1);
    if (lead < 0 || lead > 1 || (lead == 1 && bias->dims[0] != 1) ||
        bias->dims[lead] != w->dims[0]) {
        return false;
    }
    for (int i = lead + 1; i < bias->rank; i++) {
        if (bias->dims[i] != 1) {
            return false;
        }
    }
    return true;
}

static bool suits(const struct node *node, const struct tensor *w,
                  const struct tensor *bias) {
    if (w == NULL || bias == NULL || w->dtype != DTYPE_F32 || bias->dtype != DTYPE_F32) {
        return false;
    }
    if (strcmp(node->type, "MatMul") == 0) {
        return w->rank == 2 && is_vector(bias, w->dims[1]);
    }
    return w->rank >= 3 && is_per_channel(bias, w);
}

/* Conv wants a vector. */
static int bias_value(struct graph *graph, int value, int64_t count) {
    struct tensor *vector;
    int made;
    if (graph->values[value].constant->rank == 1) {
        return value;
    }
    vector = arena_alloc(&graph->arena, 1, sizeof(*vector));
    made = graph_add_value(graph, graph->values[value].name);
    if (vector == NULL || made < 0) {
        return -1;
    }
    *vector = (struct tensor){.dtype = DTYPE_F32,
                              .rank = 1,
                              .dims = {count},
                              .data = graph->values[value].constant->data};
    graph->values[made].dtype = DTYPE_F32;
    graph->values[made].constant = vector;
    return made;
}

static enum status fuse(struct graph *graph, struct node *node, struct node *add,
                        int input, struct error *err) {
    const struct tensor *bias = graph_constant(graph, add, input);
    int value = bias_value(graph, add->inputs[input], (int64_t)tensor_count(bias));
    int x = node->inputs[0], w = node->inputs[1], y = node->outputs[0];
    if (value < 0 || !graph_node_room(graph, node, 3, 1)) {
        return node_error(node, err, STATUS_NO_MEMORY, "out of memory");
    }
    node->inputs[0] = x;
    node->inputs[1] = w;
    node->inputs[2] = value;
    node->outputs[0] = y;
    pass_take_output(graph, node, add);
    return STATUS_OK;
}

enum status pass_fuse_bias(struct graph *graph, struct error *err) {
    for (int n = 0; n < graph->node_count; n++) {
        struct node *node = &graph->nodes[n], *add;
        if (node->dead || (node->op->flags & OP_FUSES_BIAS) == 0 ||
            (node->input_count > 2 && node->inputs[2] != VALUE_NONE)) {
            continue;
        }
        add = graph_sole_reader(graph, node, "Add");
        for (int i = 0; add != NULL && i < 2; i++) {
            if (add->inputs[!i] == node->outputs[0] &&
                suits(node, graph_constant(graph, node, 1),
                      graph_constant(graph, add, i))) {
                enum status status = fuse(graph, node, add, i, err);
                if (status != STATUS_OK) {
                    return status;
                }
                break;
            }
        }
    }
    return STATUS_OK;
}
