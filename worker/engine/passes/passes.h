/* passes.h - rewrites of the graph at load; each leaves every result the same.
 *
 * A pass looks for a pattern, changes nodes in place or marks them dead, and keeps the
 * order of nodes: a value is made before it is read.  The graph is swept after each.
 *
 * Depends on: engine/graph.h.
 * Ownership: what a pass makes belongs to the graph.
 * Threads: one, while loading. */
#ifndef MILLRACE_ENGINE_PASSES_PASSES_H
#define MILLRACE_ENGINE_PASSES_PASSES_H

#include "engine/graph.h"

#define PASSES_ALL (~0U)

struct pass {
    const char *name;
    enum status (*apply)(struct graph *graph, struct error *err);
};

/* The table, in the order of application. */
const struct pass *passes_table(size_t *count);

/* Applies the passes whose bit is set in `wanted`. */
MUST_CHECK enum status passes_apply(struct graph *graph, unsigned wanted,
                                    struct error *err);

/* One file each. */
enum status pass_drop_identity(struct graph *graph, struct error *err);
enum status pass_quantized(struct graph *graph, struct error *err);
enum status pass_fuse_integer_product(struct graph *graph, struct error *err);
enum status pass_merge_transpose(struct graph *graph, struct error *err);
enum status pass_shape_of_transpose(struct graph *graph, struct error *err);
enum status pass_conv_1d(struct graph *graph, struct error *err);
enum status pass_fold_pad(struct graph *graph, struct error *err);
enum status pass_channels_last(struct graph *graph, struct error *err);
enum status pass_fuse_layer_norm(struct graph *graph, struct error *err);
enum status pass_fuse_gelu(struct graph *graph, struct error *err);
enum status pass_fuse_attention(struct graph *graph, struct error *err);
enum status pass_fuse_through_reshape(struct graph *graph, struct error *err);
enum status pass_fold_affine(struct graph *graph, struct error *err);
enum status pass_fuse_residual(struct graph *graph, struct error *err);
enum status pass_fuse_activation(struct graph *graph, struct error *err);
enum status pass_fuse_conv_pool(struct graph *graph, struct error *err);

/* For passes: `node` computes what `last` did, and `last` goes. */
void pass_take_output(struct graph *graph, struct node *node, struct node *last);

#endif
