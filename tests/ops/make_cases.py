"""Writes ONNX's own operator tests as folders that `millrace model test` reads.

    make_cases.py FOLDER    FOLDER/CASE/model.onnx, FOLDER/CASE/test_data_set_0/...

The cases are those of the onnx package pinned in tests/kafka/requirements.txt.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
from onnx import TensorProto, numpy_helper, save
from onnx.backend.test.case.node import collect_testcases


def as_proto(value, info):
    """The message for a value of the declared type."""
    kind = info.type.WhichOneof("value")
    if kind == "sequence_type":
        return numpy_helper.from_list(value, info.name)
    if kind == "optional_type":
        return numpy_helper.from_optional(value, info.name)
    if isinstance(value, TensorProto):
        return value
    return numpy_helper.from_array(np.asarray(value), info.name)


def write_values(folder, kind, values, infos):
    for index, (value, info) in enumerate(zip(values, infos)):
        message = as_proto(value, info)
        (folder / f"{kind}_{index}.pb").write_bytes(message.SerializeToString())


def write_case(root, case):
    folder = root / case.name
    folder.mkdir(parents=True, exist_ok=True)
    save(case.model, folder / "model.onnx")
    for number, (inputs, outputs) in enumerate(case.data_sets):
        data = folder / f"test_data_set_{number}"
        data.mkdir(exist_ok=True)
        write_values(data, "input", inputs, case.model.graph.input)
        write_values(data, "output", outputs, case.model.graph.output)


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        sys.exit(0 if sys.argv[1:] == ["--help"] else 2)
    warnings.simplefilter("ignore")  # infinities are meant
    root = Path(sys.argv[1])
    cases = [case for case in collect_testcases(None) if case.model is not None]
    for case in cases:
        write_case(root, case)
    print(f"{len(cases)} cases in {root}")


main()
