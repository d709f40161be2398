"""The verdict about a version that was trained again."""

import numpy as np
import pytest

from hearth.contracts.retrain_words import Retrain
from hearth.modelling.comparison import Comparison, compare
from hearth.modelling.gate import TRAINED_ON_ROWS
from hearth.modelling.retrain_gate import RetrainVerdict, judge_retrained, recent_level
from tests.support.samples import EMPLOYEES

STRICT = EMPLOYEES.model_copy(update={"retrain": Retrain(old_test_loss=0.05)})


def comparison(better_by: float, rows: int = 600, level: float = 0.95) -> Comparison:
    """Two models whose shares of right answers differ by this."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, rows)

    def answers(share: float) -> np.ndarray:
        codes = np.where(np.arange(rows) < share * rows, truth, (truth + 1) % 3)
        return np.eye(3)[codes] * 0.9 + 0.1 / 3

    return compare("macro_f1", truth, answers(0.7 + better_by), answers(0.7), level=level)


def test_better_on_the_newest_records_by_more_than_noise_passes() -> None:
    verdict = judge_retrained(EMPLOYEES, "2", "1", 2, comparison(0.15), comparison(-0.15))
    assert verdict.passed
    assert "as the best of 2: better by more than noise" in verdict.reasons[0]
    assert "at most 0.25 may be lost" in verdict.reasons[1]


@pytest.mark.parametrize("better_by", [0.0, -0.1])
def test_equal_or_worse_does_not_pass_however_good_it_is_on_the_old_rows(better_by: float) -> None:
    assert not judge_retrained(EMPLOYEES, "2", "1", 2, comparison(better_by), comparison(0.2)).passed


def test_what_is_surely_lost_on_the_old_test_set_counts_and_what_may_be_noise_does_not() -> None:
    assert not judge_retrained(STRICT, "2", "1", 1, comparison(0.15), comparison(-0.2)).passed
    assert judge_retrained(STRICT, "2", "1", 1, comparison(0.15), comparison(-0.06)).passed


def test_the_best_of_several_needs_a_clearer_gain() -> None:
    assert recent_level(EMPLOYEES, 1) == pytest.approx(0.95)
    assert recent_level(EMPLOYEES, 5) == pytest.approx(0.99)
    one, many = comparison(0.02, level=recent_level(EMPLOYEES, 1)), comparison(0.02, level=recent_level(EMPLOYEES, 1_000))
    assert one.metric.low > many.metric.low


def test_a_champion_that_cannot_be_loaded_stands_in_nobodys_way() -> None:
    verdict = judge_retrained(EMPLOYEES, "2", "1", 1, "champion version 1 could not be compared: it was spoiled", "nothing is published")
    assert verdict.passed
    assert verdict.reasons == ("champion version 1 could not be compared: it was spoiled", "nothing is published")


def test_a_champion_that_knows_the_records_held_out_stays() -> None:
    verdict = judge_retrained(EMPLOYEES, "2", "1", 1, comparison(0.2, rows=200), comparison(0.0))
    assert not verdict.passed
    assert "nobody can tell which is better" in verdict.reasons[0]


def test_a_champion_that_knows_so_many_of_them_that_a_class_is_left_out_stays() -> None:
    verdict = judge_retrained(EMPLOYEES, "2", "1", 1, f"champion version 1 could not be compared: {TRAINED_ON_ROWS}", comparison(0.0))
    assert not verdict.passed
    assert verdict.reasons[0].endswith("nobody can tell which is better")


def test_a_verdict_is_read_back_and_anything_else_is_none() -> None:
    verdict = judge_retrained(EMPLOYEES, "2", "1", 2, comparison(0.15), comparison(-0.15))
    assert RetrainVerdict.from_json(verdict.to_json()) == verdict
    assert RetrainVerdict.from_json("{}") is None
