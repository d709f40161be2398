"""Metrics with intervals: the figures are those of the evaluation, and the intervals hold what they say."""

import numpy as np

from hearth.modelling.evaluation import evaluate_probabilities
from hearth.modelling.measures import measure
from tests.support.samples import EMPLOYEES


def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw calibrated probabilities of three classes, and classes by them."""
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet([0.4, 0.6, 0.3], size=rows)
    return (probabilities.cumsum(axis=1) > random.random((rows, 1))).argmax(axis=1), probabilities


def test_figures_are_the_metrics_themselves_and_lie_in_their_intervals() -> None:
    evaluation = evaluate_probabilities(EMPLOYEES, *drawn(500, 1))

    measured = measure(evaluation, 0.95)

    assert {name: interval.figure for name, interval in measured.items()} == dict(evaluation.metrics)
    for name, interval in measured.items():
        assert interval.low < interval.high, name
        assert interval.low <= interval.figure <= interval.high, name
        assert np.isfinite([interval.low, interval.high]).all(), name


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    truth = measure(evaluate_probabilities(EMPLOYEES, *drawn(200_000, 99)), 0.95)
    samples = [measure(evaluate_probabilities(EMPLOYEES, *drawn(600, seed)), 0.95) for seed in range(200)]

    held = {name: np.mean([sample[name].low <= true.figure <= sample[name].high for sample in samples]) for name, true in truth.items()}

    assert {name: share for name, share in held.items() if share < 0.9} == {}


def test_one_row_has_intervals_that_json_can_hold() -> None:
    measured = measure(evaluate_probabilities(EMPLOYEES, np.array([0]), np.array([[0.7, 0.2, 0.1]])), 0.95)

    assert all(np.isfinite([interval.low, interval.high]).all() for interval in measured.values())
