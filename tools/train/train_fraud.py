"""Trains the two models of the fraud example on made-up payments: LightGBM on the fields
nearly as they are, a scikit-learn pipeline on logarithms and one-hot columns.

Writes conf/models/fraud/ and tests/data/fraud/payments.jsonl, which holds payments that
neither model has seen, with each library's own score.  `lightgbm_row` and `sklearn_row`
are what the mappings of conf/fraud.conf do; a test holds the two against each other."""
import datetime
import json
import math
import shutil
import zlib

from pathlib import Path

import lightgbm
import numpy as np
from onnx import numpy_helper
from onnxmltools.convert import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ROOT = Path(__file__).resolve().parents[2]
SEED = 20
TRAINED, KEPT = 20000, 400
CATEGORIES = ["grocery", "fuel", "travel", "electronics", "gambling", "other"]
COUNTRIES = ["CH", "DE", "FR", "IT", "AT"]
START_MS = 1767225600000  # 2026-01-01, UTC
OPSETS = {"": 17, "ai.onnx.ml": 3}


def make_payment(rng, index):
    """One record of the topic; null where the bank does not know."""
    usual = float(np.exp(rng.normal(3.5, 0.7)))
    fraud = rng.random() < 0.08
    burst = rng.poisson(6 if fraud and rng.random() < 0.6 else 1)
    amount = usual * float(np.exp(rng.normal(1.2 if fraud else 0, 0.8)))
    hour = int(rng.choice([0, 1, 2, 3, 4, 23])) if fraud and rng.random() < 0.5 \
        else int(rng.integers(6, 24))
    at = START_MS + int(rng.integers(0, 90)) * 86400000 + hour * 3600000 \
        + int(rng.integers(0, 3600000))
    risky = fraud and rng.random() < 0.5
    payment = {
        "payment_id": f"p-{index:06d}",
        "at": at,
        "amount": round(amount, 2),
        "mean_amount_30d": round(usual, 2),
        "payments_24h": int(burst),
        "account_days": int(rng.integers(1, 60 if risky else 4000)),
        "customer_age": None if rng.random() < 0.1 else int(rng.integers(18, 90)),
        "km_from_home": None if rng.random() < 0.15
        else int(rng.exponential(400 if risky else 20)),
        "card_present": bool(rng.random() < (0.2 if fraud else 0.7)),
        "category": str(rng.choice(["gambling", "electronics", "travel"] if risky
                                   else CATEGORIES)),
        "country": str(rng.choice(COUNTRIES + ["US", "BR"])) if fraud
        else str(rng.choice(COUNTRIES, p=[0.6, 0.15, 0.1, 0.1, 0.05])),
    }
    return payment, int(fraud)


def moment(payment):
    return datetime.datetime.fromtimestamp(payment["at"] / 1000, datetime.timezone.utc)


def index_of(word, words):
    return words.index(word) if word in words else -1


def or_else(value, default):
    return default if value is None else value


def one_hot(index, size):
    return [1.0 if i == index else 0.0 for i in range(size)]


# Cents: LightGBM keeps thresholds in double and compares them so, ONNX does in float, which
# whole numbers do not mind.
def lightgbm_row(p):
    return [p["amount"] * 100, p["mean_amount_30d"] * 100, p["payments_24h"], p["account_days"],
            or_else(p["customer_age"], -1), or_else(p["km_from_home"], -1),
            float(p["card_present"]), moment(p).hour, moment(p).weekday(),
            index_of(p["category"], CATEGORIES), index_of(p["country"], COUNTRIES)]


def sklearn_row(p):
    return [math.log1p(p["amount"]), math.log1p(p["mean_amount_30d"]),
            min(p["payments_24h"], 20), math.log1p(p["account_days"]),
            or_else(p["customer_age"], 45), math.log1p(or_else(p["km_from_home"], 0)),
            float(p["card_present"]), *one_hot(moment(p).hour, 24),
            *one_hot(index_of(p["category"], CATEGORIES), len(CATEGORIES)),
            *one_hot(index_of(p["country"], COUNTRIES), len(COUNTRIES))]


def rows(payments, row):
    return np.array([row(p) for p in payments], dtype=np.float32)


def train_lightgbm(x, y):
    model = lightgbm.LGBMClassifier(n_estimators=60, num_leaves=15, learning_rate=0.1,
                                    random_state=SEED, n_jobs=1, deterministic=True,
                                    force_row_wise=True, verbosity=-1)
    model.fit(x, y)
    onnx = convert_lightgbm(model, initial_types=[("X", FloatTensorType([None, x.shape[1]]))],
                            zipmap=False, target_opset=15)
    return model, onnx


def train_sklearn(x, y):
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(x, y)
    onnx = to_onnx(model, x[:1], options={"zipmap": False}, target_opset=OPSETS)
    return model, onnx


def write_goldens(folder, model, x):
    """ONNX's backend-test layout: a batch of five, and of one."""
    for index, part in enumerate((x[:5], x[5:6])):
        target = folder / f"test_data_set_{index}"
        target.mkdir()
        for file, array, name in (
                ("input_0.pb", part, "X"),
                ("output_0.pb", model.predict(part).astype(np.int64), "label"),
                ("output_1.pb", model.predict_proba(part).astype(np.float32), "probabilities")):
            message = numpy_helper.from_array(np.ascontiguousarray(array), name)
            (target / file).write_bytes(message.SerializeToString())


def main():
    rng = np.random.default_rng(SEED)
    made = [make_payment(rng, i) for i in range(TRAINED + KEPT)]
    payments, y = [p for p, _ in made], np.array([fraud for _, fraud in made])
    kept = payments[TRAINED:]
    scores, figures = {}, {}
    shutil.rmtree(ROOT / "conf/models/fraud", ignore_errors=True)
    for name, row, train in (("lightgbm", lightgbm_row, train_lightgbm),
                             ("sklearn", sklearn_row, train_sklearn)):
        x = rows(payments, row)
        model, onnx = train(x[:TRAINED], y[:TRAINED])
        folder = ROOT / "conf/models/fraud" / name
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(onnx.SerializeToString())
        write_goldens(folder, model, x[TRAINED:])
        scores[name] = model.predict_proba(x[TRAINED:])[:, 1]
        figures[f"{name}_auc"] = round(float(roc_auc_score(y[TRAINED:], scores[name])), 4)
    (ROOT / "conf/models/fraud/accuracy.json").write_text(json.dumps(figures, indent=2) + "\n")
    data = ROOT / "tests/data/fraud"
    data.mkdir(parents=True, exist_ok=True)
    with open(data / "payments.jsonl", "w", encoding="utf-8") as file:
        for i, payment in enumerate(kept):
            file.write(json.dumps({"payment": payment, "fraud": int(y[TRAINED + i]),
                                   "lightgbm": round(float(scores["lightgbm"][i]), 7),
                                   "sklearn": round(float(scores["sklearn"][i]), 7)}) + "\n")
    print("fraud", json.dumps(figures), f"{zlib.crc32((data / 'payments.jsonl').read_bytes()):08x}")


main()
