"""The calibration of a version is chosen on rows that no model has seen, and its sets hold the true class as often as they say."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline

from hearth.contracts.probability_words import CalibrationWord, Sets
from hearth.data.cleaning import clean, split
from hearth.data.csv_validation import read_raw, validate
from hearth.errors import UntrainableData
from hearth.modelling.evaluation import evaluate, metric
from hearth.modelling.families import FAMILIES
from hearth.training.calibrating import Held, choose, fit_calibrated, hold_out
from hearth.training.tuning import fit
from tests.support.real_files import require_real_file
from tests.support.samples import EMPLOYEES, sample_split

SPLIT = sample_split(EMPLOYEES, train_rows=600, test_rows=600)


def held(*, sharpened: float, rows: int = 3_000, seed: int = 1) -> Held:
    """Probabilities that come true, sharpened by a power: 1 leaves them."""
    random = np.random.default_rng(seed)
    honest = random.dirichlet([0.7, 0.7, 0.7], size=rows)
    truth = (honest.cumsum(axis=1) < random.random((rows, 1))).sum(axis=1).clip(max=2)
    own = honest**sharpened
    own /= own.sum(axis=1, keepdims=True)
    return Held(np.arange(rows) % 5, truth, own, are_probabilities=True, own=own)


class TestChoose:
    def test_probabilities_that_come_true_stay_as_they_are(self) -> None:
        assert [choose(EMPLOYEES, held(sharpened=1.0, seed=seed)).name for seed in range(5)] == ["none"] * 5

    def test_a_model_that_is_too_sure_is_calibrated(self) -> None:
        rows = held(sharpened=3.0)
        chosen = choose(EMPLOYEES, rows)

        assert chosen.name == "temperature"  # the power is exactly what it undoes
        assert chosen.calibration_error < 0.02
        assert rows.own is not None
        assert chosen.log_loss < log_loss(rows.truth, rows.own) - 0.1

    @pytest.mark.parametrize("word", ["none", "isotonic", "sigmoid", "temperature"])
    def test_the_contract_can_name_one(self, word: CalibrationWord) -> None:
        contract = EMPLOYEES.model_copy(update={"calibration": word})

        assert choose(contract, held(sharpened=3.0)).name == word

    def test_what_costs_the_metric_is_not_taken(self) -> None:
        """A model that favours a rare class, as class weights make it: what undoes that has the better log loss and the worse metric."""
        random = np.random.default_rng(2)
        truth = random.choice(3, p=[0.48, 0.48, 0.04], size=4_000)
        raw = np.exp(random.gumbel(size=(4_000, 3)) + 2 * np.eye(3)[truth] + [0, 0, 1.5])
        own = raw / raw.sum(axis=1, keepdims=True)

        chosen = choose(EMPLOYEES, Held(np.arange(4_000) % 5, truth, own, are_probabilities=True, own=own))

        assert chosen.metric >= metric(EMPLOYEES, truth, own.argmax(axis=1)) - 0.002

    def test_decision_values_always_get_one(self) -> None:
        rows = held(sharpened=1.0)

        assert choose(EMPLOYEES, replace(rows, outputs=np.log(rows.outputs + 1e-9), are_probabilities=False, own=None)).name != "none"

    def test_values_that_are_all_equal_are_calibrated_by_something_else_than_isotonic_regression(self) -> None:
        rows = held(sharpened=1.0)

        assert choose(EMPLOYEES, replace(rows, outputs=np.zeros((3_000, 3)), are_probabilities=False, own=None)).name != "isotonic"


class TestFit:
    @pytest.mark.parametrize("family", ["knn", "svm", "lightgbm"])
    def test_the_pipeline_takes_raw_records_and_its_sets_cover_held_out_rows(self, family: str) -> None:
        entry = FAMILIES[family]
        fitted = fit_calibrated(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, entry, params=entry.defaults, seed=1)
        evaluation = evaluate(EMPLOYEES, fitted.pipeline, SPLIT.X_test, SPLIT.y_test)

        assert isinstance(fitted.pipeline, Pipeline)
        assert [name for name, _ in fitted.pipeline.steps] == ["features", "model"]
        assert fitted.trust.sets is not None
        covered = fitted.trust.sets.cover(evaluation.truth, evaluation.probabilities)
        assert covered.mean() > 0.86
        plain = fit(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, entry, params=entry.defaults, seed=1)
        assert evaluation.metrics["log_loss"] < evaluate(EMPLOYEES, plain, SPLIT.X_test, SPLIT.y_test).metrics["log_loss"] + 0.02

    def test_the_same_arguments_give_the_same_model(self) -> None:
        entry = FAMILIES["knn"]
        first, second = (fit_calibrated(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, entry, params=entry.defaults, seed=1) for _ in range(2))

        assert first.trust == second.trust
        assert np.array_equal(first.pipeline.predict_proba(SPLIT.X_test), second.pipeline.predict_proba(SPLIT.X_test))

    def test_every_row_is_held_out_once_also_of_families_that_are_tuned_on_a_sample(self) -> None:
        entry = replace(FAMILIES["svm"], tuning_rows=100)
        rows = hold_out(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, entry, params=entry.defaults, seed=1)

        assert len(rows.truth) == len(SPLIT.X_train)
        assert not rows.are_probabilities
        assert rows.own is None

    def test_the_level_is_that_of_the_contract(self) -> None:
        entry = FAMILIES["logistic_regression"]
        contract = EMPLOYEES.model_copy(update={"sets": Sets(level=0.75)})
        fitted = fit_calibrated(contract, SPLIT.X_train, SPLIT.y_train, entry, params=entry.defaults, seed=1)

        assert fitted.trust.sets is not None
        assert fitted.trust.sets.level == 0.75

    def test_with_none_an_svm_keeps_the_calibration_that_the_family_brings(self) -> None:
        entry = FAMILIES["svm"]
        contract = EMPLOYEES.model_copy(update={"calibration": "none"})
        fitted = fit_calibrated(contract, SPLIT.X_train, SPLIT.y_train, entry, params=entry.defaults, seed=1)
        plain = fit(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, entry, params=entry.defaults, seed=1)

        assert fitted.calibration.name == "none"
        assert np.array_equal(fitted.pipeline.predict_proba(SPLIT.X_test), plain.predict_proba(SPLIT.X_test))

    def test_a_class_of_fewer_rows_than_folds_is_refused(self) -> None:
        entry = FAMILIES["knn"]
        few = SPLIT.y_train.where((SPLIT.y_train != 2) | ((SPLIT.y_train == 2).cumsum() <= 3), 0)

        with pytest.raises(UntrainableData):
            fit_calibrated(EMPLOYEES, SPLIT.X_train, few, entry, params=entry.defaults, seed=1)


@pytest.mark.parametrize("family", ["knn", "lightgbm"])
def test_on_the_real_file_probabilities_come_true_and_sets_cover_each_class_and_group(family: str) -> None:
    content = require_real_file("employees").read_bytes()
    parts = split(EMPLOYEES, clean(EMPLOYEES, validate(EMPLOYEES, read_raw(EMPLOYEES, content, "the real file")).accepted).frame)
    fitted = fit_calibrated(EMPLOYEES, parts.X_train, parts.y_train, FAMILIES[family], params=FAMILIES[family].defaults, seed=42)
    evaluation = evaluate(EMPLOYEES, fitted.pipeline, parts.X_test, parts.y_test)

    assert fitted.calibration.name == {"knn": "isotonic", "lightgbm": "none"}[family]
    assert evaluation.metrics["calibration_error"] <= 0.02
    assert fitted.trust.sets is not None
    covered = fitted.trust.sets.cover(evaluation.truth, evaluation.probabilities)
    assert covered.mean() == pytest.approx(0.9, abs=0.02)
    for group in (*(evaluation.truth == code for code in range(3)), *(parts.X_test["Gender"] == name for name in ("Female", "Male"))):
        assert covered[group].mean() >= 0.87
