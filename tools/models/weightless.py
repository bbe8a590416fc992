"""Takes the weights out of an ONNX model, and tells how to fill them in again.

A float initialiser of more than KEPT_MAX elements loses its data; its doc_string says
"uniform LOW HIGH", the bounds that it had, and "seed S". Everything else stays.
"""

import lzma

import numpy as np
import onnx
from onnx import numpy_helper

KEPT_MAX = 64
FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)


def strip(model):
    """In place. Names of the exporter's debugging stay out of the file as well."""
    model.graph.ClearField("value_info")
    for seed, tensor in enumerate(model.graph.initializer):
        if tensor.data_type not in FLOATS or np.prod(tensor.dims) <= KEPT_MAX:
            continue
        values = numpy_helper.to_array(tensor)
        low, high = float(values.min()), float(values.max())
        for field in ("raw_data", "float_data", "double_data", "int32_data"):
            tensor.ClearField(field)
        tensor.doc_string = f"uniform {low:.9g} {high:.9g} seed {seed}"


def fill(model):
    """The reverse: random weights within the same bounds, in place."""
    for tensor in model.graph.initializer:
        words = tensor.doc_string.split()
        if len(words) != 5 or words[0] != "uniform":
            continue
        low, high, seed = float(words[1]), float(words[2]), int(words[4])
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        rng = np.random.Generator(np.random.SFC64(seed))
        values = rng.random(tuple(tensor.dims), dtype=np.float32)
        values *= np.float32(high - low)
        values += np.float32(low)
        tensor.raw_data = values.astype(dtype, copy=False).tobytes()
        tensor.ClearField("doc_string")


def write_graph(model, path):
    path.write_bytes(lzma.compress(model.SerializeToString(deterministic=True), preset=9))


def read_graph(path):
    return onnx.load_from_string(lzma.decompress(path.read_bytes()))


def sample_inputs(ports, batch, seed, dims=None, integers_max=1):
    """Values for an onnxruntime session's inputs; free dimensions: the first is the batch,
    others are `dims` by their symbol, or 16. Integers hold some zeros at the end of a row,
    as padded text does."""
    rng = np.random.Generator(np.random.SFC64(seed))
    feeds = {}
    for port in ports:
        shape = list(port.shape)
        for axis, dim in enumerate(shape):
            if not isinstance(dim, int):
                shape[axis] = (dims or {}).get(dim, batch if axis == 0 else 16)
        if "float" in port.type:
            dtype = {"tensor(float)": np.float32, "tensor(double)": np.float64,
                     "tensor(float16)": np.float16}[port.type]
            feeds[port.name] = rng.random(shape).astype(dtype)
        else:
            dtype = {"tensor(int32)": np.int32, "tensor(int64)": np.int64,
                     "tensor(bool)": np.bool_}[port.type]
            values = rng.integers(0, integers_max + 1, shape)
            if len(shape) == 2 and shape[1] > 8:
                lengths = rng.integers(shape[1] // 2, shape[1] + 1, shape[0])
                values[np.arange(shape[1]) >= lengths[:, None]] = 0
            feeds[port.name] = values.astype(dtype)
    return feeds
