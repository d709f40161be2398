"""Calibrations: scikit-learn's own classes, put together from values that are there already, and their compiled form."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import Pipeline

from hearth.contracts import Contract
from hearth.errors import RefusedModel
from hearth.modelling.calibration import (
    METHODS,
    Method,
    as_probabilities,
    calibrate,
    calibrated,
    codes_of,
    fit_calibrators,
    gives_probabilities,
    values_of,
)
from hearth.modelling.families import FAMILIES
from hearth.modelling.features import build_features
from hearth.registry import model_files
from hearth.serving.compiled.scorer import CompiledScorer
from tests.support.samples import EMPLOYEES, sample_rows

BINARY = EMPLOYEES.model_copy(
    update={"target": EMPLOYEES.target.model_copy(update={"cuts": (0.5,), "classes": ("Low", "High")}), "gate": type(EMPLOYEES.gate)()}
)
UNCALIBRATED: dict[str, Callable[[], Any]] = {
    name: lambda family=family: family.final(
        {**family.defaults, **({"n_estimators": 8} if "n_estimators" in family.defaults else {})}, 1, 2_000, uncalibrated=True
    )  # type: ignore[misc]
    for name, family in FAMILIES.items()
}


def calibrated_pipeline(contract: Contract, family: str, method: Method, rows: int = 200) -> Pipeline:
    """Fit a family and calibrate it on other rows."""
    X, y = sample_rows(contract, 2 * rows)
    features = build_features(contract).fit(X[:rows])
    model = UNCALIBRATED[family]().fit(features.transform(X[:rows]), y[:rows].to_numpy())
    values = values_of(model, features.transform(X[rows:]))
    calibrators = fit_calibrators(method, values, y[rows:].to_numpy(), are_probabilities=gives_probabilities(model))
    return Pipeline([("features", features), ("model", calibrated(model, method, calibrators))])


@pytest.mark.parametrize("contract", [EMPLOYEES, BINARY], ids=["three classes", "two classes"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_calibrated_model_is_stored_read_and_compiled_and_says_the_same(
    tmp_path: Path, family: str, method: Method, contract: Contract
) -> None:
    pipeline = calibrated_pipeline(contract, family, method)
    X = sample_rows(contract, 300, seed=5)[0]
    model_files.save(tmp_path / "model", pipeline, X.head(3), "m-1", "run-1")
    stored = model_files.load(tmp_path / "model", "the model").pipeline
    scorer = CompiledScorer(stored, contract)

    said = pipeline.predict_proba(X)
    scores = scorer.score_columns(scorer.parser.from_frame(X))

    assert scorer.is_compiled
    assert np.array_equal(stored.predict_proba(X), said)
    if family == "lightgbm":
        assert np.array_equal(scores.probabilities, said)
    else:  # distances and kernels are summed in another order than scikit-learn's
        np.testing.assert_allclose(scores.probabilities, said, rtol=0, atol=1e-9)
    assert np.array_equal(scores.codes, said.argmax(axis=1))
    assert np.allclose(said.sum(axis=1), 1)


@pytest.mark.parametrize("method", METHODS)
def test_it_is_what_scikit_learn_fits(method: Method) -> None:
    """The calibrators of `CalibratedClassifierCV` on the same values; only isotonic regression differs, by the floor below its zeros."""
    X, y = sample_rows(EMPLOYEES, 400)
    Z = build_features(EMPLOYEES).fit_transform(X)
    theirs = CalibratedClassifierCV(UNCALIBRATED["svm"](), method=method, cv=4, ensemble=False).fit(Z, y.to_numpy())
    model = theirs.calibrated_classifiers_[0].estimator
    values = cross_val_predict(UNCALIBRATED["svm"](), Z, y.to_numpy(), cv=4, method="decision_function")

    ours = calibrated(model, method, fit_calibrators(method, values, y.to_numpy(), are_probabilities=False)).predict_proba(Z)

    assert np.allclose(ours, theirs.predict_proba(Z), rtol=0, atol=0.02 if method == "isotonic" else 1e-12)


def test_isotonic_regression_says_never_that_a_class_is_impossible() -> None:
    values = np.linspace(0, 1, 98).reshape(-1, 1)
    truth = (values[:, 0] > 0.5).astype(int)

    said = calibrate("isotonic", fit_calibrators("isotonic", values, truth, are_probabilities=True), values, are_probabilities=True)

    assert said.min() == pytest.approx(0.01)
    with pytest.raises(ValueError, match="all values of class 1 are equal"):
        fit_calibrators("isotonic", np.ones((5, 1)), np.array([0, 1, 0, 1, 0]), are_probabilities=True)


@pytest.mark.parametrize("are_probabilities", [True, False])
def test_temperature_leaves_the_order_of_the_classes_and_zeros_do_no_harm(are_probabilities: bool) -> None:
    random = np.random.default_rng(3)
    values = random.dirichlet([0.3, 0.3, 0.3], size=500).round(1) + 0.0
    values = values / values.sum(axis=1, keepdims=True) if are_probabilities else 5 * values - 2
    truth = random.integers(0, 3, 500)

    said = calibrate(
        "temperature",
        fit_calibrators("temperature", values, truth, are_probabilities=are_probabilities),
        values,
        are_probabilities=are_probabilities,
    )

    assert np.isfinite(said).all()
    assert np.array_equal(said.argmax(axis=1), codes_of(values, are_probabilities=are_probabilities))


def test_two_classes_have_one_column_of_values() -> None:
    assert as_probabilities(np.array([[0.25], [1.0]])).tolist() == [[0.75, 0.25], [0.0, 1.0]]
    assert codes_of(np.array([[0.5], [0.6]]), are_probabilities=True).tolist() == [0, 1]
    assert codes_of(np.array([[-0.1], [0.1]]), are_probabilities=False).tolist() == [0, 1]


def test_a_calibration_inside_another_one_hides_nothing_from_the_checks(tmp_path: Path) -> None:
    pipeline = calibrated_pipeline(EMPLOYEES, "knn", "sigmoid")
    inner = pipeline["model"]
    twice = Pipeline(
        [("features", pipeline["features"]), ("model", calibrated(inner, "sigmoid", inner.calibrated_classifiers_[0].calibrators))]
    )
    model_files.save(tmp_path / "model", twice, sample_rows(EMPLOYEES, 3)[0], "m-1", "run-1")

    with pytest.raises(RefusedModel, match="a calibration holds another one"):
        model_files.load(tmp_path / "model", "the model")
