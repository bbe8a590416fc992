"""What the three training scripts share: seeds, export, goldens, held-out samples."""
import json
import os
import shutil
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
from onnx import numpy_helper

ROOT = Path(__file__).resolve().parents[2]
SEED = 20
EPOCHS = 5
AGREEMENT = 1e-4  # Keras and ONNX Runtime add in different orders; more is a wrong export


def fix_seeds():
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()


def publish(name, model, samples, labels, label_names, accuracy):
    """Writes conf/models/NAME and tests/data/NAME; `accuracy` goes to accuracy.json."""
    folder, data = ROOT / "conf/models" / name, ROOT / "tests/data" / name
    for path in (folder, data):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    model.export(str(folder / "model.onnx"), format="onnx", verbose=False)
    predictions = model.predict(samples, verbose=0)
    check_export(folder / "model.onnx", samples, predictions)
    write_goldens(folder, samples)
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in label_names))
    (folder / "accuracy.json").write_text(json.dumps(accuracy, indent=2) + "\n")
    np.save(data / "samples.npy", np.ascontiguousarray(samples))
    np.save(data / "labels.npy", np.ascontiguousarray(labels.astype("<i8")))
    np.save(data / "keras.npy", np.ascontiguousarray(predictions.astype("<f4")))
    print(name, json.dumps(accuracy))


def run_exported(path, rows):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.get_inputs()[0].name, session.get_outputs()[0].name, session.run(
        None, {session.get_inputs()[0].name: rows})[0]


def check_export(path, samples, predictions):
    difference = np.abs(run_exported(path, samples)[2] - predictions).max()
    print(f"{path.parent.name}: ONNX Runtime differs from Keras by at most {difference:.1e}")
    if difference > AGREEMENT:
        raise SystemExit("the exported file does not compute what Keras computes")


def write_goldens(folder, samples):
    """ONNX's backend-test layout: a batch of five, and of one."""
    for index, rows in enumerate((samples[:5], samples[5:6])):
        input_name, output_name, output = run_exported(folder / "model.onnx", rows)
        target = folder / f"test_data_set_{index}"
        target.mkdir()
        for file, array, tensor in (("input_0.pb", rows, input_name),
                                    ("output_0.pb", output, output_name)):
            message = numpy_helper.from_array(np.ascontiguousarray(array), tensor)
            (target / file).write_bytes(message.SerializeToString())
