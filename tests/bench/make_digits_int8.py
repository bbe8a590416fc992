#!/usr/bin/env python3
"""Makes the demo's digits model in 8 bits, as onnxruntime.quantization does by default
(QuantizeLinear and DequantizeLinear around what was there), and tells how it classifies.

Every fourth row of the demo's held-out rows calibrates; accuracies are of the others.
"""
import logging
import pathlib
import sys

import numpy as np
import onnxruntime
import quantize

ROOT = pathlib.Path(__file__).resolve().parents[2]


def accuracy(model, rows, labels):
    session = onnxruntime.InferenceSession(str(model))
    scores = session.run(None, {session.get_inputs()[0].name: rows})[0]
    return float((scores.argmax(axis=1) == labels).mean())


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    source, target = ROOT / "conf/models/digits/model.onnx", folder / "model.onnx"
    rows = np.load(ROOT / "tests/data/digits/samples.npy")
    labels = np.load(ROOT / "tests/data/digits/labels.npy")
    calibrates = np.arange(len(rows)) % 4 == 0
    logging.disable(logging.WARNING)
    quantize.write_static(source, target, "qdq", [[rows[calibrates]]])
    for name, model in ("float32", source), ("8 bits", target):
        right = accuracy(model, rows[~calibrates], labels[~calibrates])
        print(f"make_digits_int8: {name}: accuracy {right:.4f} "
              f"of {(~calibrates).sum()} rows", file=sys.stderr)


if __name__ == "__main__":
    main()
