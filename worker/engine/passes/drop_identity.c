/* drop_identity.c - nodes that hand on their input: Identity, and Dropout in inference.
 */
#include <string.h>

#include "engine/op.h"
#include "engine/passes/passes.h"

static bool hands_on(const struct node *node) {
    bool is = strcmp(node->type, "Identity") == 0 || strcmp(node->type, "Dropout") == 0;
    return is && node->op->domain == NULL && node->outputs[0] != VALUE_NONE;
}

/* Dropout's mask is wanted by nobody that inference serves; keep the node if it is. */
static bool mask_wanted(const struct graph *graph, const struct node *node) {
    return node->output_count > 1 && node->outputs[1] != VALUE_NONE &&
           graph->values[node->outputs[1]].use_count > 0;
}

enum status pass_drop_identity(struct graph *graph, struct error *err) {
    (void)err; /* cannot fail */
    for (int n = 0; n < graph->node_count; n++) {
        struct node *node = &graph->nodes[n];
        if (!hands_on(node) || mask_wanted(graph, node) ||
            graph->values[node->outputs[0]].is_output) {
            continue;
        }
        node->dead = true;
        graph_replace_uses(graph, node->outputs[0], node->inputs[0]);
    }
    return STATUS_OK;
}
