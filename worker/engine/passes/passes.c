/* passes.c - the table; see passes.h. */
#include "engine/passes/passes.h"

#include <assert.h>

static const struct pass table[] = {
    {"drop_identity", pass_drop_identity},
    {"quantized", pass_quantized},
    {"fuse_integer_product", pass_fuse_integer_product},
    {"merge_transpose", pass_merge_transpose},
    {"shape_of_transpose", pass_shape_of_transpose},
    {"conv_1d", pass_conv_1d},
    {"fold_pad", pass_fold_pad},
    {"channels_last", pass_channels_last},
    {"fuse_layer_norm", pass_fuse_layer_norm},
    {"fuse_gelu", pass_fuse_gelu},
    {"fuse_attention", pass_fuse_attention},
    {"fuse_through_reshape", pass_fuse_through_reshape},
    {"fold_affine", pass_fold_affine},
    {"fuse_residual", pass_fuse_residual},
    {"fuse_activation", pass_fuse_activation},
    {"fuse_conv_pool", pass_fuse_conv_pool},
};
_Static_assert(ARRAY_COUNT(table) <= 32, "a pass is a bit of an unsigned");

const struct pass *passes_table(size_t *count) {
    *count = ARRAY_COUNT(table);
    return table;
}

enum status passes_apply(struct graph *graph, unsigned wanted, struct error *err) {
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        enum status status;
        if ((wanted >> i & 1) == 0) {
            continue;
        }
        status = table[i].apply(graph, err);
        if (status != STATUS_OK) {
            return status;
        }
        graph_sweep(graph);
        graph_check(graph);
    }
    return STATUS_OK;
}

void pass_take_output(struct graph *graph, struct node *node, struct node *last) {
    assert(node->output_count >= 1);
    assert(last->output_count >= 1);
    node->outputs[0] = last->outputs[0];
    last->dead = true;
    graph_recount(graph);
}
