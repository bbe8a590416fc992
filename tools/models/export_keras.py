"""Exports the suite's Keras models to ONNX, and keeps their graphs without the weights.

    export_keras.py OUTPUT [NAME]...    OUTPUT/NAME.onnx.xz, of all models or those named

Weights are seeded and random; a graph says of each large one only how it was spread
(weightless.py), so that it is small enough to be kept. tests/models/make_models.py fills them
again. Keras's exporter goes through tf2onnx, so TensorFlow is its backend; export.sh
installs both.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

SPREADS = {  # where a weight's initial value would hide mistakes: from, to
    "gamma": (0.8, 1.2),
    "beta": (-0.1, 0.1),
    "bias": (-0.1, 0.1),
    "moving_mean": (-0.1, 0.1),
    "moving_variance": (0.8, 1.2),
    "alpha": (0.1, 0.3),
    "scale": (0.8, 1.2),
}


def randomise(model):
    """Biases and statistics of their own, for Keras starts them all as 0 or 1."""
    import numpy as np

    rng = np.random.default_rng(1)
    for weight in model.weights:
        spread = SPREADS.get(weight.name)
        if spread is not None:
            weight.assign(rng.uniform(*spread, size=weight.shape))


def replace_erfc(path):
    """tf2onnx passes Gelu's Erfc on, which ONNX does not have: 1 - Erf it is."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(path)
    graph, one = model.graph, "one_for_erfc"
    nodes = []
    for node in graph.node:
        nodes.append(node)
        if node.op_type == "Erfc":
            node.op_type, output = "Erf", node.output[0]
            node.output[0] = output + "/erf"
            nodes.append(helper.make_node("Sub", [one, node.output[0]], [output],
                                          name=node.name + "/Sub"))
    if len(nodes) > len(graph.node):
        del graph.node[:]
        graph.node.extend(nodes)
        graph.initializer.append(numpy_helper.from_array(np.float32(1.0), one))
        onnx.save(model, path)


def call(model):
    """Keras exports only what was called once."""
    import numpy as np

    model([np.zeros([size or 2 for size in x.shape], x.dtype) for x in model.inputs])


def check(model, path):
    """Keras and ONNX Runtime agree on the exported file; a wrong graph is no test."""
    import numpy as np
    import onnxruntime

    from weightless import sample_inputs

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_inputs()]
    if names != [x.name for x in model.inputs]:
        raise SystemExit(f"the exported file has inputs {names}")
    feeds = sample_inputs(session.get_inputs(), batch=2, seed=2)
    wanted = model.predict([feeds[x.name] for x in model.inputs], verbose=0)
    wanted = wanted if isinstance(wanted, list) else [wanted]
    for one, other in zip(wanted, session.run(None, feeds)):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-4)


def export_one(name, output):
    import keras
    import onnx

    import keras_sequence
    import keras_vision
    from weightless import strip, write_graph

    keras.utils.set_random_seed(1)
    model = (keras_vision.MODELS | keras_sequence.MODELS)[name]()
    randomise(model)
    call(model)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/model.onnx"
        model.export(path, format="onnx", verbose=False)
        replace_erfc(path)
        check(model, path)
        graph = onnx.load(path)
    strip(graph)
    write_graph(graph, Path(output) / f"{name}.onnx.xz")


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--one":
        return export_one(sys.argv[2], sys.argv[3])
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip())
        return 0 if sys.argv[1:] in (["--help"], ["-h"]) else 2
    output = Path(sys.argv[1])
    output.mkdir(parents=True, exist_ok=True)
    names = sys.argv[2:]
    if not names:
        import keras_sequence
        import keras_vision

        names = list(keras_vision.MODELS | keras_sequence.MODELS)
    failed = []
    for name in names:  # each in a process of its own, as TensorFlow never forgets
        print(name, flush=True)
        if subprocess.run([sys.executable, "-B", __file__, "--one", name, output]).returncode != 0:
            failed.append(name)
    if failed:
        print("failed:", *failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
