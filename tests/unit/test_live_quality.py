"""What labels show: against scikit-learn's metrics, with intervals that hold."""

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from hearth.contracts import load_contract
from hearth.modelling.evaluation import calibration_error, reliability
from hearth.monitoring.live_quality import (
    Evidence,
    Measured,
    QualityCheck,
    QualityLevel,
    Subject,
    VersionQuality,
    cells_of,
    level_of,
    measure,
    measure_parts,
    paired,
)
from tests.support.samples import ROOT

EMPLOYEES = load_contract("employees", ROOT / "data")
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def answers(rows: int, seed: int, skill: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Return true classes and calibrated probabilities."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet([1 / skill] * 3, rows)
    truth = (rng.random((rows, 1)) > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return truth, probabilities


def measured(rows: int, seed: int) -> Measured:
    truth, probabilities = answers(rows, seed)
    return measure(EMPLOYEES, cells_of(truth, probabilities.argmax(axis=1), probabilities.max(axis=1)))


def evidence(alarmed_at: datetime | None) -> Evidence:
    return Evidence(60.0, 50.0, 0.15, 0.17, 700, 0.25, 70.0, NOON, alarmed_at)


def test_the_figures_are_those_of_scikit_learn() -> None:
    truth, probabilities = answers(2_000, 1)
    codes = probabilities.argmax(axis=1)
    found = measure(EMPLOYEES, cells_of(truth, codes, probabilities.max(axis=1)))
    assert found.rows == 2_000
    assert found.metric
    assert found.accuracy
    assert found.calibration_error
    assert found.metric.figure == pytest.approx(f1_score(truth, codes, average="macro"))
    assert found.accuracy.figure == pytest.approx(accuracy_score(truth, codes))
    assert found.calibration_error.figure == pytest.approx(calibration_error(reliability(truth, probabilities)))
    assert np.array_equal(found.confusion, confusion_matrix(truth, codes))


def test_the_interval_holds_the_true_metric_in_95_of_100_samples() -> None:
    true = measured(200_000, 0).metric
    assert true
    runs = 150
    held = 0
    for seed in range(1, runs + 1):
        metric = measured(300, seed).metric
        assert metric
        held += metric.low <= true.figure <= metric.high
    assert held / runs >= 0.91  # three standard errors below 0.95 and a little for the percentile bootstrap


def test_parts_of_few_labels_have_counts_and_no_figures() -> None:
    few = measured(29, 1)
    assert (few.rows, few.metric, few.accuracy, few.calibration_error) == (29, None, None, None)
    assert sum(map(sum, few.confusion)) == 29
    assert measured(30, 1).metric
    assert measure(EMPLOYEES, []).rows == 0


def test_parts_are_measured_for_themselves_and_add_up() -> None:
    truth, probabilities = answers(300, 1)
    cells = cells_of(truth, probabilities.argmax(axis=1), probabilities.max(axis=1))
    split = [replace(cell, day=date(2026, 11, 28 + place % 2)) for place, cell in enumerate(cells)]
    parts = measure_parts(EMPLOYEES, split, "day")
    assert [part.name for part in parts] == ["2026-11-28", "2026-11-29"]
    assert sum(part.measured.rows for part in parts) == 300
    assert np.array_equal(sum(np.array(part.measured.confusion) for part in parts), measure(EMPLOYEES, cells).confusion)


def test_a_better_challenger_is_better_on_the_same_records() -> None:
    truth, probabilities = answers(1_000, 1)
    worse = np.random.default_rng(2).permutation(probabilities)
    found = paired(EMPLOYEES, ("1", "2"), truth, worse, probabilities)
    assert found
    assert (found.champion, found.challenger, found.rows) == ("1", "2", 1_000)
    assert found.metric.low > 0
    assert found.log_loss.high < 0
    same = paired(EMPLOYEES, ("1", "2"), truth, probabilities, probabilities)
    assert same
    assert (same.metric.low, same.metric.high, same.changed.figure) == (0, 0, 0)
    assert paired(EMPLOYEES, ("1", "2"), truth[:29], worse[:29], probabilities[:29]) is None


@pytest.mark.parametrize(
    ("labels", "test", "expected"),
    [
        (99, evidence(NOON), QualityLevel.NOT_ENOUGH),
        (100, evidence(NOON), QualityLevel.FALLEN),
        (100, evidence(None), QualityLevel.OK),
        (100, None, QualityLevel.OK),
    ],
)
def test_the_level_is_that_of_the_test_once_there_are_enough_labels(labels: int, test: Evidence | None, expected: QualityLevel) -> None:
    assert level_of(labels, 100, test) is expected


def test_a_check_is_the_same_after_it_was_stored() -> None:
    truth, probabilities = answers(300, 1)
    cells = cells_of(truth, probabilities.argmax(axis=1), probabilities.max(axis=1))
    version = VersionQuality("7", Subject.CHAMPION, measure(EMPLOYEES, cells), None, evidence(NOON), measure_parts(EMPLOYEES, cells, "day"))
    check = QualityCheck("employees", NOON, "macro_f1", "7", QualityLevel.FALLEN, 30, 100, 300, 60.0, ("a", "b", "c"), (version,))
    assert QualityCheck.from_json(check.to_json()) == check
    assert "25.0% of 700 answers are wrong, 15.0% were on the test set: evidence 60, and 50 is an alarm." in check.summary
