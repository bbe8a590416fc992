/* fuse_conv_pool.c - Conv of few channels, then MaxPool 2x2: one kernel that never writes
 * the unpooled image. */
#include "engine/op.h"
#include "engine/ops/ops.h"
#include "engine/passes/passes.h"

static const struct {
    const char *type;
    bool (*fuse)(const struct graph *graph, struct node *conv);
} kinds[] = {
    {"Conv", conv_fuse_pool},
    {"QLinearConv", conv_integer_fuse_pool},
};

static bool fuse(const struct graph *graph, struct node *conv) {
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (strcmp(conv->type, kinds[i].type) == 0 && conv->op->domain == NULL) {
            return kinds[i].fuse(graph, conv);
        }
    }
    return false;
}

enum status pass_fuse_conv_pool(struct graph *graph, struct error *err) {
    (void)err; /* cannot fail */
    for (int n = 0; n < graph->node_count; n++) {
        struct node *conv = &graph->nodes[n], *pool;
        if (conv->dead) {
            continue;
        }
        pool = graph_sole_reader(graph, conv, "MaxPool");
        if (pool != NULL && pool_is_max_2x2(pool) && fuse(graph, conv)) {
            pass_take_output(graph, conv, pool);
        }
    }
    return STATUS_OK;
}
