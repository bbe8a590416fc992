#!/usr/bin/env python3
"""Makes the smallest useful model, a logistic regression of 30 features, and rows for it.

It is trained on scikit-learn's own breast cancer data, which have 30 features.
"""
import pathlib
import sys

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    rows, labels = load_breast_cancer(return_X_y=True)
    rows = rows.astype(np.float32)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels)
    onnx = to_onnx(model, rows[:1], options={"zipmap": False})
    (folder / "model.onnx").write_bytes(onnx.SerializeToString())
    np.save(folder / "samples.npy", rows)


if __name__ == "__main__":
    main()
