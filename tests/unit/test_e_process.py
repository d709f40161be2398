"""The test by betting: against its formula, its error rate, and its state."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.monitoring import e_process
from hearth.monitoring.e_process import EProcess, advance, alarms, begin, begun_by, bound_of, evidence

LOSSES = st.lists(st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1)), max_size=60).map(np.array)


def plain_value(bound: float, losses: np.ndarray) -> float:
    """Return the evidence as the docstring has it: one product for each gambler."""
    labels = len(losses)
    begun = [float(begun_by(np.array(label))) for label in range(labels + 1)]
    wealth = 1 - begun[labels]
    for start in range(1, labels + 1):
        for bet in e_process._SHARES:
            product = 1.0
            for loss in losses[start - 1 :]:
                product *= 1 + bet * (loss / bound - 1)
            wealth += (begun[start] - begun[start - 1]) / len(e_process._SHARES) * product
    return wealth


def draws(rate: float, labels: int, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(labels) < rate).astype(np.float64)


@given(LOSSES, st.floats(0.02, 0.9))
def test_the_evidence_is_the_mean_wealth_of_all_gamblers(losses: np.ndarray, bound: float) -> None:
    assert advance(begin(bound), losses).value == pytest.approx(plain_value(bound, losses), rel=1e-9)


@given(LOSSES, st.integers(0, 60), st.integers(0, 60))
def test_labels_in_several_calls_give_the_same_as_in_one(losses: np.ndarray, first: int, second: int) -> None:
    one, other = sorted((first, second))
    whole, parts = advance(begin(0.17), losses), begin(0.17)
    for part in (losses[:one], losses[one:other], losses[other:]):
        parts = EProcess.from_json(advance(parts, part).to_json())
    assert parts.labels == whole.labels
    assert parts.log_value == pytest.approx(whole.log_value, abs=1e-9)
    assert parts.log_highest == pytest.approx(whole.log_highest, abs=1e-9)
    assert parts.log_wealths == pytest.approx(whole.log_wealths, abs=1e-9)


@pytest.mark.parametrize("bound", [0.03, 0.17, 0.5])
def test_the_mean_wealth_does_not_grow_where_the_loss_is_at_the_bound(bound: float) -> None:
    mean = np.mean([advance(begin(bound), draws(bound, 200, seed)).value for seed in range(2_000)])
    assert mean < 1.1


def test_at_most_two_of_a_hundred_runs_alarm_without_a_fall() -> None:
    runs = 150
    false = sum(bool(evidence(begin(0.17), draws(0.15, 5_000, seed)).max() >= math.log(50)) for seed in range(runs))
    assert false <= 0.02 * runs


@pytest.mark.parametrize(("rate", "good", "most"), [(0.25, 0, 300), (0.25, 10_000, 700), (0.20, 0, 1_800)])
def test_a_fall_is_found_also_after_many_good_labels(rate: float, good: int, most: int) -> None:
    delays = []
    for seed in range(61):
        before = advance(begin(0.17), draws(0.15, good, seed))
        path = evidence(before, draws(rate, 6_000, 1_000 + seed))
        delays.append(int(np.argmax(path >= math.log(50))) if path.max() >= math.log(50) else 10**9)
    assert np.median(delays) < most


def test_losses_of_numbers_are_taken_like_those_of_classes() -> None:
    losses = np.random.default_rng(0).beta(2, 6, 3_000)  # a mean of 0.25
    assert advance(begin(0.27), losses).value < 50
    assert advance(begin(0.20), losses).value > 50


def test_an_alarm_holds_until_all_evidence_is_gone() -> None:
    falling, recovering, recovered = np.ones(12), np.zeros(20), np.zeros(400)
    state = advance(begin(0.17), falling)
    assert alarms(evidence(begin(0.17), falling), 0.02)
    path = evidence(state, recovering)
    assert 0 < path[-1] < math.log(50)
    assert alarms(path, 0.02, alarmed=True)
    assert alarms(evidence(begin(0.17), np.concatenate([falling, recovering])), 0.02)
    assert not alarms(evidence(state, np.concatenate([recovering, recovered])), 0.02, alarmed=True)
    assert not alarms(evidence(begin(0.17), recovered), 0.02)
    assert alarms(np.zeros(0), 0.02, alarmed=True)


def test_a_hundred_thousand_right_answers_and_wrong_ones_overflow_nothing() -> None:
    assert advance(begin(0.17), np.ones(100_000)).value == pytest.approx(1e300)
    assert 0 <= advance(begin(0.17), np.zeros(100_000)).value < 1


def test_a_small_test_set_widens_the_tolerance() -> None:
    assert bound_of(0.15, 2_826, 0.02) == pytest.approx(0.17)
    assert bound_of(0.15, 61, 0.02) == pytest.approx(0.26, abs=0.005)
    assert bound_of(0.0, 40, 0.02) == pytest.approx(0.088, abs=0.005)


@pytest.mark.parametrize("bound", [0.0, 1.0, -0.1, math.nan])
def test_a_bound_lies_between_0_and_1(bound: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        begin(bound)


@pytest.mark.parametrize("loss", [-0.1, 1.1, math.nan])
def test_a_loss_is_from_0_to_1(loss: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        advance(begin(0.5), np.array([0.0, loss]))
