"""Rows that count more than others, from the fit to the thresholds of the sets."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.data.cleaning import digest
from hearth.data.processed import Manifest, load_processed, write_manifest, write_split
from hearth.modelling.families import FAMILIES
from hearth.modelling.prediction_sets import fit_sets
from hearth.storage import ObjectStore
from hearth.training.calibrating import fit_calibrated
from hearth.training.folds import fit_weights, weighable
from hearth.training.tuning import tune
from tests.support.samples import EMPLOYEES, sample_rows, sample_split

LIGHTGBM, KNN = FAMILIES["lightgbm"], FAMILIES["knn"]
BALANCED = EMPLOYEES.model_copy(update={"imbalance": "class_weights"})


@pytest.mark.parametrize("family", ["lightgbm", "svm", "logistic_regression", "knn"])
def test_rows_of_weight_next_to_nothing_are_as_good_as_absent(family: str) -> None:
    good, y = sample_rows(EMPLOYEES, 600)
    wrong = (y.iloc[:200] + 1) % 3  # the same rows with another class, as after a change of concept
    X, both = pd.concat([good, good.iloc[:200]], ignore_index=True), pd.concat([y, wrong], ignore_index=True)
    weights = np.repeat([1.0, 1e-6], [600, 200])
    if family == "knn":  # copies, at most a few
        weights = np.repeat([8.0, 1.0], [600, 200])

    def accuracy(row_weights: np.ndarray | None) -> float:
        fitted = fit_calibrated(
            EMPLOYEES, X, both, FAMILIES[family], params=dict(FAMILIES[family].defaults), seed=1, row_weights=row_weights
        )
        return float((fitted.pipeline.predict(good.iloc[:200]) == y.iloc[:200]).mean())

    assert accuracy(weights) > accuracy(None)


def test_equal_weights_change_nothing() -> None:
    X, y = sample_rows(EMPLOYEES, 400)
    plain = fit_calibrated(EMPLOYEES, X, y, LIGHTGBM, params=dict(LIGHTGBM.defaults), seed=1)
    weighted = fit_calibrated(EMPLOYEES, X, y, LIGHTGBM, params=dict(LIGHTGBM.defaults), seed=1, row_weights=np.ones(400))
    np.testing.assert_allclose(plain.pipeline.predict_proba(X), weighted.pipeline.predict_proba(X), atol=1e-9)
    assert plain.trust.sets == weighted.trust.sets
    assert plain.calibration.log_loss == pytest.approx(weighted.calibration.log_loss)


def test_trials_are_scored_with_the_weights_of_the_rows_held_out() -> None:
    X, y = sample_rows(EMPLOYEES, 300)
    noise = y.sample(frac=1, random_state=2).reset_index(drop=True)
    rows, classes = pd.concat([X, X.assign(**{"Team Size": 1.0})], ignore_index=True), pd.concat([y, noise], ignore_index=True)
    weights = np.repeat([1.0, 1e-6], 300)
    plain = tune(EMPLOYEES, rows, classes, LIGHTGBM, trials=1, seed=1)
    weighted = tune(EMPLOYEES, rows, classes, LIGHTGBM, trials=1, seed=1, row_weights=weights)
    assert weighted.score > plain.score + 0.1


def test_a_family_without_weights_gets_copies_in_their_proportion() -> None:
    X, y = sample_rows(EMPLOYEES, 4)
    copied, classes, weights = weighable(KNN, X, y, np.array([0.5, 0.5, 1.5, 1.0]))
    assert weights is None
    assert len(copied) == len(classes) == 1 + 1 + 3 + 2
    assert (classes.to_numpy()[2:5] == y.iloc[2]).all()
    assert weighable(LIGHTGBM, X, y, np.ones(4))[0] is X


def test_classes_weigh_the_same_whatever_the_rows_weigh() -> None:
    codes, own = np.array([0, 0, 0, 1, 1, 2]), np.array([1.0, 2.0, 1.0, 5.0, 1.0, 0.5])
    weights = fit_weights(BALANCED, LIGHTGBM, codes, own)["sample_weight"]
    np.testing.assert_allclose(np.bincount(codes, weights=weights), own.sum() / 3)
    assert weights[1] == 2 * weights[0]
    assert fit_weights(EMPLOYEES, KNN, codes, own) == {}


@given(seed=st.integers(0, 10_000), rows=st.integers(0, 80), level=st.sampled_from([0.8, 0.9, 0.95]), scale=st.floats(0.1, 10))
def test_thresholds_of_equal_weights_are_those_without_weights(seed: int, rows: int, level: float, scale: float) -> None:
    rng = np.random.default_rng(seed)
    probabilities, truth = rng.dirichlet(np.ones(3), rows), rng.integers(0, 3, rows)
    assert fit_sets(truth, probabilities, level, np.full(rows, scale)) == fit_sets(truth, probabilities, level)


@given(seed=st.integers(0, 10_000), copies=st.integers(2, 4))
def test_a_heavier_row_moves_thresholds_as_its_copies_do_within_a_row(seed: int, copies: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities, truth = rng.dirichlet(np.ones(2), 60), rng.integers(0, 2, 60)
    weights = np.where(np.arange(60) < 30, copies, 1)
    weighted = fit_sets(truth, probabilities, 0.9, weights.astype(float))
    repeated = fit_sets(np.repeat(truth, weights), np.repeat(probabilities, weights, axis=0), 0.9)
    for ours, theirs in zip(weighted.thresholds, repeated.thresholds, strict=True):
        assert ours <= theirs  # a new row counts as the heaviest here, so sets are rather larger


def test_weights_are_part_of_processed_data_and_of_their_digest(store: ObjectStore) -> None:
    split = sample_split(EMPLOYEES)
    weighted = dataclasses.replace(split, weights_train=pd.Series(np.linspace(0.5, 1.5, len(split.X_train)), name="weight"))
    other = dataclasses.replace(split, weights_train=pd.Series(np.ones(len(split.X_train)), name="weight"))
    assert len({digest(split), digest(weighted), digest(other)}) == 3
    write_split(store, "employees", digest(weighted), weighted)
    write_manifest(store, Manifest("employees", digest(weighted), len(split.X_train), len(split.X_test)))
    loaded = load_processed(store, "employees", digest(weighted))
    assert loaded.weights_train is not None
    assert weighted.weights_train is not None
    np.testing.assert_array_equal(loaded.weights_train, weighted.weights_train)
