"""Runs the folders of the operator tests through ONNX Runtime, for comparison.

    peer.py FOLDER...    prints a line for each that fails, then 'N passed, N failed'

The tolerances and rules are those of `millrace model test`: types and shapes must be
equal, elements within 1e-5 + 1e-3 * |expected|, NaN equals NaN.  Each folder runs in a
process of its own, so that a crash is that folder's failure alone.
"""

import os
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

RTOL, ATOL = 1e-3, 1e-5


def read_value(path, value_type):
    """A tensor, list or optional of the declared type."""
    kind = value_type.WhichOneof("value")
    data = path.read_bytes()
    if kind == "sequence_type":
        return numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    if kind == "optional_type":
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(data))
    return numpy_helper.to_array(onnx.TensorProto.FromString(data))


def read_values(folder, kind, infos):
    return [read_value(folder / f"{kind}_{i}.pb", info.type) for i, info in enumerate(infos)]


def same(got, wanted):
    if wanted is None or got is None:
        return got is wanted
    if isinstance(wanted, list):
        return len(got) == len(wanted) and all(map(same, got, wanted))
    got, wanted = np.asarray(got), np.asarray(wanted)
    if wanted.dtype.kind in "OUS":
        return got.shape == wanted.shape and (got.astype(str) == wanted.astype(str)).all()
    if got.dtype != wanted.dtype or got.shape != wanted.shape:
        return False
    if wanted.dtype.kind not in "biuf":  # bfloat16 and smaller ones
        got, wanted = got.astype(np.float32), wanted.astype(np.float32)
    return np.allclose(got.astype(np.float64), wanted.astype(np.float64), RTOL, ATOL, True)


def check(folder):
    model = onnx.load(folder / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    weights = {tensor.name for tensor in model.graph.initializer}
    infos = [info for info in model.graph.input if info.name not in weights]
    for data in sorted(folder.glob("test_data_set_*")):
        values = read_values(data, "input", infos)
        got = session.run(None, {info.name: v for info, v in zip(infos, values)})
        if not all(map(same, got, read_values(data, "output", model.graph.output))):
            raise ValueError(f"{data.name}: outputs differ")


def passes(folder):
    child = os.fork()
    if child == 0:
        try:
            check(folder)
        except Exception as error:  # whatever it is, the folder has failed
            print(f"FAILED {folder.name}: {str(error).splitlines()[0][:150]}", flush=True)
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        print(f"FAILED {folder.name}: died of signal {os.WTERMSIG(status)}")
    return status == 0


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        sys.exit(0 if sys.argv[1:] == ["--help"] else 2)
    results = [passes(Path(folder)) for folder in sys.argv[1:]]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")


main()
