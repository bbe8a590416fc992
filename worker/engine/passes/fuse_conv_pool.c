/* fuse_conv_pool.c - Conv, MaxPool 2x2, Transpose to channels last: one kernel that never
 * writes the unpooled image.  Keras networks that flatten look so. */
#include "engine/op.h"
#include "engine/ops/ops.h"
#include "engine/passes/passes.h"

static bool to_channels_last(const struct node *transpose) {
    static const int64_t nhwc[] = {0, 2, 3, 1};
    int rank;
    const int64_t *perm = transpose_perm(transpose, &rank);
    return perm != NULL && rank == 4 && memcmp(perm, nhwc, sizeof(nhwc)) == 0;
}

enum status pass_fuse_conv_pool(struct graph *graph, struct error *err) {
    (void)err; /* cannot fail */
    for (int n = 0; n < graph->node_count; n++) {
        struct node *conv = &graph->nodes[n], *pool, *transpose;
        if (conv->dead || strcmp(conv->type, "Conv") != 0 || conv->op->domain != NULL) {
            continue;
        }
        pool = graph_sole_reader(graph, conv, "MaxPool");
        if (pool == NULL || !pool_is_max_2x2(pool)) {
            continue;
        }
        transpose = graph_sole_reader(graph, pool, "Transpose");
        if (transpose != NULL && to_channels_last(transpose) &&
            conv_fuse_pool(graph, conv)) {
            pool->dead = true;
            pass_take_output(graph, conv, transpose);
        }
    }
    return STATUS_OK;
}
