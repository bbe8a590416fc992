"""Writes ONNX's own operator tests as folders that `millrace model test` reads.

    make_cases.py FOLDER    FOLDER/CASE/model.onnx, FOLDER/CASE/test_data_set_0/...

The cases are those of the onnx package pinned in tests/kafka/requirements.txt: one or
more for each operator, the `simple` and `pytorch` suites, and the `light` models, networks
of the model zoo with their weights made up.
"""

import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper, save
from onnx.backend.test.case.node import collect_testcases
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner


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


SUITES = ("simple", "pytorch-converted", "pytorch-operator")


def copy_suites(root):
    """Folders that the package has ready."""
    count = 0
    for kind in SUITES:
        for test in load_model_tests(kind=kind):
            shutil.copytree(test.model_dir, root / f"{kind}_{test.name}", dirs_exist_ok=True)
            count += 1
    return count


def write_light_models(root):
    """Models whose outputs the package has, for inputs that it makes up."""
    source = Path(onnx.__file__).parent / "backend/test/data/light"
    models = sorted(source.glob("*.onnx"))
    for path in models:
        folder = root / path.stem
        data = folder / "test_data_set_0"
        data.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / "model.onnx")
        graph = onnx.load(path).graph
        weights = {tensor.name for tensor in graph.initializer}
        inputs = [info for info in graph.input if info.name not in weights]
        values = [Runner.generate_dummy_data(info) for info in inputs]
        write_values(data, "input", values, inputs)
        shutil.copy(source / f"{path.stem}_output_0.pb", data / "output_0.pb")
    return len(models)


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
    print(f"{copy_suites(root)} cases of {', '.join(SUITES)}")
    print(f"{write_light_models(root)} light models")


main()
