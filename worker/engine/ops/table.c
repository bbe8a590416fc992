/* table.c - every operator the engine knows: one line a file. */
#include "engine/ops/ops.h"

static const struct op_list *const lists[] = {
    &ops_binary,     &ops_cast,      &ops_clip,    &ops_concat, &ops_constant,
    &ops_conv,       &ops_expand,    &ops_gather,  &ops_gemm,   &ops_logic,
    &ops_matmul,     &ops_ml_linear, &ops_ml_tree, &ops_norm,   &ops_pool,
    &ops_reduce,     &ops_reshape,   &ops_rnn,     &ops_shape,  &ops_slice,
    &ops_softmax,    &ops_transpose, &ops_unary,   &ops_pow,    &ops_loss,
    &ops_float_test,
};

const struct op_list *const *op_table(size_t *count) {
    *count = ARRAY_COUNT(lists);
    return lists;
}
