/* merge_transpose.c - a Transpose of a Transpose that undo each other: the reader of the
 * second reads what the first reads. */
#include <string.h>

#include "engine/op.h"
#include "engine/ops/ops.h"
#include "engine/passes/passes.h"

static bool is_transpose(const struct node *node) {
    return strcmp(node->type, "Transpose") == 0 && node->op->domain == NULL;
}

static bool undo(const struct node *first, const struct node *second) {
    int rank_a, rank_b;
    const int64_t *a = transpose_perm(first, &rank_a);
    const int64_t *b = transpose_perm(second, &rank_b);
    if (a == NULL || b == NULL) {
        return a == b; /* reversed twice */
    }
    for (int i = 0; i < rank_a; i++) {
        if (rank_a != rank_b || a[b[i]] != i) {
            return false;
        }
    }
    return true;
}

enum status pass_merge_transpose(struct graph *graph, struct error *err) {
    (void)err; /* cannot fail */
    for (int n = 0; n < graph->node_count; n++) {
        struct node *second = &graph->nodes[n];
        int producer;
        if (second->dead || !is_transpose(second) ||
            graph->values[second->outputs[0]].is_output) {
            continue;
        }
        producer = graph->values[second->inputs[0]].producer;
        if (producer != NODE_NONE && is_transpose(&graph->nodes[producer]) &&
            undo(&graph->nodes[producer], second)) {
            second->dead = true;
            graph_replace_uses(graph, second->outputs[0],
                               graph->nodes[producer].inputs[0]);
        }
    }
    return STATUS_OK;
}
