/* ops.h - the operators' files, one list each; see README.md for how to add one.
 *
 * Depends on: engine/op.h.
 * Ownership: static and immutable.
 * Threads: read-only. */
#ifndef MILLRACE_ENGINE_OPS_OPS_H
#define MILLRACE_ENGINE_OPS_OPS_H

#include "engine/op.h"

extern const struct op_list ops_affine_grid, ops_attention, ops_binary,
    ops_byte_elementwise, ops_cast, ops_causal_conv, ops_center_crop_pad, ops_clip,
    ops_col2im, ops_concat, ops_constant, ops_control, ops_conv, ops_conv_integer,
    ops_conv_transpose, ops_cumulate, ops_deform_conv, ops_det, ops_dropout, ops_einsum,
    ops_expand, ops_float_test, ops_fourier, ops_function, ops_gather,
    ops_gather_elements, ops_gemm, ops_grid_sample, ops_key_mask, ops_linear_attention,
    ops_logic, ops_loss, ops_lrn, ops_matmul, ops_matmul_integer, ops_max_unpool,
    ops_ml_encode, ops_ml_features, ops_ml_linear, ops_ml_map, ops_ml_svm, ops_ml_tree,
    ops_norm, ops_norm_more, ops_optimizer, ops_pad, ops_pick, ops_pool, ops_pow,
    ops_quantize, ops_random, ops_range, ops_reduce, ops_regex_match, ops_reshape,
    ops_resize, ops_rms_norm, ops_rnn, ops_roi, ops_rotary, ops_scan, ops_scatter,
    ops_select, ops_sequence, ops_sequence_map, ops_shape, ops_signal, ops_slice,
    ops_softmax, ops_space_depth, ops_split, ops_swiglu, ops_tensor_scatter, ops_text,
    ops_tfidf, ops_tokenizer, ops_transpose, ops_unary, ops_unique, ops_variadic;

/* The activation a node computes and nothing else, for fusing; NULL where it is none, or
 * its parameters are not known at load.  (unary.c, clip.c) */
const struct act *unary_act(const struct node *node);
const struct act *clip_act(const struct node *node);

/* True where a convolution with constant weights reads so few channels that their images
 * are best left with channels first.  (conv.c) */
bool conv_reads_first(const struct graph *graph, const struct node *conv);

/* The same of one of bytes.  (conv_integer.c) */
bool conv_integer_reads_first(const struct node *conv, const struct tensor *w);

/* True where a ConvTranspose can hold its images with channels last: one group and
 * constant weights.  (conv_transpose.c) */
bool conv_transpose_turns(const struct graph *graph, const struct node *node);

/* What a BatchNormalization of `channels` channels does, y = x * factors[c] +
 * factors[channels + c], into [2, channels]; false where load cannot know.  (norm.c) */
bool batch_norm_constant(const struct graph *graph, const struct node *node,
                         int64_t channels, float *factors);

/* True where `conv` may get a residual as a further input: see residual.h.  (conv.c) */
bool conv_accumulates(const struct graph *graph, const struct node *conv);

/* Tells a convolution that makes channels last to max-pool its result 2x2.
 * False where this one cannot.  Call before pack.  (conv.c) */
bool conv_fuse_pool(const struct graph *graph, struct node *conv);

/* The same of a convolution that makes bytes.  (conv_integer.c) */
bool conv_integer_fuse_pool(const struct graph *graph, struct node *conv);

/* True where `node` is a max pooling 2x2 with stride 2 and no padding, and nothing else.
 * (pool.c) */
bool pool_is_max_2x2(const struct node *node);

/* The classes that a ZipMap has a score for in each row; 0 for another node.  (ml_map.c)
 */
int64_t zip_map_classes(const struct node *node);

/* The axes a Transpose puts in order 0, 1, ..; NULL for "reversed".  (transpose.c) */
const int64_t *transpose_perm(const struct node *node, int *rank);

#endif
