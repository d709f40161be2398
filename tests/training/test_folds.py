"""Rows with equal features are in one fold; without such rows, folds are those of scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from hearth.contracts import load_contract
from hearth.data.cleaning import clean, equal_rows, split
from hearth.data.csv_validation import read_raw, validate
from hearth.errors import UntrainableData
from hearth.modelling.evaluation import evaluate
from hearth.modelling.families import FAMILIES
from hearth.training.calibrating import fit_calibrated
from hearth.training.folds import make_folds
from tests.support.real_files import require_real_file
from tests.support.samples import EMPLOYEES, ROOT, sample_split

SPLIT = sample_split(EMPLOYEES, train_rows=300, test_rows=600)
COPIED = np.random.default_rng(1).permutation(np.repeat(np.arange(300), np.random.default_rng(2).integers(1, 6, size=300)))
X, Y = SPLIT.X_train.iloc[COPIED].reset_index(drop=True), SPLIT.y_train.iloc[COPIED].reset_index(drop=True)
KNN = FAMILIES["knn"]


@pytest.mark.parametrize("most_rows", [10_000, 200])
def test_no_group_of_equal_rows_is_in_two_folds(most_rows: int) -> None:
    folds = make_folds(EMPLOYEES, X, Y, KNN, folds=5, seed=1, most_rows=most_rows)

    groups = [set(equal_rows(X)[fold.held_out].tolist()) for fold in folds]
    held_out = np.concatenate([fold.held_out for fold in folds])
    assert len(set.union(*groups)) == sum(map(len, groups))
    assert len(held_out) == len(set(held_out.tolist())) == min(len(X), most_rows)
    for fold in folds:
        assert len(fold.y_fit) + len(fold.y_held_out) == len(held_out)
        assert np.array_equal(fold.y_held_out, Y.to_numpy()[fold.held_out])
        assert np.bincount(fold.y_held_out, minlength=3).min() > 0
    assert max(map(len, groups)) - min(map(len, groups)) <= 3


def test_without_equal_rows_the_folds_are_those_of_stratified_k_fold() -> None:
    folds = make_folds(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, KNN, folds=5, seed=3)

    expected = StratifiedKFold(5, shuffle=True, random_state=3).split(SPLIT.X_train, SPLIT.y_train)
    for fold, (fit_rows, held_out) in zip(folds, expected, strict=True):
        assert fold.held_out.tolist() == held_out.tolist()
        assert fold.y_fit.tolist() == SPLIT.y_train.to_numpy()[fit_rows].tolist()


def test_a_class_of_many_copies_of_few_rows_is_refused() -> None:
    high = np.flatnonzero(SPLIT.y_train == 2)[:4]
    rows = np.concatenate([np.flatnonzero(SPLIT.y_train != 2), np.repeat(high, 10)])

    with pytest.raises(UntrainableData, match=r"each class needs 5 train rows that differ in their features, there are Low: .*High: 4"):
        make_folds(EMPLOYEES, SPLIT.X_train.iloc[rows], SPLIT.y_train.iloc[rows], KNN, folds=5, seed=1)


def test_a_sample_has_a_group_of_a_rare_class_for_each_fold() -> None:
    high = np.flatnonzero(SPLIT.y_train == 2)[:10]
    rows = np.concatenate([np.flatnonzero(SPLIT.y_train != 2), np.repeat(high, 3)])

    folds = make_folds(EMPLOYEES, SPLIT.X_train.iloc[rows], SPLIT.y_train.iloc[rows], replace(KNN, tuning_rows=30), folds=5, seed=1)

    assert all((fold.y_held_out == 2).any() for fold in folds)


def test_sets_of_a_train_set_with_copies_cover_rows_that_no_model_has_seen() -> None:
    family = FAMILIES["random_forest"]

    fitted = fit_calibrated(EMPLOYEES, X, Y, family, params=family.defaults, seed=1)

    evaluation = evaluate(EMPLOYEES, fitted.pipeline, SPLIT.X_test, SPLIT.y_test)
    assert fitted.trust.sets is not None
    assert fitted.trust.sets.cover(evaluation.truth, evaluation.probabilities).mean() > 0.85
    assert abs(fitted.calibration.log_loss - evaluation.metrics["log_loss"]) < 0.1


def test_the_real_heart_file_with_its_copies_is_judged_on_rows_that_differ() -> None:
    heart = load_contract("heart", ROOT / "data")
    heart = heart.model_copy(update={"cleaning": heart.cleaning.model_copy(update={"drop_duplicates": False})})
    content = require_real_file("heart").read_bytes()
    parts = split(heart, clean(heart, validate(heart, read_raw(heart, content, "the real file")).accepted).frame)
    family = FAMILIES["random_forest"]

    fitted = fit_calibrated(heart, parts.X_train, parts.y_train, family, params=family.defaults, seed=42)

    evaluation = evaluate(heart, fitted.pipeline, parts.X_test, parts.y_test)
    assert fitted.trust.sets is not None
    assert fitted.calibration.log_loss > 0.3
    assert evaluation.metrics["log_loss"] < 0.55
    assert fitted.trust.sets.cover(evaluation.truth, evaluation.probabilities).mean() > 0.85
