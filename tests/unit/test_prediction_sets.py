"""Sets of classes: what holds for any probabilities, and that they cover what they should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.modelling.prediction_sets import PredictionSets, fit_sets

seeds = st.integers(0, 2**32 - 1)
levels = st.sampled_from([0.5, 0.75, 0.8, 0.9, 0.95, 0.99])


def drawn(seed: int, rows: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, rounded so that some are equal, and classes that are drawn from them."""
    rng = np.random.default_rng(seed)
    exact = rng.dirichlet(np.full(classes, 0.5), size=rows)
    truth = (exact.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(max=classes - 1)
    rounded = exact.round(2) + 1e-3
    return truth, rounded / rounded.sum(axis=1, keepdims=True)


@given(seeds, st.integers(2, 5), st.integers(1, 80), levels)
def test_a_set_has_the_most_probable_class_and_every_class_that_reaches_its_threshold(
    seed: int, classes: int, rows: int, level: float
) -> None:
    truth, probabilities = drawn(seed, rows, classes)
    sets = fit_sets(truth, probabilities, level)

    members = sets.members(probabilities)

    best = np.eye(classes, dtype=bool)[probabilities.argmax(axis=1)]
    assert np.array_equal(members, (probabilities >= sets.thresholds) | best)
    names = [f"class {code}" for code in range(classes)]
    assert sets.labels(probabilities, names) == [[names[code] for code in np.flatnonzero(row)] for row in members]


@given(seeds, st.integers(2, 5), st.integers(1, 80))
def test_a_higher_level_gives_no_smaller_sets(seed: int, classes: int, rows: int) -> None:
    truth, probabilities = drawn(seed, rows, classes)

    low, high = (fit_sets(truth, probabilities, level).members(probabilities) for level in (0.8, 0.95))

    assert (low <= high).all()


@given(seeds, st.integers(2, 5), st.integers(1, 80), levels)
def test_the_order_of_classes_and_rows_changes_nothing(seed: int, classes: int, rows: int, level: float) -> None:
    truth, probabilities = drawn(seed, rows, classes)
    probabilities += np.arange(classes) * 1e-9  # of two that are equal the first is the most probable class, so here none are
    rng = np.random.default_rng(seed)
    order, shuffled = rng.permutation(classes), rng.permutation(rows)

    other = fit_sets(np.argsort(order)[truth][shuffled], probabilities[shuffled][:, order], level)

    assert other.thresholds == tuple(np.array(fit_sets(truth, probabilities, level).thresholds)[order])


@given(seeds, st.integers(2, 5), st.integers(1, 300), levels)
def test_at_least_the_level_of_the_rows_of_each_class_that_the_thresholds_come_from_is_covered(
    seed: int, classes: int, rows: int, level: float
) -> None:
    truth, probabilities = drawn(seed, rows, classes)

    covered = fit_sets(truth, probabilities, level).members(probabilities)[np.arange(rows), truth]

    for code in np.unique(truth):
        assert covered[truth == code].mean() >= level - 1e-9


@pytest.mark.parametrize(
    ("rows", "level", "rank"), [(9, 0.9, 1), (19, 0.9, 2), (8, 0.9, 0), (99, 0.9, 10), (99, 0.55, 45), (100, 0.95, 5), (3, 0.5, 2)]
)
def test_the_threshold_is_the_probability_of_this_rank(rows: int, level: float, rank: int) -> None:
    """k = floor((n + 1)(1 - level)), computed without the error of binary fractions."""
    own = np.linspace(0.1, 0.4, rows)
    probabilities = np.stack([own, 1 - own], axis=1)

    sets = fit_sets(np.zeros(rows, int), probabilities, level)

    assert sets.thresholds[0] == (own[rank - 1] if rank else 0.0)
    assert sets.thresholds[1] == 0.0  # nothing is known of a class without rows


def test_a_class_that_is_recognised_more_often_than_the_level_is_in_a_set_only_as_the_most_probable_one() -> None:
    probabilities = np.array([[0.6, 0.4]] * 95 + [[0.3, 0.7]] * 5)

    assert fit_sets(np.zeros(100, int), probabilities, 0.9).thresholds[0] == 1.0


def test_new_records_are_covered_at_the_level_in_every_class() -> None:
    truth, probabilities = drawn(5, 40_000, 3)
    sets = fit_sets(truth[:20_000], probabilities[:20_000], 0.9)

    covered = sets.members(probabilities[20_000:])[np.arange(20_000), truth[20_000:]]

    for code in range(3):
        assert covered[truth[20_000:] == code].mean() == pytest.approx(0.9, abs=0.015)


def test_a_record_whose_probabilities_are_missing_has_a_set_of_one_class() -> None:
    sets = PredictionSets(0.9, (0.2, 0.2))

    assert sets.members(np.full((2, 2), np.nan)).sum(axis=1).tolist() == [1, 1]
    assert sets.members(np.empty((0, 2))).shape == (0, 2)
