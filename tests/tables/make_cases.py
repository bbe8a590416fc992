"""Writes models of tables and of text as folders that `millrace model test` reads.

    make_cases.py FOLDER    FOLDER/NAME/model.onnx, FOLDER/NAME/test_data_set_0/...

scikit-learn's estimators and pipelines, LightGBM and XGBoost, trained on made-up rows and
exported by skl2onnx and onnxmltools, and CatBoost, which exports itself.  The expected outputs are ONNX Runtime's; where it
and the library that trained the model do not agree, that is told and no case is written.
"""

import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import catboost
import lightgbm
import numpy as np
import onnx
import onnxruntime
import xgboost
from onnx import numpy_helper
from onnxmltools.convert import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as BoostFloats
from skl2onnx import to_onnx
from skl2onnx.common._container import ModelComponentContainer
from skl2onnx.common.data_types import (
    DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType)
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis)
from sklearn.ensemble import (
    AdaBoostClassifier, AdaBoostRegressor, BaggingClassifier, BaggingRegressor,
    ExtraTreesClassifier, ExtraTreesRegressor, GradientBoostingClassifier,
    GradientBoostingRegressor, HistGradientBoostingClassifier,
    HistGradientBoostingRegressor, IsolationForest, RandomForestClassifier,
    RandomForestRegressor, StackingClassifier, StackingRegressor, VotingClassifier,
    VotingRegressor)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, DotProduct, WhiteKernel
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import (
    ElasticNet, GammaRegressor, HuberRegressor, Lasso, LinearRegression,
    LogisticRegression, Perceptron, PoissonRegressor, QuantileRegressor, Ridge,
    RidgeClassifier, SGDClassifier, TweedieRegressor)
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import (
    KNeighborsClassifier, KNeighborsRegressor, KNeighborsTransformer,
    LocalOutlierFactor, NearestNeighbors, RadiusNeighborsRegressor)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    Binarizer, FunctionTransformer, KBinsDiscretizer, LabelBinarizer, LabelEncoder,
    MaxAbsScaler, MinMaxScaler, Normalizer, OneHotEncoder, OrdinalEncoder,
    PolynomialFeatures, PowerTransformer, RobustScaler, SplineTransformer,
    StandardScaler, TargetEncoder)
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, NuSVC, NuSVR, OneClassSVM
from sklearn.tree import (
    DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier,
    ExtraTreeRegressor)

SEED = {"random_state": 7}
ROWS, FEATURES, TESTED = 240, 6, 37
OPSETS = {"": 20, "ai.onnx.ml": 3}

# ONNX Runtime and the library agree so far, in scores and in nearly all labels.
AGREE = {"rtol": 2e-3, "atol": 2e-3}
LABELS_DIFFER_MAX = 0.06


def table():
    """Rows of floats, labels of two and three classes, and two targets."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(ROWS, FEATURES)).astype(np.float32)
    score = x[:, 0] * x[:, 1] + 2 * x[:, 2] - x[:, 3] + rng.normal(size=ROWS) / 4
    two = (score > 0).astype(np.int64)
    three = np.digitize(score, [-1, 1]).astype(np.int64)
    return x, two, three, score.astype(np.float32)


def holes(x):
    """The same rows with one value in seven missing."""
    x = x.copy()
    x[np.random.default_rng(4).random(x.shape) < 1 / 7] = np.nan
    return x


def sklearn_classifiers():
    return {
        "decision_tree": DecisionTreeClassifier(max_depth=6, **SEED),
        "extra_tree": ExtraTreeClassifier(**SEED),
        "random_forest": RandomForestClassifier(40, **SEED),
        "random_forest_shallow": RandomForestClassifier(40, max_depth=3, **SEED),
        "extra_trees": ExtraTreesClassifier(25, **SEED),
        "gradient_boosting": GradientBoostingClassifier(n_estimators=25, **SEED),
        "hist_gradient_boosting": HistGradientBoostingClassifier(max_iter=25, **SEED),
        "ada_boost": AdaBoostClassifier(n_estimators=10, **SEED),
        "bagging": BaggingClassifier(DecisionTreeClassifier(max_depth=4), 5, **SEED),
        "calibrated": CalibratedClassifierCV(LinearSVC(), cv=2),
        "calibrated_isotonic": CalibratedClassifierCV(GaussianNB(), method="isotonic",
                                                      cv=2),
        "voting": VotingClassifier([("a", LogisticRegression()), ("b", GaussianNB())],
                                   voting="soft"),
        "voting_hard": VotingClassifier([("a", LogisticRegression()),
                                         ("b", GaussianNB())], voting="hard",
                                        flatten_transform=False),
        "stacking": StackingClassifier([("a", LogisticRegression()),
                                        ("b", DecisionTreeClassifier(max_depth=3))]),
        "gaussian_nb": GaussianNB(),
        "bernoulli_nb": BernoulliNB(),
        "lda": LinearDiscriminantAnalysis(),
        "qda": QuadraticDiscriminantAnalysis(),
        "knn": KNeighborsClassifier(5),
        "knn_weighted": KNeighborsClassifier(4, weights="distance"),
        "mlp": MLPClassifier((12, 7), max_iter=60, **SEED),
        "mlp_tanh": MLPClassifier((9,), activation="tanh", max_iter=60, **SEED),
        "logistic": LogisticRegression(),
        "logistic_ovr": OneVsRestClassifier(LogisticRegression()),
        "ridge_classifier": RidgeClassifier(),
        "perceptron": Perceptron(**SEED),
        "sgd_log": SGDClassifier(loss="log_loss", **SEED),
        "sgd_hinge": SGDClassifier(**SEED),
        "sgd_huber": SGDClassifier(loss="modified_huber", **SEED),
        "svc": SVC(),
        "svc_probability": SVC(probability=True, **SEED),
        "svc_poly": SVC(kernel="poly", degree=2, coef0=0.5, probability=True, **SEED),
        "svc_sigmoid": SVC(kernel="sigmoid"),
        "svc_linear": SVC(kernel="linear"),
        "nu_svc": NuSVC(nu=0.2),
        "linear_svc": LinearSVC(),
        "one_vs_one": OneVsOneClassifier(LogisticRegression()),
        "one_vs_rest": OneVsRestClassifier(DecisionTreeClassifier(max_depth=3)),
        "gaussian_process": GaussianProcessClassifier(RBF(2.0), optimizer=None),
        "scaled_logistic": make_pipeline(StandardScaler(), LogisticRegression()),
        "pca_logistic": make_pipeline(PCA(3), LogisticRegression()),
        "poly_logistic": make_pipeline(PolynomialFeatures(2), StandardScaler(),
                                       LogisticRegression()),
        "bins_logistic": make_pipeline(KBinsDiscretizer(4, encode="onehot-dense"), LogisticRegression()),
        "ordinal_bins_tree": make_pipeline(KBinsDiscretizer(4, encode="ordinal"),
                                           DecisionTreeClassifier(max_depth=4, **SEED)),
        "select_knn": make_pipeline(SelectKBest(k=3), KNeighborsClassifier(3)),
        "multinomial_nb": make_pipeline(MinMaxScaler(), MultinomialNB()),
        "complement_nb": make_pipeline(MinMaxScaler(clip=True), ComplementNB()),
        "lightgbm_like_union": make_pipeline(
            FeatureUnion([("a", StandardScaler()), ("b", PCA(2))]),
            RandomForestClassifier(10, max_depth=5, **SEED)),
    }


def sklearn_regressors():
    return {
        "decision_tree": DecisionTreeRegressor(max_depth=7, **SEED),
        "extra_tree": ExtraTreeRegressor(**SEED),
        "random_forest": RandomForestRegressor(30, **SEED),
        "extra_trees": ExtraTreesRegressor(15, **SEED),
        "gradient_boosting": GradientBoostingRegressor(n_estimators=30, **SEED),
        "hist_gradient_boosting": HistGradientBoostingRegressor(max_iter=30, **SEED),
        "ada_boost": AdaBoostRegressor(n_estimators=8, **SEED),
        "bagging": BaggingRegressor(DecisionTreeRegressor(max_depth=4), 6, **SEED),
        "voting": VotingRegressor([("a", Ridge()), ("b", DecisionTreeRegressor())]),
        "stacking": StackingRegressor([("a", Ridge()), ("b", Lasso(0.1))]),
        "knn": KNeighborsRegressor(4),
        "knn_manhattan": KNeighborsRegressor(4, metric="manhattan"),
        "radius": RadiusNeighborsRegressor(4.0),
        "mlp": MLPRegressor(hidden_layer_sizes=(11,), max_iter=60, **SEED),
        "mlp_logistic": MLPRegressor(hidden_layer_sizes=(11,), activation="logistic", max_iter=60, **SEED),
        "linear": LinearRegression(),
        "ridge": Ridge(),
        "lasso": Lasso(0.05),
        "elastic_net": ElasticNet(0.05),
        "huber": HuberRegressor(),
        "quantile": QuantileRegressor(alpha=0.1),
        "svr": SVR(),
        "svr_poly": SVR(kernel="poly", coef0=1.0),
        "svr_linear": SVR(kernel="linear"),
        "svr_sigmoid": SVR(kernel="sigmoid"),
        "nu_svr": NuSVR(),
        "linear_svr": LinearSVR(),
        "gaussian_process": GaussianProcessRegressor(RBF(2.0) + WhiteKernel(0.1),
                                                     optimizer=None),
        "gaussian_process_dot": GaussianProcessRegressor(
            DotProduct() + WhiteKernel(0.5), optimizer=None),
        "scaled_ridge": make_pipeline(RobustScaler(), Ridge()),
        "spline": make_pipeline(MaxAbsScaler(), Ridge()),
    }


def transformers():
    return {
        "standard_scaler": StandardScaler(), "minmax_scaler": MinMaxScaler(),
        "max_abs_scaler": MaxAbsScaler(), "robust_scaler": RobustScaler(),
        "normalizer_l1": Normalizer("l1"), "normalizer_l2": Normalizer("l2"),
        "normalizer_max": Normalizer("max"), "binarizer": Binarizer(threshold=0.25),
        "polynomial": PolynomialFeatures(3), "bins": KBinsDiscretizer(5, encode="onehot-dense"),
        "interactions": PolynomialFeatures(2, interaction_only=True, include_bias=False),
        "pca": PCA(4), "pca_white": PCA(3, whiten=True), "svd": TruncatedSVD(3, **SEED),
        "power": PowerTransformer(), "variance": VarianceThreshold(0.9),
        "kmeans": KMeans(4, n_init=2, **SEED),
        "minibatch_kmeans": MiniBatchKMeans(3, n_init=2, **SEED),
        "gaussian_mixture": GaussianMixture(3, **SEED),
        "bayesian_mixture": BayesianGaussianMixture(n_components=2, **SEED),
        "nearest": NearestNeighbors(n_neighbors=3),
        "identity": FunctionTransformer(),
    }


def outlier_detectors():
    return {
        "isolation_forest": IsolationForest(n_estimators=20, **SEED),
        "isolation_forest_deep": IsolationForest(n_estimators=15, max_samples=200, **SEED),
        "one_class_svm": OneClassSVM(nu=0.2),
        "local_outlier_factor": LocalOutlierFactor(n_neighbors=10, novelty=True),
    }


add_node = ModelComponentContainer.add_node


def plain(item):
    item = item.item() if isinstance(item, np.generic) else item
    return int(item) if isinstance(item, bool) else item


def add_plain_node(self, *args, **attributes):
    """Histogram trees come with NumPy's integers in lists, which onnx does not take."""
    for name, value in attributes.items():
        if isinstance(value, list):
            attributes[name] = [plain(item) for item in value]
    return add_node(self, *args, **attributes)


ModelComponentContainer.add_node = add_plain_node


class Cases:
    """Writes one folder a model, and counts."""

    def __init__(self, root):
        self.root, self.written, self.left_out = root, 0, []

    def add(self, name, make, feeds, expected=None):
        """`make` gives the exported model; `feeds` its inputs; `expected` the library's
        own (labels or values, scores or None)."""
        try:
            model = make()
            session = onnxruntime.InferenceSession(
                model.SerializeToString(), providers=["CPUExecutionProvider"])
            names = [o.name for o in session.get_outputs()]
            inputs = {i.name: feeds[i.name] for i in session.get_inputs()}
            outputs = [tensor_of(value) for value in session.run(None, inputs)]
            problem = disagreement(outputs, expected)
        except Exception as error:  # the exporter's or ONNX Runtime's; told at the end
            problem = (str(error).strip().splitlines() or [repr(error)])[0][:160]
            if "-v" in sys.argv:
                traceback.print_exc()
        if problem:
            self.left_out.append(f"{name}: {problem}")
            return
        data = self.root / name / "test_data_set_0"
        data.mkdir(parents=True, exist_ok=True)
        onnx.save(model, data.parent / "model.onnx")
        write_tensors(data, "input", inputs.items())
        write_tensors(data, "output", zip(names, outputs))
        self.written += 1


def tensor_of(value):
    """A list of maps, which ZipMap makes, as scores in the order of the labels."""
    if isinstance(value, list):
        return np.array([[row[key] for key in row] for row in value], np.float32)
    return np.asarray(value)


def write_tensors(folder, kind, named):
    for index, (name, value) in enumerate(named):
        tensor = numpy_helper.from_array(np.asarray(value), name)
        (folder / f"{kind}_{index}.pb").write_bytes(tensor.SerializeToString())


def disagreement(outputs, expected):
    if expected is None:
        return None
    for index, want in enumerate(expected):
        if want is None or index >= len(outputs):
            continue
        got, want = outputs[index], np.asarray(want)
        if got.size != want.size:
            return f"output {index} has {got.shape}, the library {want.shape}"
        got = got.reshape(want.shape)
        if want.dtype.kind == "f":
            share = np.mean(~np.isclose(got, want, equal_nan=True, **AGREE))
        else:
            share = np.mean(got.astype(str) != want.astype(str))
        if share > LABELS_DIFFER_MAX:
            return f"output {index} differs from the library's in {share:.0%}"
    return None


def add_sklearn(cases, name, model, x, y, options=None, types=None, check=True):
    model.fit(x) if y is None else model.fit(x, y)
    tested = x[:TESTED]
    expected = None
    if check and hasattr(model, "predict"):
        scores = model.predict_proba(tested) if hasattr(model, "predict_proba") else None
        expected = (model.predict(tested), scores)
    elif check:
        expected = (model.transform(tested),) if hasattr(model, "transform") else None
    types = types or [("X", FloatTensorType([None, x.shape[1]]))]
    cases.add(name, lambda: to_onnx(model, initial_types=types, options=options,
                                    target_opset=OPSETS),
              {"X": tested}, expected)


def add_plain(cases):
    x, two, three, value = table()
    names = np.array(["low", "middle", "high"])
    for name, model in sklearn_classifiers().items():
        zipmap = {"zipmap": False} if hasattr(model, "predict_proba") else None
        add_sklearn(cases, f"{name}_two", model, x, two, zipmap)
    for name, model in sklearn_classifiers().items():
        zipmap = {"zipmap": False} if hasattr(model, "predict_proba") else None
        add_sklearn(cases, f"{name}_three", model, x, three, zipmap)
    for name in ("decision_tree", "random_forest", "gradient_boosting", "logistic", "knn",
                 "gaussian_nb", "svc_probability", "mlp", "hist_gradient_boosting"):
        add_sklearn(cases, f"{name}_named", sklearn_classifiers()[name], x, names[three],
                    {"zipmap": False})
        # What skl2onnx does by default: a ZipMap at the end.
        add_sklearn(cases, f"{name}_zipmap", sklearn_classifiers()[name], x, three)
        add_sklearn(cases, f"{name}_named_zipmap", sklearn_classifiers()[name], x,
                    names[three])
    for name, model in sklearn_regressors().items():
        add_sklearn(cases, f"{name}_value", model, x, value)
    for name, model in transformers().items():
        add_sklearn(cases, name, model, x, None, check=hasattr(model, "transform")
                    and not hasattr(model, "predict"))
    for name, model in outlier_detectors().items():
        add_sklearn(cases, name, model, x, None, check=False)
    counts = np.random.default_rng(5).poisson(3, ROWS).astype(np.float32) + 1
    for name, model in {"poisson": PoissonRegressor(), "gamma": GammaRegressor(),
                        "tweedie": TweedieRegressor(power=1.5)}.items():
        add_sklearn(cases, name, model, x, counts)


def add_other_inputs(cases):
    x, two, three, value = table()
    doubles = [("X", DoubleTensorType([None, FEATURES]))]
    whole = np.round(x * 3).astype(np.int64)
    integers = [("X", Int64TensorType([None, FEATURES]))]
    for name in ("decision_tree", "random_forest", "gradient_boosting", "logistic", "svc",
                 "gaussian_nb", "knn", "mlp"):
        add_sklearn(cases, f"{name}_doubles", sklearn_classifiers()[name],
                    x.astype(np.float64), three, {"zipmap": False}, doubles)
        add_sklearn(cases, f"{name}_integers", sklearn_classifiers()[name], whole, two,
                    None, integers)
    for name in ("decision_tree", "random_forest", "gradient_boosting", "ridge", "svr",
                 "hist_gradient_boosting", "gaussian_process"):
        add_sklearn(cases, f"{name}_value_doubles", sklearn_regressors()[name],
                    x.astype(np.float64), value, None, doubles)
        add_sklearn(cases, f"{name}_value_integers", sklearn_regressors()[name], whole,
                    value, None, integers)
    for name, model in {
            "imputer_mean": SimpleImputer(), "imputer_median": SimpleImputer(strategy="median"),
            "imputer_constant": SimpleImputer(strategy="constant", fill_value=-1.0),
            "imputer_knn": KNNImputer(n_neighbors=3),
            "imputed_forest": make_pipeline(SimpleImputer(), RandomForestClassifier(9)),
            "hist_missing": HistGradientBoostingClassifier(max_iter=15, **SEED)}.items():
        add_sklearn(cases, name, model, holes(x), two)
    add_sklearn(cases, "hist_missing_value",
                HistGradientBoostingRegressor(max_iter=15, **SEED), holes(x), value)
    several = np.stack([two, three], axis=1)
    add_sklearn(cases, "multi_output_forest", RandomForestRegressor(9, **SEED), x,
                np.stack([value, -value, value * 2], axis=1))
    add_sklearn(cases, "multi_output_tree", DecisionTreeRegressor(max_depth=4, **SEED), x,
                np.stack([value, value**2], axis=1))
    add_sklearn(cases, "multi_output_linear", LinearRegression(), x,
                np.stack([value, value**2, value * 3], axis=1))
    add_sklearn(cases, "multi_output_ridge", MultiOutputRegressor(Ridge()), x,
                np.stack([value, value**2], axis=1))
    add_sklearn(cases, "multi_output_classifier",
                MultiOutputClassifier(LogisticRegression()), x, several, {"zipmap": False},
                check=False)
    add_sklearn(cases, "multi_label_tree", DecisionTreeClassifier(max_depth=4, **SEED), x,
                several, {"zipmap": False}, check=False)


def add_raw_scores(cases):
    x, two, three, _ = table()
    for name in ("logistic", "gradient_boosting", "svc", "hist_gradient_boosting"):
        for label, y in (("two", two), ("three", three)):
            model = sklearn_classifiers()[name].fit(x, y)
            options = {id(model): {"raw_scores": True, "zipmap": False}}
            cases.add(f"{name}_raw_{label}",
                      lambda m=model, o=options: to_onnx(m, x[:1], options=o,
                                                         target_opset=OPSETS),
                      {"X": x[:TESTED]})
    for name in ("random_forest", "decision_tree"):
        model = sklearn_classifiers()[name].fit(x, three)
        options = {id(model): {"decision_leaf": True, "decision_path": True,
                               "zipmap": False}}
        cases.add(f"{name}_paths", lambda m=model, o=options: to_onnx(
            m, x[:1], options=o, target_opset=OPSETS), {"X": x[:TESTED]})
    for name in ("random_forest", "gradient_boosting", "isolation_forest"):
        source = {**sklearn_classifiers(), **outlier_detectors()}[name]
        model = source.fit(x) if name.startswith("iso") else source.fit(x, two)
        options = {id(model): {"score_samples": True}} if name.startswith("iso") else {
            id(model): {"zipmap": "columns"}}
        cases.add(f"{name}_columns", lambda m=model, o=options: to_onnx(
            m, x[:1], options=o, target_opset=OPSETS), {"X": x[:TESTED]})


def mixed_table():
    """Columns of strings, integers and floats, each an input of its own."""
    rng = np.random.default_rng(6)
    towns = np.array(["Bern", "Genève", "Zürich", "Basel"], dtype=object)
    return {
        "town": towns[rng.integers(0, 4, (ROWS, 1))],
        "grade": rng.integers(1, 6, (ROWS, 1)),
        "age": rng.normal(40, 12, (ROWS, 1)).astype(np.float32),
        "income": rng.lognormal(3, 1, (ROWS, 1)).astype(np.float32),
    }


def add_mixed(cases):
    import pandas
    columns = mixed_table()
    frame = pandas.DataFrame({name: value[:, 0] for name, value in columns.items()})
    two = ((frame.age > 38) ^ (frame.town == "Bern")).astype(np.int64).to_numpy()
    types = [("town", StringTensorType([None, 1])), ("grade", Int64TensorType([None, 1])),
             ("age", FloatTensorType([None, 1])), ("income", FloatTensorType([None, 1]))]
    encoders = {
        "one_hot": OneHotEncoder(handle_unknown="ignore"),
        "one_hot_drop": OneHotEncoder(drop="first"),
        "ordinal": OrdinalEncoder(),
        "ordinal_unknown": OrdinalEncoder(handle_unknown="use_encoded_value",
                                          unknown_value=-1),
        "target": TargetEncoder(**SEED),
    }
    finals = {"logistic": LogisticRegression(max_iter=300),
              "forest": RandomForestClassifier(12, max_depth=6, **SEED),
              "hist": HistGradientBoostingClassifier(max_iter=12, **SEED)}
    for code, encoder in encoders.items():
        for final, model in finals.items():
            pipeline = make_pipeline(ColumnTransformer([
                ("text", encoder, ["town"]),
                ("grade", OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                 ["grade"]),
                ("numbers", make_pipeline(SimpleImputer(), StandardScaler()),
                 ["age", "income"])], sparse_threshold=0), model).fit(frame, two)
            expected = (pipeline.predict(frame[:TESTED]),
                        pipeline.predict_proba(frame[:TESTED]))
            cases.add(f"columns_{code}_{final}",
                      lambda p=pipeline: to_onnx(p, initial_types=types,
                                                 target_opset=OPSETS),
                      {name: value[:TESTED] for name, value in columns.items()}, expected)
    towns = columns["town"]
    text = [("X", StringTensorType([None, 1]))]
    for name, encoder in encoders.items():
        if name != "target":
            add_sklearn(cases, f"encoder_{name}", encoder, towns, None, types=text,
                        check=False)
    for name, encoder in {"label": LabelEncoder(), "label_binarizer": LabelBinarizer()}.items():
        encoder.fit(columns["grade"][:, 0])
        cases.add(f"encoder_{name}", lambda e=encoder: to_onnx(
            e, initial_types=[("X", Int64TensorType([None]))], target_opset=OPSETS),
            {"X": columns["grade"][:TESTED, 0]})
    label = LabelEncoder().fit(towns[:, 0])
    cases.add("encoder_label_text", lambda: to_onnx(
        label, initial_types=[("X", StringTensorType([None]))], target_opset=OPSETS),
        {"X": towns[:TESTED, 0]}, (label.transform(towns[:TESTED, 0]),))


def add_text(cases):
    words = "the quick brown fox jumps over a lazy dog while Rain falls on plain".split()
    rng = np.random.default_rng(8)
    lines = np.array([[" ".join(rng.choice(words, rng.integers(3, 9)))]
                      for _ in range(80)], dtype=object)
    y = np.array(["fox" in line[0] for line in lines]).astype(np.int64)
    vectorizers = {
        "counts": CountVectorizer(token_pattern="[a-zA-Z]+"),
        "tfidf": TfidfVectorizer(token_pattern="[a-zA-Z]+"),
        "tfidf_pairs": TfidfVectorizer(ngram_range=(1, 2), token_pattern="[a-zA-Z]+"),
        "tfidf_default": TfidfVectorizer(),
        "tfidf_letters": TfidfVectorizer(analyzer="char", ngram_range=(1, 2)),
        "binary": CountVectorizer(binary=True, lowercase=False, token_pattern="[a-zA-Z]+"),
        "stop": CountVectorizer(stop_words=["the", "a"], token_pattern="[a-zA-Z]+"),
    }
    for name, vectorizer in vectorizers.items():
        model = make_pipeline(vectorizer, LogisticRegression()).fit(lines[:, 0], y)
        locale = {id(vectorizer): {"locale": "C.UTF-8"}}  # which every machine has
        cases.add(f"text_{name}", lambda m=model, o=locale: to_onnx(
            m, initial_types=[("X", StringTensorType([None]))], target_opset=OPSETS,
            options=o), {"X": lines[:TESTED, 0]},
            (model.predict(lines[:TESTED, 0]), model.predict_proba(lines[:TESTED, 0])))


def add_lightgbm(cases):
    x, two, three, value = table()
    kinds = np.abs(np.round(x * 2)).astype(np.float32)
    quiet = {"verbose": -1, **SEED}
    few = {"n_estimators": 20, "min_child_samples": 3, **quiet}
    trained = {
        "two": (lightgbm.LGBMClassifier(**few), x, two, {}),
        "three": (lightgbm.LGBMClassifier(**few), x, three, {}),
        "value": (lightgbm.LGBMRegressor(**few), x, value, {}),
        "missing_two": (lightgbm.LGBMClassifier(**few), holes(x), two, {}),
        "missing_value": (lightgbm.LGBMRegressor(**few), holes(x), value, {}),
        "zero_missing": (lightgbm.LGBMRegressor(zero_as_missing=True, **few),
                         np.round(x), value, {}),
        "categories_two": (lightgbm.LGBMClassifier(min_data_per_group=5, cat_smooth=1,
                                                   **few), kinds, two,
                           {"categorical_feature": [0, 2]}),
        "categories_value": (lightgbm.LGBMRegressor(min_data_per_group=5, cat_smooth=1,
                                                    **few), kinds, value,
                             {"categorical_feature": [0, 1, 2, 3]}),
        "many_leaves": (lightgbm.LGBMRegressor(
            n_estimators=15, num_leaves=120, min_child_samples=1, **quiet), x, value, {}),
        "random_forest": (lightgbm.LGBMClassifier(
            boosting_type="rf", bagging_freq=1, bagging_fraction=0.7, **few), x, two, {}),
        "dart": (lightgbm.LGBMRegressor(boosting_type="dart", **few), x, value, {}),
        "poisson": (lightgbm.LGBMRegressor(objective="poisson", **few), x,
                    np.abs(value), {}),
        "cross_entropy": (lightgbm.LGBMRegressor(objective="cross_entropy", **few), x,
                          two.astype(float), {}),
        "weighted": (lightgbm.LGBMClassifier(is_unbalance=True, **few), x, two, {}),
        "one_leaf": (lightgbm.LGBMRegressor(n_estimators=2, min_child_samples=200,
                                            **quiet), x, value, {}),
        "stump": (lightgbm.LGBMClassifier(num_leaves=2, **few), x, two, {}),
    }
    types = [("X", BoostFloats([None, FEATURES]))]
    for name, (model, rows, y, fit) in trained.items():
        model.fit(rows, y, **fit)
        tested = rows[:TESTED]
        scores = model.predict_proba(tested) if hasattr(model, "predict_proba") else None
        for zipmap in ((True, False) if name in ("two", "three") else (False,)):
            cases.add(f"lightgbm_{name}" + ("_zipmap" if zipmap else ""),
                      lambda m=model, z=zipmap: convert_lightgbm(
                          m, initial_types=types, zipmap=z, target_opset=15),
                      {"X": tested}, (model.predict(tested), scores))
    split = lightgbm.LGBMRegressor(**few).fit(x, value)
    cases.add("lightgbm_split", lambda: convert_lightgbm(
        split, initial_types=types, split=7, target_opset=15), {"X": x[:TESTED]},
        (split.predict(x[:TESTED]),))


def add_xgboost(cases):
    x, two, three, value = table()
    few = {"n_estimators": 20, "max_depth": 4, **SEED}
    trained = {
        "two": (xgboost.XGBClassifier(**few), x, two),
        "three": (xgboost.XGBClassifier(**few), x, three),
        "softprob": (xgboost.XGBClassifier(objective="multi:softprob", **few), x, three),
        "softmax": (xgboost.XGBClassifier(objective="multi:softmax", **few), x, three),
        "value": (xgboost.XGBRegressor(**few), x, value),
        "missing_two": (xgboost.XGBClassifier(**few), holes(x), two),
        "missing_three": (xgboost.XGBClassifier(**few), holes(x), three),
        "missing_value": (xgboost.XGBRegressor(**few), holes(x), value),
        "deep": (xgboost.XGBRegressor(n_estimators=12, max_depth=9, **SEED), x, value),
        "lossguide": (xgboost.XGBRegressor(n_estimators=12, grow_policy="lossguide",
                                           max_leaves=40, max_depth=0, **SEED), x, value),
        "exact": (xgboost.XGBRegressor(tree_method="exact", **few), x, value),
        "forest": (xgboost.XGBRFRegressor(n_estimators=10, max_depth=5, **SEED), x, value),
        "poisson": (xgboost.XGBRegressor(objective="count:poisson", **few), x,
                    np.abs(np.round(value))),
        "tweedie": (xgboost.XGBRegressor(objective="reg:tweedie", **few), x,
                    np.abs(value)),
        "logistic": (xgboost.XGBRegressor(objective="reg:logistic", **few), x, two),
        "base_score": (xgboost.XGBRegressor(base_score=5.0, **few), x, value),
        "linear": (xgboost.XGBRegressor(booster="gblinear", n_estimators=9, **SEED), x,
                   value),
        "two_targets": (xgboost.XGBRegressor(**few), x, np.stack([value, -value], 1)),
        "ranker": (xgboost.XGBRanker(**few), x, two),
        "stump": (xgboost.XGBClassifier(n_estimators=5, max_depth=1), x, two),
    }
    types = [("X", BoostFloats([None, FEATURES]))]
    for name, (model, rows, y) in trained.items():
        extra = {"group": [ROWS // 2, ROWS // 2]} if name == "ranker" else {}
        model.fit(rows, y, **extra)
        tested = rows[:TESTED]
        scores = model.predict_proba(tested) if hasattr(model, "predict_proba") else None
        cases.add(f"xgboost_{name}", lambda m=model: convert_xgboost(
            m, initial_types=types, target_opset=15), {"X": tested},
            (model.predict(tested), scores))


def add_catboost(cases):
    x, two, three, value = table()
    few = {"iterations": 25, "verbose": False, "allow_writing_files": False,
           "thread_count": 1, "random_seed": 7}
    words = np.array(["no", "yes"])[two]
    trained = {
        "two": (catboost.CatBoostClassifier(**few), x, two),
        "three": (catboost.CatBoostClassifier(**few), x, three),
        "words": (catboost.CatBoostClassifier(**few), x, words),
        "value": (catboost.CatBoostRegressor(**few), x, value),
        "missing_two": (catboost.CatBoostClassifier(**few), holes(x), two),
        "missing_most": (catboost.CatBoostRegressor(nan_mode="Max", **few), holes(x), value),
        "shallow": (catboost.CatBoostClassifier(depth=1, **few), x, two),
        "deep": (catboost.CatBoostRegressor(depth=10, **few), x, value),
        "cross_entropy": (catboost.CatBoostClassifier(loss_function="CrossEntropy", **few), x,
                          two * 0.8 + 0.1),
        "quantile": (catboost.CatBoostRegressor(loss_function="Quantile:alpha=0.9", **few), x,
                     value),
        "ranker": (catboost.CatBoostRanker(**few), x, two),
    }
    for name, (model, rows, y) in trained.items():
        extra = {"group_id": np.arange(ROWS) // 20} if name == "ranker" else {}
        model.fit(rows, y, **extra)
        tested = rows[:TESTED]
        scores = model.predict_proba(tested) if hasattr(model, "predict_proba") else None
        labels = None if name == "cross_entropy" else model.predict(tested)
        cases.add(f"catboost_{name}", lambda m=model: saved_by(m), {"features": tested},
                  (labels, scores))


def saved_by(model):
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        model.save_model(file.name, format="onnx")
        return onnx.load(file.name)


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        sys.exit(0 if sys.argv[1:] == ["--help"] else 2)
    onnxruntime.set_default_logger_severity(4)
    warnings.simplefilter("ignore")  # few iterations are meant
    cases = Cases(Path(sys.argv[1]))
    for add in (add_plain, add_other_inputs, add_raw_scores, add_mixed, add_lightgbm,
                add_xgboost, add_catboost):
        add(cases)
    print(f"{cases.written} models of tables in {cases.root}")
    for reason in cases.left_out:
        print(f"    left out: {reason}", file=sys.stderr)


main()
