from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearth.contracts import Contract, load_contract
from hearth.contracts.gate_words import Gate
from hearth.modelling.bounds import BoundResult, calibration_interval, judge_bounds
from hearth.modelling.comparison import compare
from hearth.modelling.evaluation import calibration_error, reliability
from hearth.modelling.groups import FEWEST, group_masks
from tests.support.samples import EMPLOYEES, ROOT, sample_rows

ROWS = 3_000
X, y = sample_rows(EMPLOYEES, ROWS)
TRUTH = y.to_numpy()
WOMEN = (X["Gender"] == "Female").to_numpy()
HIGH = 2


def bounded(sensitive: dict[str, tuple[float, ...]] | None = None, **bounds: object) -> Contract:
    gate = Gate.model_validate({"bounds": bounds})
    return EMPLOYEES.model_copy(update={"gate": gate, "sensitive": {"Gender": ()} if sensitive is None else sensitive})


def answers(right: float, women_lost: float = 0.0, seed: int = 0, confidence: float = 0.8) -> np.ndarray:
    """Probabilities that are right for a share of the rows, and miss a further share of the women who are High."""
    rng = np.random.default_rng(seed)
    codes = np.where(rng.random(ROWS) < right, TRUTH, (TRUTH + 1) % 3)
    codes = np.where(WOMEN & (TRUTH == HIGH) & (rng.random(ROWS) < women_lost), 1, codes)
    probabilities = np.full((ROWS, 3), (1 - confidence) / 2)
    probabilities[np.arange(ROWS), codes] = confidence
    return probabilities


def judged(contract: Contract, probabilities: np.ndarray, rows: slice = slice(None), **against: Any) -> dict[str, BoundResult]:
    comparison = compare("macro_f1", TRUTH[rows], probabilities[rows], against["holder"][rows]) if against else None
    return {result.bound: result for result in judge_bounds(contract, X[rows], TRUTH[rows], probabilities[rows], comparison)}


def test_without_a_bound_nothing_is_judged() -> None:
    assert judged(bounded(), answers(0.8), holder=answers(0.9)) == {}


class TestGaps:
    CONTRACT = bounded(recall_gap={"High": 0.1}, selection_rate_gap={"High": 0.1}, group_metric=0.7)

    def test_a_model_that_finds_both_alike_meets_all(self) -> None:
        assert {result.answer for result in judged(self.CONTRACT, answers(0.85)).values()} == {"met"}

    def test_a_model_that_misses_women_breaks_the_bound_of_recall_by_name(self) -> None:
        result = judged(self.CONTRACT, answers(0.85, women_lost=0.3))["recall_gap.High"]

        assert result.answer == "broken"
        assert result.about == "Gender: Male against Female"
        assert result.interval is not None
        assert 0.1 < result.interval.low < result.interval.figure == pytest.approx(0.255, abs=0.05)

    def test_a_gap_above_the_limit_by_less_than_noise_cannot_be_told(self) -> None:
        result = judged(self.CONTRACT, answers(0.85, women_lost=0.16))["recall_gap.High"]

        assert result.interval is not None
        assert result.interval.low < 0.1 < result.interval.figure
        assert result.answer == "cannot tell"

    def test_below_a_hundred_positives_nothing_is_told_however_large_the_gap(self) -> None:
        few = slice(300)
        assert 0 < (WOMEN & (TRUTH == HIGH))[few].sum() < FEWEST

        result = judged(self.CONTRACT, answers(0.85, women_lost=1.0), few)["recall_gap.High"]

        assert (result.answer, result.interval) == ("cannot tell", None)
        assert "rows of High in the smaller group, 100 are needed" in result.about

    def test_the_worst_group_is_named(self) -> None:
        result = judged(self.CONTRACT, answers(0.85, women_lost=0.9))["group_metric"]

        assert result.about == "Gender: Female, macro_f1"
        assert result.answer == "broken"

    @settings(max_examples=20)
    @given(st.integers(0, 2**32 - 1))
    def test_exchanging_the_names_of_two_groups_changes_nothing_but_the_names(self, seed: int) -> None:
        probabilities = answers(0.85, women_lost=0.2, seed=seed)
        renamed = X.assign(Gender=X["Gender"].map({"Female": "Male", "Male": "Female"}))

        one, other = (judge_bounds(self.CONTRACT, frame, TRUTH, probabilities, None) for frame in (X, renamed))

        assert [(result.answer, result.limit) for result in one] == [(result.answer, result.limit) for result in other]
        assert [result.interval for result in one if "gap" in result.bound] == [
            result.interval for result in other if "gap" in result.bound
        ]

    def test_of_many_groups_chance_does_not_make_one_stick_out(self) -> None:
        """Ten bands have 45 pairs: without a correction every model would break the bound."""
        contract = bounded({"Sleep Hours": tuple(X["Sleep Hours"].quantile(np.arange(1, 10) / 10))}, selection_rate_gap={"High": 0.001})
        rng = np.random.default_rng(0)
        broken = 0
        for _ in range(100):
            chance = np.eye(3)[rng.integers(3, size=ROWS)]
            broken += judged(contract, chance)["selection_rate_gap.High"].answer == "broken"

        assert broken <= 10


class TestGroups:
    def test_every_row_is_in_one_group_of_each_column(self) -> None:
        contract = bounded({"Gender": (), "Resource Allocation": (4.0, 6.0), "Designation": (2,)})

        groups = group_masks(contract, X)

        assert list(groups) == ["Gender", "Resource Allocation", "Designation"]
        for masks in groups.values():
            assert (np.sum(list(masks.values()), axis=0) == 1).all()
        assert list(groups["Resource Allocation"]) == ["below 4", "4 to 6", "6 or more", "missing"]

    def test_a_number_equal_to_a_limit_belongs_to_the_band_above(self) -> None:
        frame = X.head(3).assign(Designation=[1, 2, 3])

        assert [mask.tolist() for mask in group_masks(bounded({"Designation": (2,)}), frame)["Designation"].values()] == [
            [True, False, False],
            [False, True, True],
        ]

    def test_codes_are_called_by_their_meanings(self) -> None:
        heart = load_contract("heart", ROOT / "data").model_copy(update={"sensitive": {"sex": ()}})

        assert list(group_masks(heart, pd.DataFrame({"sex": ["0", "1", "1"]}))["sex"]) == ["female", "male"]


class TestCalibration:
    def test_a_boasting_model_breaks_the_bound_and_a_calibrated_one_meets_it(self) -> None:
        contract = bounded(calibration_error=0.05)

        assert judged(contract, answers(0.8, confidence=0.99))["calibration_error"].answer == "broken"
        assert judged(contract, answers(0.8, confidence=0.8))["calibration_error"].answer == "met"

    def test_the_figure_is_that_of_the_evaluation(self) -> None:
        rng = np.random.default_rng(5)
        probabilities = rng.dirichlet([1, 1, 1], size=ROWS)

        assert calibration_interval(TRUTH, probabilities, 0.95).figure == calibration_error(reliability(TRUTH, probabilities))

    def test_noise_alone_breaks_no_bound(self) -> None:
        """With 60 rows a calibrated model shows an error of about 0.1, of which nothing is real."""
        rng = np.random.default_rng(6)
        figures, broken = [], 0
        for _ in range(200):
            probabilities = rng.dirichlet([1, 1, 1], size=60)
            truth = (probabilities.cumsum(axis=1) < rng.random((60, 1))).sum(axis=1)
            interval = calibration_interval(truth, probabilities, 0.95)
            figures.append(interval.figure)
            broken += interval.low > 0.02

        assert np.mean(figures) > 0.07
        assert broken <= 10


class TestAgainstTheHolder:
    def test_a_higher_log_loss_breaks_its_bound_and_a_lower_one_meets_it(self) -> None:
        sure, boasting = answers(0.8), answers(0.8, confidence=0.999)
        contract = bounded(log_loss_rise=0.0)

        assert judged(contract, boasting, holder=sure)["log_loss_rise"].answer == "broken"
        assert judged(contract, sure, holder=boasting)["log_loss_rise"].answer == "met"

    @pytest.mark.parametrize(("limit", "answer"), [(0.5, "met"), (0.32, "cannot tell"), (0.2, "broken")])
    def test_the_share_of_rows_with_another_class_is_bounded(self, limit: float, answer: str) -> None:
        result = judged(bounded(changed_share=limit), answers(0.8), holder=answers(0.8, seed=1))["changed_share"]

        assert result.interval is not None
        assert result.interval.figure == pytest.approx(0.32, abs=0.02)
        assert result.answer == answer

    def test_without_a_holder_there_is_nothing_to_compare_with(self) -> None:
        assert judged(bounded(changed_share=0.1, log_loss_rise=0.0), answers(0.8)) == {}
