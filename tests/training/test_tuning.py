from dataclasses import replace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline

from hearth.data.cleaning import clean, split
from hearth.errors import RegistryUnavailable, UntrainableData
from hearth.modelling.evaluation import score
from hearth.modelling.families import FAMILIES, Family, Params, Trial
from hearth.modelling.features import build_features
from hearth.modelling.trials import TrialResult
from hearth.training.folds import make_folds
from hearth.training.tuning import fit, tune
from tests.support.real_files import require_real_file
from tests.support.samples import EMPLOYEES, sample_split

SPLIT = sample_split(EMPLOYEES)


def test_the_first_trial_takes_the_defaults() -> None:
    tuned = tune(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, FAMILIES["knn"], trials=2, seed=1)

    assert tuned.trials[0].params == FAMILIES["knn"].defaults


def test_a_trial_scores_what_cross_validation_of_the_whole_pipeline_scores() -> None:
    """The features are made once a fold and shared by the trials; nothing of the held-out rows may get into them on the way."""
    family = FAMILIES["knn"]
    whole = Pipeline([("features", build_features(EMPLOYEES)), ("model", family.build_for_tuning(family.defaults, 3))])
    folds = StratifiedKFold(5, shuffle=True, random_state=3)

    tuned = tune(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, family, trials=1, seed=3)

    expected = cross_val_score(whole, SPLIT.X_train, SPLIT.y_train, cv=folds, scoring="f1_macro")
    np.testing.assert_allclose(tuned.trials[0].fold_scores, expected)
    assert tuned.score == pytest.approx(expected.mean())


def test_the_same_seed_searches_the_same_and_another_one_does_not() -> None:
    first, again, other = (
        tune(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, FAMILIES["knn"], trials=4, seed=seed, folds=3) for seed in (1, 1, 2)
    )

    assert first == again
    assert [trial.params for trial in first.trials] != [trial.params for trial in other.trials]


def test_the_best_trial_that_ran_all_folds_wins() -> None:
    tuned = tune(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, FAMILIES["lightgbm"], trials=4, seed=1, folds=3)

    whole = [trial for trial in tuned.trials if not trial.pruned]
    assert tuned.score == max(trial.score for trial in whole)
    assert tuned.params in [trial.params for trial in whole if trial.score == tuned.score]


def _guess(trial: Trial) -> dict[str, int | float | str]:
    return {"constant": trial.suggest_int("constant", 0, 2)}


def _constant(params: Params, _seed: int) -> DummyClassifier:
    return DummyClassifier(strategy="constant", constant=params["constant"])


GUESSES = Family(_guess, {"constant": 1}, _constant, _constant, trusted_types=())


def test_hopeless_trials_are_pruned_and_reported_with_the_folds_they_ran() -> None:
    y = SPLIT.y_train.mask(SPLIT.y_train.index % 3 > 0, 1)  # mostly class 1, so that 0 and 2 are hopeless guesses
    seen: list[TrialResult] = []

    tuned = tune(EMPLOYEES, SPLIT.X_train, y, GUESSES, trials=12, seed=1, on_trial=seen.append)

    pruned = [trial for trial in tuned.trials if trial.pruned]
    assert tuned.params == {"constant": 1}
    assert tuple(seen) == tuned.trials
    assert pruned
    assert all(2 <= len(trial.fold_scores) < 5 for trial in pruned)


def test_above_its_limit_a_family_is_tuned_on_a_stratified_sample() -> None:
    sizes: list[tuple[int, ...]] = []

    class Recorder:
        def fit(self, _X: np.ndarray, y: np.ndarray) -> "Recorder":
            sizes.append(tuple(np.bincount(y)))
            return self

        def predict(self, X: np.ndarray) -> np.ndarray:
            return np.zeros(len(X), dtype=int)

    family = replace(GUESSES, build_for_tuning=lambda _params, _seed: Recorder(), tuning_rows=150)
    tune(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, family, trials=1, seed=1, folds=3)

    assert len(sizes) == 3
    assert all(sum(size) == 100 for size in sizes)
    assert all(abs(count - 100 / 3) < 4 for size in sizes for count in size)


def test_an_error_while_a_trial_is_logged_ends_the_search() -> None:
    def fail(_: TrialResult) -> None:
        raise RegistryUnavailable("away")

    with pytest.raises(RegistryUnavailable):
        tune(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, FAMILIES["knn"], trials=3, seed=1, on_trial=fail)


class Picky(DummyClassifier):  # type: ignore[misc]  # scikit-learn has no types
    """Cannot be fitted for the class 2."""

    def fit(self, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> "Picky":
        if self.constant == 2:
            raise ZeroDivisionError("no such constant")
        super().fit(X, y, sample_weight)
        return self


def _picky(params: Params, _seed: int) -> Picky:
    return Picky(strategy="constant", constant=params["constant"])


def test_a_trial_that_fails_does_not_end_the_search(caplog: pytest.LogCaptureFixture) -> None:
    family = replace(GUESSES, defaults={"constant": 2}, build_for_tuning=_picky)

    tuned = tune(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, family, trials=12, seed=1)

    assert tuned.params["constant"] != 2
    assert 0 < len(tuned.trials) < 12
    assert "trial 0 failed (ZeroDivisionError: no such constant) {'constant': 2}" in caplog.text


def test_if_every_trial_fails_the_search_ends_with_their_error() -> None:
    family = replace(GUESSES, suggest=lambda trial: {"constant": trial.suggest_int("constant", 2, 2)}, build_for_tuning=_picky)

    with pytest.raises(ZeroDivisionError, match="no such constant"):
        tune(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, replace(family, defaults={"constant": 2}), trials=3, seed=1)


def test_neighbours_are_never_more_than_the_rows_of_a_fold() -> None:
    X, y = SPLIT.X_train[:40], SPLIT.y_train[:40]
    family = replace(FAMILIES["knn"], defaults={"n_neighbors": 75, "weights": "uniform", "algorithm": "brute"})

    tuned = tune(EMPLOYEES, X, y, family, trials=6, seed=1)
    pipeline = fit(EMPLOYEES, X, y, family, params=family.defaults, seed=1)

    assert len(tuned.trials) == 6
    assert max(int(trial.params["n_neighbors"]) for trial in tuned.trials) == 32
    assert pipeline["model"].n_neighbors == 40
    assert pipeline.predict_proba(SPLIT.X_test).shape == (len(SPLIT.X_test), 3)


def test_a_sample_has_a_row_of_a_rare_class_for_each_fold() -> None:
    y = SPLIT.y_train.where(SPLIT.y_train != 2, 1)
    y[::30] = 2  # 10 of 300 rows: 2 of a sample of 60
    family = replace(GUESSES, tuning_rows=60)

    folds = make_folds(EMPLOYEES, SPLIT.X_train, y, family, folds=5, seed=1)

    assert [int((fold.y_held_out == 2).sum()) for fold in folds] == [1] * 5
    rows = np.concatenate([fold.held_out for fold in folds])
    assert len(rows) == len(set(rows.tolist())) == 63


def test_a_class_with_fewer_rows_than_folds_cannot_be_tuned() -> None:
    y = SPLIT.y_train.where(SPLIT.y_train != 2, 1)
    y[:4] = 2

    with pytest.raises(UntrainableData, match=r"'employees' cannot be trained: each class needs 5 train rows, there are Low: .*High: 4"):
        tune(EMPLOYEES, SPLIT.X_train, y, FAMILIES["knn"], trials=1, seed=1)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_fitted_pipeline_takes_raw_rows_in_any_column_order(family: str) -> None:
    pipeline = fit(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, FAMILIES[family], params=FAMILIES[family].defaults, seed=1)

    probabilities = pipeline.predict_proba(SPLIT.X_test)

    assert SPLIT.X_test.isna().any(axis=None)
    assert list(pipeline.classes_) == [0, 1, 2]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(pipeline.predict_proba(SPLIT.X_test[SPLIT.X_test.columns[::-1]]), probabilities)
    assert score(EMPLOYEES, pipeline, SPLIT.X_test, SPLIT.y_test) > 0.7


def test_a_class_that_is_not_there_cannot_be_fitted() -> None:
    with pytest.raises(UntrainableData, match="High: 0"):
        fit(EMPLOYEES, SPLIT.X_train, SPLIT.y_train.clip(upper=1), FAMILIES["knn"], params=FAMILIES["knn"].defaults, seed=1)


@pytest.mark.parametrize(("family", "floor"), [("knn", 0.81), ("svm", 0.84), ("lightgbm", 0.845)])
def test_on_the_real_extract_a_short_search_is_good_enough(family: str, floor: float) -> None:
    real = split(EMPLOYEES, clean(EMPLOYEES, pd.read_csv(require_real_file("employees"))).frame)

    tuned = tune(EMPLOYEES, real.X_train, real.y_train, FAMILIES[family], trials=2, seed=42)
    pipeline = fit(EMPLOYEES, real.X_train, real.y_train, FAMILIES[family], params=tuned.params, seed=42)

    assert score(EMPLOYEES, pipeline, real.X_test, real.y_test) >= floor


class Recording(DummyClassifier):  # type: ignore[misc]  # scikit-learn has no types
    """Keeps what it was fitted with."""

    seen: ClassVar[list[tuple[np.ndarray, np.ndarray | None]]] = []

    def fit(self, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> "Recording":
        self.seen.append((y, sample_weight))
        fitted: Recording = super().fit(X, y, sample_weight=sample_weight)
        return fitted


def _recorder(_params: Params, _seed: int) -> Recording:
    return Recording(strategy="prior")


class TestImbalance:
    few_high = SPLIT.X_train[(SPLIT.y_train != 2) | ((SPLIT.y_train == 2).cumsum() <= 20)].index
    X, y = SPLIT.X_train.loc[few_high].reset_index(drop=True), SPLIT.y_train.loc[few_high].reset_index(drop=True)
    weighed = EMPLOYEES.model_copy(update={"imbalance": "class_weights"})
    family = replace(GUESSES, build=_recorder, build_for_tuning=_recorder)

    def test_class_weights_are_those_of_the_rows_that_a_model_is_fitted_on(self) -> None:
        Recording.seen.clear()
        tune(self.weighed, self.X, self.y, self.family, trials=1, seed=1, folds=3)
        fit(self.weighed, self.X, self.y, self.family, params={}, seed=1)

        assert [len(y) for y, _ in Recording.seen] == [*(len(self.X) - len(part) for part in np.array_split(self.X, 3)), len(self.X)]
        for y, weights in Recording.seen:
            assert weights is not None
            sums = [weights[y == code].sum() for code in range(3)]
            assert sums == pytest.approx([len(y) / 3] * 3)  # each class counts alike, and all together as many as there are

    def test_without_the_word_all_rows_count_alike(self) -> None:
        Recording.seen.clear()
        fit(EMPLOYEES, self.X, self.y, self.family, params={}, seed=1)

        assert [weights for _, weights in Recording.seen] == [None]

    def test_a_family_that_cannot_weigh_rows_is_fitted_as_they_are_and_the_log_says_so(self, caplog: pytest.LogCaptureFixture) -> None:
        family = FAMILIES["knn"]

        weighed, plain = (fit(contract, self.X, self.y, family, params=family.defaults, seed=1) for contract in (self.weighed, EMPLOYEES))

        np.testing.assert_array_equal(weighed.predict_proba(SPLIT.X_test), plain.predict_proba(SPLIT.X_test))
        assert caplog.text.count("wants class weights, which this family cannot use") == 1
