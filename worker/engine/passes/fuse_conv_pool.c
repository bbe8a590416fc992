/* fuse_conv_pool.c - Conv of few channels, then MaxPool 2x2: one kernel that never writes
 * the unpooled image. */
#include "engine/op.h"
#include "engine/ops/ops.h"
#include "engine/passes/passes.h"

enum status pass_fuse_conv_pool(struct graph *graph, struct error *err) {
    (void)err; /* cannot fail */
    for (int n = 0; n < graph->node_count; n++) {
        struct node *conv = &graph->nodes[n], *pool;
        if (conv->dead || strcmp(conv->type, "Conv") != 0 || conv->op->domain != NULL) {
            continue;
        }
        pool = graph_sole_reader(graph, conv, "MaxPool");
        if (pool != NULL && pool_is_max_2x2(pool) && conv_fuse_pool(graph, conv)) {
            pass_take_output(graph, conv, pool);
        }
    }
    return STATUS_OK;
}
