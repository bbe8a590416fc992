"""Writes scikit-learn models as folders that `millrace model test` reads.

    make_sklearn_cases.py FOLDER    FOLDER/sklearn_NAME/model.onnx, .../test_data_set_0/...

Each is trained on data that scikit-learn carries and exported by skl2onnx; the expected
outputs are ONNX Runtime's.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import numpy_helper, save
from skl2onnx import to_onnx
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import (
    GradientBoostingClassifier, GradientBoostingRegressor, RandomForestClassifier,
    RandomForestRegressor)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

SEED = {"random_state": 7}


def classifiers():
    return {
        "tree": DecisionTreeClassifier(**SEED),
        "forest": RandomForestClassifier(30, **SEED),
        "boosting": GradientBoostingClassifier(n_estimators=20, **SEED),
        "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
        "network": make_pipeline(MinMaxScaler(), MLPClassifier((16,), max_iter=200, **SEED)),
    }


def regressors():
    return {
        "linear": LinearRegression(),
        "ridge": make_pipeline(Normalizer(), Ridge()),
        "forest": RandomForestRegressor(20, **SEED),
        "boosting": GradientBoostingRegressor(n_estimators=20, **SEED),
        "network": MLPRegressor(hidden_layer_sizes=(16,), max_iter=100, **SEED),
    }


def write_case(root, name, model, features, targets):
    model.fit(features, targets)
    options = {"zipmap": False} if hasattr(model, "predict_proba") else None
    exported = to_onnx(model, features[:1], options=options)
    data = root / f"sklearn_{name}" / "test_data_set_0"
    data.mkdir(parents=True, exist_ok=True)
    save(exported, data.parent / "model.onnx")
    session = onnxruntime.InferenceSession(exported.SerializeToString())
    feed = session.get_inputs()[0].name
    values = {"input": [(feed, features[::3])],
              "output": list(zip([o.name for o in session.get_outputs()],
                                 session.run(None, {feed: features[::3]})))}
    for kind, named in values.items():
        for index, (tensor_name, value) in enumerate(named):
            tensor = numpy_helper.from_array(np.asarray(value), tensor_name)
            (data / f"{kind}_{index}.pb").write_bytes(tensor.SerializeToString())


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        sys.exit(0 if sys.argv[1:] == ["--help"] else 2)
    warnings.simplefilter("ignore")  # few iterations are meant
    root = Path(sys.argv[1])
    iris, kinds = load_iris(return_X_y=True)
    labels = {"three": kinds, "two": (kinds == 1).astype(np.int64),
              "named": np.array(["setosa", "versicolor", "virginica"])[kinds]}
    for label, targets in labels.items():
        for name, model in classifiers().items():
            write_case(root, f"{name}_{label}", model, iris.astype(np.float32), targets)
    features, progress = load_diabetes(return_X_y=True)
    for name, model in regressors().items():
        write_case(root, f"{name}_regression", model, features.astype(np.float32), progress)
    print(f"{len(list(root.glob('sklearn_*')))} scikit-learn models in {root}")


main()
