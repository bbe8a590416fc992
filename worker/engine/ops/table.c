/* table.c - every operator the engine knows: one line a file. */
#include "engine/ops/ops.h"

static const struct op_list *const lists[] = {
    &ops_attention,  &ops_binary,
    &ops_cast,       &ops_clip,
    &ops_concat,     &ops_constant,
    &ops_control,    &ops_conv,
    &ops_cumulate,   &ops_expand,
    &ops_float_test, &ops_function,
    &ops_gather,     &ops_gather_elements,
    &ops_gemm,       &ops_linear_attention,
    &ops_logic,      &ops_loss,
    &ops_matmul,     &ops_ml_linear,
    &ops_ml_tree,    &ops_norm,
    &ops_norm_more,  &ops_pad,
    &ops_pick,       &ops_pool,
    &ops_pow,        &ops_range,
    &ops_reduce,     &ops_reshape,
    &ops_resize,     &ops_rms_norm,
    &ops_rnn,        &ops_rotary,
    &ops_scan,       &ops_scatter,
    &ops_sequence,   &ops_sequence_map,
    &ops_shape,      &ops_slice,
    &ops_softmax,    &ops_space_depth,
    &ops_split,      &ops_transpose,
    &ops_unary,      &ops_variadic,
};

const struct op_list *const *op_table(size_t *count) {
    *count = ARRAY_COUNT(lists);
    return lists;
}
