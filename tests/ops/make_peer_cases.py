"""Writes models that ONNX's own suite lacks as folders that `millrace model test` reads.

    make_peer_cases.py FOLDER    FOLDER/peer_NAME/model.onnx, .../test_data_set_0/...

Operators of the domain com.microsoft, old opsets and rarer types: one node each, random
inputs from a fixed seed.  The expected outputs are ONNX Runtime's, or of ONNX's reference
where it has no kernel.  Weights are uint8:
its products with int8 saturate in between on some processors.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import helper, numpy_helper, save
from onnx.reference import ReferenceEvaluator

MICROSOFT = "com.microsoft"
RANDOM = np.random.default_rng(7)


def floats(*shape, dtype=np.float32):
    return RANDOM.standard_normal(shape).astype(dtype)


def bytes_(*shape, dtype=np.uint8):
    info = np.iinfo(dtype)
    return RANDOM.integers(info.min, info.max + 1, shape).astype(dtype)


def integers(low, high, *shape, dtype=np.int64):
    return RANDOM.integers(low, high, shape).astype(dtype)


def scale(value):
    return np.float32(value)


def zero(value, dtype=np.uint8):
    return np.array(value, dtype)


def contrib_cases():
    """name: operator, inputs (None: absent), attributes, number of outputs."""
    x, rows = floats(2, 5, 8), floats(6, 8)
    a, b = bytes_(2, 3, 4, 4), bytes_(2, 3, 4, 4)
    a_form, b_form, y_form = [scale(0.02), zero(120)], [scale(0.03), zero(7)], [scale(0.05), zero(90)]
    return {
        "gelu": ("Gelu", [x], {}, 1),
        "bias_gelu": ("BiasGelu", [x, floats(8)], {}, 1),
        "fast_gelu": ("FastGelu", [x], {}, 1),
        "fast_gelu_bias": ("FastGelu", [x, floats(8)], {}, 1),
        "quick_gelu": ("QuickGelu", [x], {"alpha": 1.5}, 1),
        "fused_matmul": ("FusedMatMul", [x, floats(2, 5, 3)], {"transA": 1, "alpha": 0.5}, 1),
        "fused_matmul_b": ("FusedMatMul", [x, floats(7, 8)], {"transB": 1}, 1),
        "fused_gemm": ("FusedGemm", [rows, floats(8, 4), floats(4)],
                       {"activation": "LeakyRelu", "activation_alpha": 0.2}, 1),
        "fused_conv": ("FusedConv", [floats(2, 3, 8, 8), floats(4, 3, 3, 3), floats(4)],
                       {"activation": "Relu", "pads": [1, 1, 1, 1]}, 1),
        "fused_conv_add": ("FusedConv", [floats(1, 3, 6, 6), floats(4, 3, 3, 3), floats(4),
                                         floats(1, 4, 4, 4)], {"activation": "Relu"}, 1),
        "fused_conv_clip": ("FusedConv", [floats(1, 3, 6, 6), floats(4, 3, 3, 3)],
                            {"activation": "Clip", "activation_params": [-0.5, 0.5]}, 1),
        "skip_layer_norm": ("SkipLayerNormalization",
                            [x, floats(2, 5, 8), floats(8), floats(8), floats(8)],
                            {"epsilon": 1e-5}, 1),
        "skip_layer_norm_sum": ("SkipLayerNormalization",
                                [x, floats(2, 5, 8), floats(8), floats(8)], {}, [0, 3]),
        "skip_rms_norm": ("SkipSimplifiedLayerNormalization",
                          [x, floats(2, 5, 8), floats(8)], {"epsilon": 1e-5}, [0, 3]),
        "embed_layer_norm": ("EmbedLayerNormalization",
                             [integers(0, 20, 2, 5, dtype=np.int32),
                              integers(0, 2, 2, 5, dtype=np.int32), floats(20, 8),
                              floats(10, 8), floats(2, 8), floats(8), floats(8), None,
                              np.tile(np.arange(5, dtype=np.int32), (2, 1))],
                             {"epsilon": 1e-5}, [0]),
        "embed_layer_norm_in_turn": ("EmbedLayerNormalization",
                                     [integers(0, 20, 2, 5, dtype=np.int32), None, floats(20, 8),
                                      floats(10, 8), None, floats(8), floats(8),
                                      np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]], np.int32)],
                                     {"epsilon": 1e-5}, 2),
        "embed_layer_norm_unmasked": ("EmbedLayerNormalization",
                                      [integers(0, 20, 2, 5, dtype=np.int32), None,
                                       floats(20, 8), floats(10, 8), None, floats(8), floats(8)],
                                      {"epsilon": 1e-5}, 2),
        "multi_head_lengths": ("MultiHeadAttention",
                               [x, floats(2, 6, 8), floats(2, 6, 8), floats(24),
                                np.array([2, 6], np.int32)], {"num_heads": 2}, 1),
        "attention": ("Attention", [x, floats(8, 24), floats(24)], {"num_heads": 2}, 1),
        "attention_mask": ("Attention", [x, floats(8, 24), floats(24),
                                         np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)],
                           {"num_heads": 4}, 1),
        "attention_lengths": ("Attention", [x, floats(8, 24), floats(24),
                                            np.array([3, 5], np.int32)], {"num_heads": 2}, 1),
        "attention_ends_starts": ("Attention", [x, floats(8, 24), floats(24),
                                                np.array([3, 5, 1, 2], np.int32)],
                                  {"num_heads": 2}, 1),
        "attention_mask_of_queries": ("Attention", [x, floats(8, 24), floats(24),
                                                    np.tile(np.tril(np.ones((5, 5), np.int32)),
                                                            (2, 1, 1))], {"num_heads": 2}, 1),
        "attention_causal": ("Attention", [x, floats(8, 24), floats(24)],
                             {"num_heads": 2, "unidirectional": 1}, 1),
        "multi_head": ("MultiHeadAttention", [x, floats(2, 6, 8), floats(2, 6, 8)],
                       {"num_heads": 2}, 1),
        "multi_head_bias": ("MultiHeadAttention",
                            [x, floats(2, 6, 8), floats(2, 6, 8), floats(24), None,
                             floats(2, 2, 5, 6)], {"num_heads": 2, "scale": 0.3}, 1),
        "q_add": ("QLinearAdd", [a, *a_form, b, *b_form, *y_form], {}, 1),
        "q_mul": ("QLinearMul", [a, *a_form, b, *b_form, *y_form], {}, 1),
        "q_sigmoid": ("QLinearSigmoid", [a, *a_form, scale(1 / 256), zero(0)], {}, 1),
        "q_leaky_relu": ("QLinearLeakyRelu", [a, *a_form, *y_form], {"alpha": 0.2}, 1),
        "q_average_pool": ("QLinearAveragePool", [a, *a_form, *y_form],
                           {"kernel_shape": [2, 2], "strides": [2, 2]}, 1),
        "q_global_average_pool": ("QLinearGlobalAveragePool", [a, *a_form, *y_form], {}, 1),
        "q_concat": ("QLinearConcat", [*y_form, a, *a_form, b, *b_form], {"axis": 1}, 1),
        "integer_to_float": ("MatMulIntegerToFloat",
                             [bytes_(4, 6), bytes_(6, 5), scale(0.1),
                              floats(5) ** 2, zero(100), zero(130), floats(5)], {}, 1),
        "dynamic_matmul": ("DynamicQuantizeMatMul",
                           [floats(4, 6), bytes_(6, 5), scale(0.1), zero(120), floats(5)], {}, 1),
        "q_gemm": ("QGemm", [bytes_(4, 6), *a_form, bytes_(5, 6), *b_form,
                             integers(-9000, 9000, 5, dtype=np.int32), scale(0.5), zero(90)],
                   {"transB": 1}, 1),
        "q_gemm_float": ("QGemm", [bytes_(6, 4), *a_form, bytes_(6, 5), floats(5) ** 2,
                                   np.full(5, 7, np.uint8), None], {"transA": 1, "alpha": 0.5}, 1),
        # One step of numbers that 8 bits hold: what ONNX Runtime rounds is exact.
        "dynamic_lstm": ("DynamicQuantizeLSTM",
                         [np.float32([[[0, 255, 3], [40, 7, 200]]]) * np.float32(0.01),
                          bytes_(2, 3, 16), bytes_(2, 4, 16), floats(2, 32), None, None, None,
                          None, np.float32([0.01, 0.02]), np.uint8([120, 130]),
                          np.float32([0.01, 0.03]), np.uint8([110, 128])],
                         {"hidden_size": 4, "direction": "bidirectional"}, 3),
        **tokenizer_cases(),
    }


def tokenizer_cases():
    """The start of skl2onnx's text pipelines, with what RE2 says of each expression."""
    def case(texts, **attributes):
        attributes = {"mark": 0, "mincharnum": 1, "pad_value": "#", **attributes}
        return ("Tokenizer", [np.array(texts, object)], attributes, 1)
    return {
        "tokenizer_words": case(["The quick, brown fox", "", "caf\u00e9 42!"],
                                tokenexp="[a-zA-Z0-9_]+"),
        "tokenizer_longest": case(["ab", "xaby", "aab"], tokenexp="a|ab|b*"),
        "tokenizer_edges": case(["ab c", "\u00e9 bb", "c"], tokenexp=r"^a|\bb|c$|\xe9"),
        "tokenizer_rows": case([["aa b", "cc"], ["dd", "e"]], mincharnum=2, pad_value="",
                               tokenexp=r"\w+"),
        "tokenizer_characters": case(["ab c", "d\u00e9\u00e9\u4e2d"], mark=1, separators=[""]),
        "tokenizer_separators": case(["a, b;c", "", "xx yy"], separators=[" ", ",", ";"]),
        "tokenizer_separator_classes": case(["a, b;c", "", "xx yy"], mark=1, mincharnum=2,
                                            separators=["[ ,]+"]),
        "tokenizer_empty_matches": case(["abc", "axxb"], separators=["x*"]),
        "tokenizer_nothing": case(["", "!"], mark=1, tokenexp="[a-z]+"),
    }


def double_cases():
    """As onnx_cases: doubles, halves and bytes."""
    def doubles(*shape):
        return floats(*shape, dtype=np.float64)
    x = doubles(2, 4, 5, 6)
    return {
        "layer_norm_double": ("LayerNormalization", 17, [x, doubles(6), doubles(6)], {}, 1),
        "global_average_double": ("GlobalAveragePool", 17, [x], {}, 1),
        "global_max_double": ("GlobalMaxPool", 17, [x], {}, 1),
        "conv_double": ("Conv", 17, [x, doubles(6, 2, 3, 2), doubles(6)],
                        {"group": 2, "strides": [2, 1], "pads": [1, 0, 1, 1]}, 1),
        "conv_transpose_double": ("ConvTranspose", 11, [x, doubles(4, 3, 3, 2), doubles(3)],
                                  {"strides": [2, 3], "pads": [1, 0, 0, 1]}, 1),
        "gelu_double": ("Gelu", 20, [x], {}, 1),
        "gelu_tanh_double": ("Gelu", 20, [x], {"approximate": "tanh"}, 1),
        "instance_norm_double": ("InstanceNormalization", 17, [x, doubles(4), doubles(4)], {}, 1),
        "group_norm_double": ("GroupNormalization", 21, [x, doubles(4), doubles(4)],
                              {"num_groups": 2}, 1),
        "pow_half_exponent": ("Pow", 15, [np.abs(floats(3, 4)), floats(3, 4, dtype=np.float16)],
                              {}, 1),
        "scatter_nd_add_half": ("ScatterND", 18, [floats(5, 3, dtype=np.float16),
                                                  np.array([[1], [3], [1]], np.int64),
                                                  floats(3, 3, dtype=np.float16)],
                                {"reduction": "add"}, 1),
        "reduce_max_uint8": ("ReduceMax", 18, [bytes_(3, 4), np.array([1], np.int64)], {}, 1),
        "arg_max_uint8": ("ArgMax", 13, [bytes_(3, 4)], {"axis": 1}, 1),
    }


def onnx_cases():
    """name: operator, opset, inputs, attributes, outputs (as above)."""
    image = floats(2, 3, 6, 6)
    flat = floats(3, 4, 5)
    roi = np.array([[0, 0, 0, 7, 7], [1, 2, 1, 6, 5]], np.float32)
    return {
        "max_roi_pool": ("MaxRoiPool", 13, [floats(2, 3, 8, 8), roi],
                         {"pooled_shape": [3, 2], "spatial_scale": 0.8}, 1),
        "quantize_halves": ("QuantizeLinear", 13,
                            [np.float32([-1e30, -70, -1.25, -0.75, -0.25, 0, 0.25, 0.75, 1.25,
                                         1.75, 62, 127, 1e30, np.inf, -np.inf]), scale(0.5),
                             zero(3, np.int8)], {}, 1),
        "quantize_halves_channels": ("QuantizeLinear", 13,
                                     [np.round(floats(2, 3, 40) * 40) / 4,
                                      np.float32([0.5, 0.25, 1]), np.uint8([0, 128, 255])],
                                     {"axis": 1}, 1),
        "dequantize_channels": ("DequantizeLinear", 13,
                                [bytes_(2, 3, 40, dtype=np.int8), floats(3) ** 2,
                                 np.int8([-128, 0, 127])], {"axis": 1}, 1),
        "integer_columns": ("MatMulInteger", 13, [bytes_(4, 6), bytes_(6, 5), zero(9), bytes_(5)],
                            {}, 1),
        "q_conv_groups": ("QLinearConv", 13,
                          [bytes_(2, 4, 7, 7), scale(0.02), zero(120),
                           bytes_(6, 2, 3, 3), RANDOM.random(6).astype(np.float32),
                           bytes_(6), scale(2.0), zero(90),
                           integers(-99, 99, 6, dtype=np.int32)],
                          {"group": 2, "strides": [2, 1], "pads": [1, 0, 1, 2]}, 1),
        "q_conv_wide": ("QLinearConv", 13,
                        [bytes_(2, 3, 9, 11), scale(0.02), zero(255), bytes_(17, 3, 3, 5),
                         scale(0.01), zero(0), scale(1.5), zero(20)],
                        {"pads": [2, 4, 2, 4], "strides": [1, 2]}, 1),
        "conv_integer_past_the_image": ("ConvInteger", 13,
                                        [bytes_(1, 2, 3, 4), bytes_(5, 2, 3, 3), zero(1), zero(255)],
                                        {"dilations": [4, 5], "pads": [6, 9, 6, 9],
                                         "strides": [3, 2]}, 1),
        "integer_batch": ("MatMulInteger", 13, [bytes_(3, 2, 15, 37), bytes_(2, 37, 49), zero(200),
                                                zero(255)], {}, 1),
        "q_matmul_columns": ("QLinearMatMul", 13,
                             [bytes_(2, 5, 33), scale(0.02), zero(120), bytes_(33, 41),
                              scale(0.01), zero(99), scale(0.5), zero(90)], {}, 1),
        "conv_integer_1d": ("ConvInteger", 13,
                            [bytes_(2, 3, 9), bytes_(4, 3, 3), zero(9), zero(100)],
                            {"dilations": [2]}, 1),
        "einsum_ellipsis": ("Einsum", 13, [floats(2, 3, 4, 5), floats(2, 1, 5, 6)],
                            {"equation": "...ij,...jk->...ik"}, 1),
        "einsum_three": ("Einsum", 13, [floats(3, 4), floats(4, 5), floats(5, 2)],
                         {"equation": "ij,jk,kl->li"}, 1),
        "einsum_heads": ("Einsum", 13, [floats(2, 5, 3, 4), floats(2, 6, 3, 4)],
                         {"equation": "bqhd,bkhd->bhqk"}, 1),
        "einsum_implied": ("Einsum", 13, [floats(3, 4), floats(4, 3)], {"equation": "ba,cb"}, 1),
        "einsum_sums_alone": ("Einsum", 13, [floats(3, 4, 2), floats(4, 5)],
                              {"equation": "ijm,jk->k"}, 1),
        "einsum_diagonal_pair": ("Einsum", 13, [floats(4, 4), floats(4, 3)],
                                 {"equation": "ii,ij->ij"}, 1),
        "einsum_outer_double": ("Einsum", 13, [floats(3, dtype=np.float64),
                                               floats(4, dtype=np.float64)],
                                {"equation": "i,j->ij"}, 1),
        "einsum_int": ("Einsum", 13, [integers(-9, 9, 3, 4), integers(-9, 9, 4, 2)],
                       {"equation": "ij,jk->ik"}, 1),
        "dft_prime": ("DFT", 17, [floats(2, 17, 3, 1)], {"axis": 1, "onesided": 1}, 1),
        "dft_composite": ("DFT", 17, [floats(2, 12, 2)], {"axis": 1}, 1),
        "dft_inverse_odd": ("DFT", 17, [floats(1, 45, 2)], {"axis": 1, "inverse": 1}, 1),
        "stft": ("STFT", 17, [floats(2, 100, 1), np.int64(10),
                              np.hanning(25).astype(np.float32), np.int64(25)],
                 {"onesided": 1}, 1),
        "unique_strings": ("Unique", 11, [np.array(["b", "a", "b", "", "ab"], object)], {}, 4),
        "unique_axis_first_seen": ("Unique", 11, [integers(0, 2, 6, 3, dtype=np.int64)],
                                   {"axis": 0, "sorted": 0}, 4),
        "tfidf_strings": ("TfIdfVectorizer", 9, [np.array([["a", "b", "c", "a"]], object)],
                          {"mode": "TFIDF", "min_gram_length": 1, "max_gram_length": 2,
                           "max_skip_count": 1, "ngram_counts": [0, 2],
                           "ngram_indexes": [2, 0, 1], "weights": [0.5, 2.0, 3.0],
                           "pool_strings": ["a", "c", "a", "b"]}, 1),
        "regex": ("RegexFullMatch", 20,
                  [np.array(["a1-b22", "A1-b22", "a1-", "x", "", "é3-ab", "a1-b22\n"], object)],
                  {"pattern": r"(?i:[a-c]|\x{e9})\d+-(?:b{1,3}|a?b)[[:digit:]]*"}, 1),
        "regex_choice": ("RegexFullMatch", 20,
                         [np.array(["foo", "foobar", "bar", "foo bar", "barbar"], object)],
                         {"pattern": r"^(foo|bar)+?\b(\s\w+)?$"}, 1),
        "softmax_11": ("Softmax", 11, [flat], {"axis": 1}, 1),
        "log_softmax_11": ("LogSoftmax", 11, [flat], {"axis": 0}, 1),
        "upsample_9": ("Upsample", 9, [image, np.array([1, 1, 2, 3], np.float32)],
                       {"mode": "nearest"}, 1),
        "upsample_7": ("Upsample", 7, [image], {"mode": "linear", "scales": [1.0, 1.0, 2.0, 2.0]}, 1),
        "resize_rounded_up": ("Resize", 13, [floats(2, 3, 9, 10), None,
                                             np.array([1, 1, 0.5555556, 0.7], np.float32)],
                              {"mode": "linear"}, 1),
        "resize_on_the_edge": ("Resize", 11, [image, np.zeros(0, np.float32),
                                              np.array([1, 1, 2.4, 2.1666667], np.float32)],
                               {"mode": "nearest", "nearest_mode": "floor",
                                "coordinate_transformation_mode": "tf_half_pixel_for_nn"}, 1),
        "resize_10": ("Resize", 10, [image, np.array([1, 1, 2, 1.5], np.float32)],
                      {"mode": "linear"}, 1),
        "slice_1": ("Slice", 7, [flat], {"axes": [0, 2], "starts": [1, -3], "ends": [3, 99]}, 1),
        "pad_2": ("Pad", 7, [flat], {"pads": [0, 1, 0, 2, 0, 1], "mode": "reflect"}, 1),
        "clip_6": ("Clip", 7, [flat], {"min": -0.5, "max": 0.25}, 1),
        "top_k_1": ("TopK", 7, [flat], {"k": 2, "axis": 1}, 2),
        "dropout_7": ("Dropout", 7, [flat], {"ratio": 0.3}, 1),
        "reduce_sum_11": ("ReduceSum", 11, [flat], {"axes": [0, -1], "keepdims": 0}, 1),
        "squeeze_1": ("Squeeze", 7, [floats(1, 4, 1, 5)], {"axes": [0, 2]}, 1),
        "unsqueeze_1": ("Unsqueeze", 7, [flat], {"axes": [0, 2]}, 1),
        "split_2": ("Split", 7, [flat], {"axis": 1, "split": [1, 3]}, 2),
        "scatter_9": ("Scatter", 9, [flat, integers(0, 3, 2, 4, 5), floats(2, 4, 5)],
                      {"axis": 0}, 1),
        "batch_norm_7": ("BatchNormalization", 7,
                         [image, floats(3), floats(3), floats(3), floats(3) ** 2], {}, 1),
        "batch_norm_columns": ("BatchNormalization", 15,
                               [floats(6, 5), floats(5), floats(5), floats(5), floats(5) ** 2],
                               {}, 1),
        "q_conv_signed": ("QLinearConv", 10,
                          [bytes_(2, 3, 5, 5, dtype=np.int8), scale(0.02), zero(-7, np.int8),
                           integers(-9, 9, 4, 3, 3, 3, dtype=np.int8), scale(0.03),
                           zero(0, np.int8), scale(0.05), zero(11, np.int8),
                           integers(-900, 900, 4, dtype=np.int32)], {"pads": [1, 0, 1, 2]}, 1),
        "batch_norm_double": ("BatchNormalization", 15,
                              [floats(2, 3, 4, dtype=np.float64),
                               *[floats(3, dtype=np.float64) ** 2 for _ in range(4)]], {}, 1),
        "gemm_7": ("Gemm", 7, [floats(3, 4), floats(5, 4), floats(5)], {"transB": 1}, 1),
        "max_pool_8": ("MaxPool", 8, [image], {"kernel_shape": [2, 3], "strides": [2, 1],
                                               "pads": [1, 1, 0, 1]}, 2),
        "average_pool_7": ("AveragePool", 7, [image], {"kernel_shape": [3, 3],
                                                       "count_include_pad": 1,
                                                       "pads": [1, 1, 1, 1]}, 1),
        "one_hot_9": ("OneHot", 9, [integers(-3, 3, 4), np.int64(5),
                                    np.array([-1, 2], np.float32)], {"axis": 0}, 1),
        "simplified_layer_norm": ("SimplifiedLayerNormalization", 17, [flat, floats(5)],
                                  {"axis": -1, "epsilon": 1e-5, "stash_type": 1}, 1),
    }


def compute(model, given):
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(),
                                               providers=["CPUExecutionProvider"])
        return session.run(None, given)
    except Exception:  # it has no kernel for these types
        return ReferenceEvaluator(model).run(None, given)


def write_case(root, name, operator, domain, opset, inputs, attributes, outputs):
    made = [f"y{i}" for i in range(outputs)] if isinstance(outputs, int) else \
        [f"y{i}" if i in outputs else "" for i in range(max(max(outputs), 1) + 1)]
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    given = {n: np.asarray(x) for n, x in zip(names, inputs) if n}
    node = helper.make_node(operator, names, made, domain=domain, **attributes)
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
             for n, x in given.items()]
    results = [helper.make_empty_tensor_value_info(n) for n in made if n]
    opsets = [helper.make_opsetid("", opset)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    graph = helper.make_graph([node], name, infos, results)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    values = compute(model, given)
    for info, value in zip(graph.output, values):
        dtype = helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype)
        info.CopyFrom(helper.make_tensor_value_info(info.name, dtype, None))
    del model.graph.output[:]
    model.graph.output.extend(graph.output)
    data = root / f"peer_{name}" / "test_data_set_0"
    data.mkdir(parents=True, exist_ok=True)
    save(model, data.parent / "model.onnx")
    for kind, items in (("input", given.items()), ("output", zip(filter(None, made), values))):
        for index, (tensor_name, value) in enumerate(items):
            tensor = numpy_helper.from_array(np.asarray(value), tensor_name)
            (data / f"{kind}_{index}.pb").write_bytes(tensor.SerializeToString())


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        sys.exit(0 if sys.argv[1:] == ["--help"] else 2)
    onnxruntime.set_default_logger_severity(4)
    root = Path(sys.argv[1])
    for name, (operator, inputs, attributes, outputs) in contrib_cases().items():
        write_case(root, name, operator, MICROSOFT, 17, inputs, attributes, outputs)
    for name, (operator, opset, inputs, attributes, outputs) in {**onnx_cases(), **double_cases()}.items():
        write_case(root, name, operator, "", opset, inputs, attributes, outputs)
    print(f"{len(list(root.glob('peer_*')))} cases of ONNX Runtime in {root}")


main()
