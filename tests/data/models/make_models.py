"""Writes the tiny models that tests of batching and of the worker load.

Run it with the packages of tests/kafka/requirements.txt; the files are committed, so
nobody needs to.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

HERE = Path(__file__).parent
F16, F32, I64 = TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.INT64


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def write(name, nodes, inputs, outputs, constants=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    save(model, HERE / f"{name}.onnx")


# A row fails inside the model if one of its ids is not in 0..9: index out of range.
table = numpy_helper.from_array(
    np.arange(20, dtype=np.float32).reshape(10, 2), "table")
write("lookup", [helper.make_node("Gather", ["table", "ids"], ["rows"])],
      [value("ids", I64, ["batch", 3])], [value("rows", F32, ["batch", 3, 2])], [table])

# Two inputs whose rows may have any length.
write("pair", [helper.make_node("Add", ["a", "b"], ["sum"])],
      [value("a", F32, ["batch", "length"]), value("b", F32, ["batch", "length"])],
      [value("sum", F32, ["batch", "length"])])

# The answer is much larger than the job: 1 MiB and more for a job of a few bytes.
write("wide", [helper.make_node("Expand", ["x", "shape"], ["y"])],
      [value("x", F32, ["batch", 1])], [value("y", F32, ["batch", 400000])],
      [numpy_helper.from_array(np.array([1, 400000], dtype=np.int64), "shape")])

# Its batch is fixed in the file, so a worker must refuse it.
write("fixed", [helper.make_node("Relu", ["x"], ["y"])],
      [value("x", F32, [4, 2])], [value("y", F32, [4, 2])])

# Two operators that nobody has: both must be named.
write("unknown_ops",
      [helper.make_node("Frobnicate", ["x"], ["m"]),
       helper.make_node("Defenestrate", ["m"], ["y"])],
      [value("x", F32, ["batch", 2])], [value("y", F32, ["batch", 2])])

# Its output has no rows: a worker must refuse it too.
write("rowless", [helper.make_node("Shape", ["x"], ["sizes"])],
      [value("x", F32, ["batch", 2])], [value("sizes", I64, ["n"])])

# Its batch is 1 in the file: its jobs are run one at a time.
write("single", [helper.make_node("Relu", ["x"], ["y"])],
      [value("x", F32, [1, 2])], [value("y", F32, [1, 2])])

# Its rows know each other: what `model test --batching` is there to find.
write("mixing", [helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0], keepdims=1),
                 helper.make_node("Sub", ["x", "mean"], ["y"])],
      [value("x", F32, ["batch", 2])], [value("y", F32, ["batch", 2])])

# Two outputs, of which a configuration may want only one.
write("twofold", [helper.make_node("Relu", ["x"], ["y"]),
                  helper.make_node("Neg", ["x"], ["z"])],
      [value("x", F32, ["batch", 2])],
      [value("y", F32, ["batch", 2]), value("z", F32, ["batch", 2])])

# Rows of texts, given back.
write("echo", [helper.make_node("Identity", ["x"], ["y"])],
      [value("x", TensorProto.STRING, ["batch", 2])],
      [value("y", TensorProto.STRING, ["batch", 2])])


# Trees that must be refused: the nodes of the first are each other's children, those of
# the second form two trees under one name.
def tree(name, yes, no, modes):
    count = len(modes)
    node = helper.make_node(
        "TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml",
        nodes_treeids=[0] * count, nodes_nodeids=list(range(count)),
        nodes_featureids=[0] * count, nodes_values=[0.5] * count, nodes_modes=modes,
        nodes_truenodeids=yes, nodes_falsenodeids=no,
        target_treeids=[0], target_nodeids=[count - 1], target_ids=[0], target_weights=[1.0])
    graph = helper.make_graph([node], name, [value("x", F32, ["batch", 1])],
                              [value("y", F32, ["batch", 1])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17),
                                                    helper.make_opsetid("ai.onnx.ml", 1)])
    model.ir_version = 8
    save(model, HERE / f"{name}.onnx")


tree("tree_circle", yes=[1, 0, 0, 0], no=[2, 3, 0, 0],
     modes=["BRANCH_LEQ", "BRANCH_LEQ", "LEAF", "LEAF"])
tree("tree_roots", yes=[1, 0, 0, 0], no=[2, 0, 0, 0],
     modes=["BRANCH_LEQ", "LEAF", "LEAF", "LEAF"])

# Sequences of pairs with a mask of 0 and 1, any other fails: the mean of the steps that count,
# the steps turned, so that the length is the last dimension, and the steps doubled.
write("masked",
      [helper.make_node("Gather", ["weights", "mask"], ["counts"]),
       helper.make_node("Unsqueeze", ["counts", "two"], ["column"]),
       helper.make_node("Mul", ["x", "column"], ["kept"]),
       helper.make_node("ReduceSum", ["kept", "one"], ["sum"], keepdims=0),
       helper.make_node("ReduceSum", ["counts", "one"], ["number"], keepdims=1),
       helper.make_node("Div", ["sum", "number"], ["mean"]),
       helper.make_node("Transpose", ["x"], ["turned"], perm=[0, 2, 1]),
       helper.make_node("Add", ["x", "x"], ["doubled"])],
      [value("x", F32, ["batch", "length", 2]), value("mask", I64, ["batch", "length"])],
      [value("mean", F32, ["batch", 2]), value("turned", F32, ["batch", 2, "length"]),
       value("doubled", F32, ["batch", "length", 2])],
      [numpy_helper.from_array(np.array([0, 1], dtype=np.float32), "weights"),
      numpy_helper.from_array(np.array([1], dtype=np.int64), "one"),
       numpy_helper.from_array(np.array([2], dtype=np.int64), "two")])

# Its answer counts every step, padding as well.
write("unmasked", [helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=0)],
      [value("x", F32, ["batch", "length", 2])], [value("mean", F32, ["batch", 2])])

# Two outputs that are one.
write("twice",
      [helper.make_node("Transpose", ["x"], ["turned"], perm=[0, 2, 1]),
       helper.make_node("Identity", ["turned"], ["again"])],
      [value("x", F32, ["batch", "length", 2])],
      [value("turned", F32, ["batch", 2, "length"]), value("again", F32, ["batch", 2, "length"])])

# The same, where it is harder to see: among values below zero only, in 16 bits, in a label.
# And the largest of those that a mask of floats leaves.
write("unmasked_most", [helper.make_node("ReduceMax", ["x"], ["most"], axes=[1], keepdims=0)],
      [value("x", F32, ["batch", "length", 2])], [value("most", F32, ["batch", 2])])
write("unmasked_f16", [helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=0)],
      [value("x", F16, ["batch", "length", 2])], [value("mean", F16, ["batch", 2])])
write("unmasked_label", [helper.make_node("ArgMin", ["x"], ["least"], axis=1, keepdims=0)],
      [value("x", F32, ["batch", "length", 2])], [value("least", I64, ["batch", 2])])
write("masked_softly",
      [helper.make_node("Sub", ["mask", "one"], ["below"]),
       helper.make_node("Mul", ["below", "much"], ["away"]),
       helper.make_node("Unsqueeze", ["away", "two"], ["column"]),
       helper.make_node("Add", ["x", "column"], ["kept"]),
       helper.make_node("ReduceMax", ["kept"], ["most"], axes=[1], keepdims=0)],
      [value("x", F32, ["batch", "length", 2]), value("mask", F32, ["batch", "length"])],
      [value("most", F32, ["batch", 2])],
      [numpy_helper.from_array(np.array(1, dtype=np.float32), "one"),
       numpy_helper.from_array(np.array(1e9, dtype=np.float32), "much"),
       numpy_helper.from_array(np.array([2], dtype=np.int64), "two")])

# It takes no values below zero: they are places of a table that it does not have.
write("places",
      [helper.make_node("Sub", ["x", "half"], ["from_zero"]),
       helper.make_node("Add", ["from_zero", "from_zero"], ["place"]),
       helper.make_node("Cast", ["place"], ["whole"], to=I64),
       helper.make_node("Gather", ["table", "whole"], ["y"])],
      [value("x", F32, ["batch", "length"])], [value("y", F32, ["batch", "length"])],
      [numpy_helper.from_array(np.array(0.5, dtype=np.float32), "half"),
       numpy_helper.from_array(np.array([3, 4], dtype=np.float32), "table")])

# Rows with two free dimensions, and one whose answer is half as long as they are.
write("sheet", [helper.make_node("Relu", ["x"], ["y"])],
      [value("x", F32, ["batch", "height", "width"])],
      [value("y", F32, ["batch", "height", "width"])])
write("halved",
      [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2], strides=[2])],
      [value("x", F32, ["batch", 2, "length"])], [value("y", F32, ["batch", 2, "half"])])
