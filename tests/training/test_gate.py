from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearth.contracts import Contract
from hearth.contracts.gate_words import Bounds, Gate
from hearth.contracts.origins import FILE, GENERATED
from hearth.modelling.comparison import compare
from hearth.modelling.gate import ComparedRows, Decision, Entrant, choose_champion, decide, unseen_rows
from tests.support.samples import EMPLOYEES, sample_rows

ROWS = 600
PLAIN = EMPLOYEES.model_copy(update={"gate": Gate(), "sensitive": {}})
X, y = sample_rows(PLAIN, ROWS)
TEST = ComparedRows(X, y.to_numpy())
seeds = st.integers(0, 2**32 - 1)


def guesses(right: float, seed: int = 0, confidence: float = 0.8, truth: np.ndarray = TEST.truth) -> np.ndarray:
    """Probabilities whose class is right for this share of the rows; the others get the next class."""
    rng = np.random.default_rng(seed)
    codes = np.where(rng.permutation(len(truth)) < right * len(truth), truth, (truth + 1) % 3)
    probabilities = np.full((len(truth), 3), (1 - confidence) / 2)
    probabilities[np.arange(len(truth)), codes] = confidence
    return probabilities


def entrant(version: str, right: float, seed: int = 0, *, confidence: float = 0.8, **facts: Any) -> Entrant:
    return Entrant(version, guesses(right, seed, confidence), **{"size": 1000, "origin": FILE, **facts})


def with_gate(**words: object) -> Contract:
    return PLAIN.model_copy(update={"gate": Gate.model_validate(words)})


OTHER_LIBRARIES = Entrant("1", None, refused="made with scikit-learn 1.0")


class TestDecide:
    def test_a_free_alias_is_taken(self) -> None:
        assert decide(PLAIN, TEST, "knn", entrant("1", 0.2), None).passed

    def test_the_version_that_has_the_alias_keeps_it_when_it_is_judged_again(self) -> None:
        verdict = decide(PLAIN, TEST, "knn", entrant("1", 0.2), entrant("1", 0.2))

        assert verdict.passed
        assert verdict.comparison is None

    def test_a_version_that_is_better_by_more_than_noise_takes_the_alias(self) -> None:
        verdict = decide(PLAIN, TEST, "knn", entrant("2", 0.9), entrant("1", 0.8, 1))

        assert verdict.passed
        assert verdict.comparison is not None
        assert verdict.comparison.metric.low > 0
        assert "which carries 'knn', has 0.7999 on the same 600 rows" in verdict.reason
        assert "better by more than noise" in verdict.reason

    @settings(max_examples=20)
    @given(seeds)
    def test_a_version_that_is_worse_by_more_than_noise_never_takes_it_whatever_passes(self, seed: int) -> None:
        for passes in ("tie_break", "better", "not_worse"):
            verdict = decide(with_gate(passes=passes), TEST, "knn", entrant("2", 0.7, seed, confidence=0.7), entrant("1", 0.9, seed + 1))

            assert not verdict.passed
            assert verdict.reason.endswith(": it stays")

    def test_a_version_that_is_a_little_better_is_equal_within_noise_and_the_present_one_stays(self) -> None:
        verdict = decide(PLAIN, TEST, "knn", entrant("2", 0.802), entrant("1", 0.8, 1))

        assert not verdict.passed
        assert "equal within noise: it stays" in verdict.reason

    def test_the_same_model_again_does_not_move_the_alias(self) -> None:
        assert not decide(PLAIN, TEST, "knn", entrant("2", 0.8), entrant("1", 0.8)).passed

    @pytest.mark.parametrize(
        ("passes", "ties", "passed"), [("tie_break", ["log_loss"], True), ("tie_break", [], False), ("better", ["log_loss"], False)]
    )
    def test_between_equal_versions_the_lower_log_loss_decides_if_the_contract_says_so(
        self, passes: str, ties: list[str], passed: bool
    ) -> None:
        sure, unsure = entrant("2", 0.8, confidence=0.75), entrant("1", 0.8, 1, confidence=0.99)

        verdict = decide(with_gate(passes=passes, ties=ties), TEST, "knn", sure, unsure)

        assert verdict.passed == passed
        assert not decide(with_gate(passes=passes, ties=ties), TEST, "knn", unsure, sure).passed

    def test_between_versions_that_are_equal_in_all_the_one_of_half_the_size_wins(self) -> None:
        small, large = entrant("2", 0.8, size=400), entrant("1", 0.8, size=1000)

        assert decide(PLAIN, TEST, "knn", small, large).passed
        assert not decide(PLAIN, TEST, "knn", entrant("2", 0.8, size=600), large).passed
        assert not decide(with_gate(ties=["log_loss"]), TEST, "knn", small, large).passed

    def test_not_worse_lets_an_equal_version_pass_if_the_noise_is_within_the_margin(self) -> None:
        candidate, holder = entrant("2", 0.8), entrant("1", 0.8, 1)

        assert decide(with_gate(passes="not_worse", margin=0.1), TEST, "knn", candidate, holder).passed
        assert not decide(with_gate(passes="not_worse", margin=0.001), TEST, "knn", candidate, holder).passed

    def test_a_present_version_that_cannot_be_loaded_does_not_stand_in_the_way(self) -> None:
        verdict = decide(PLAIN, TEST, "knn", entrant("2", 0.2), OTHER_LIBRARIES)

        assert verdict.passed
        assert "version 1, which carried 'knn', could not be compared: made with scikit-learn 1.0" in verdict.reason

    def test_a_version_that_cannot_be_loaded_never_passes(self) -> None:
        verdict = decide(PLAIN, TEST, "knn", Entrant("2", None, refused="holds os.system"), None)

        assert not verdict.passed
        assert verdict.reason == "version 2 does not get 'knn': holds os.system"

    def test_a_version_that_breaks_a_bound_is_refused_by_its_name_even_for_a_free_alias(self) -> None:
        boasting = entrant("2", 0.8, confidence=0.99)

        verdict = decide(with_gate(bounds={"calibration_error": 0.05}), TEST, "knn", boasting, None)

        assert not verdict.passed
        assert "it does not get 'knn': calibration_error broken: 0.19" in verdict.reason

    def test_a_present_version_that_breaks_a_bound_makes_room_for_one_that_does_not(self) -> None:
        boasting = entrant("1", 0.9, confidence=0.9999)

        verdict = decide(with_gate(bounds={"calibration_error": 0.05}), TEST, "knn", entrant("2", 0.8, confidence=0.8), boasting)

        assert verdict.passed
        assert "version 1, which carried 'knn', could not be compared: calibration_error broken" in verdict.reason

    def test_bounds_about_the_present_version_are_judged_against_it(self) -> None:
        contract = with_gate(bounds={"log_loss_rise": 0.0, "changed_share": 0.1})

        verdict = decide(contract, TEST, "knn", entrant("2", 0.95, confidence=0.6), entrant("1", 0.8, confidence=0.8))

        assert [result.bound for result in verdict.bounds] == ["log_loss_rise", "changed_share"]
        assert [result.answer for result in verdict.bounds] == ["met", "broken"]
        assert not verdict.passed


class TestOrigin:
    REAL = ComparedRows(X, TEST.truth, real="feed")

    def test_once_real_data_are_published_a_version_of_generated_data_gets_no_alias(self) -> None:
        verdict = decide(PLAIN, self.REAL, "knn", entrant("2", 0.99, origin=GENERATED), entrant("1", 0.5))

        assert not verdict.passed
        assert verdict.reason == "version 2 does not get 'knn': it was made from generated data, and real data are published (feed)"

    def test_and_the_one_that_has_the_alias_makes_room_however_good_it_is(self) -> None:
        assert decide(PLAIN, self.REAL, "knn", entrant("2", 0.5), entrant("1", 0.99, origin=GENERATED)).passed
        assert choose_champion(PLAIN, self.REAL, {"knn": entrant("2", 0.5)}, entrant("1", 0.99, origin=GENERATED))[0] == "2"

    def test_a_family_of_generated_data_is_no_candidate_for_champion(self) -> None:
        families = {"knn": entrant("2", 0.5), "svm": entrant("1", 0.99, origin=GENERATED)}

        assert choose_champion(PLAIN, self.REAL, families, None)[0] == "2"

    def test_before_real_data_are_published_generated_data_are_as_good_as_any(self) -> None:
        assert decide(PLAIN, TEST, "knn", entrant("2", 0.9, origin=GENERATED), entrant("1", 0.5, origin=GENERATED)).passed


class TestChooseChampion:
    def families(self, shares: Mapping[str, float]) -> dict[str, Entrant]:
        return {name: entrant(name, right, number) for number, (name, right) in enumerate(shares.items())}

    @settings(max_examples=20)
    @given(st.dictionaries(st.sampled_from(["knn", "svm", "lightgbm"]), st.sampled_from([0.5, 0.7, 0.72, 0.9]), min_size=1), st.data())
    def test_a_champion_that_was_chosen_is_chosen_again(self, shares: dict[str, float], data: st.DataObject) -> None:
        families = self.families(shares)
        present = data.draw(st.sampled_from([None, *families.values(), entrant("old", 0.72, 9)]))

        chosen, _ = choose_champion(PLAIN, TEST, families, present)

        entrants = {each.version: each for each in [*families.values(), *([present] if present else [])]}
        assert choose_champion(PLAIN, TEST, families, entrants[chosen or ""])[0] == chosen

    def test_the_best_family_by_far_is_chosen(self) -> None:
        assert choose_champion(PLAIN, TEST, self.families({"knn": 0.7, "svm": 0.9}), None)[0] == "svm"

    def test_within_noise_of_the_best_the_lower_log_loss_leads(self) -> None:
        families = {"svm": entrant("1", 0.81, confidence=0.99), "lightgbm": entrant("2", 0.8, 1, confidence=0.8)}

        chosen, reason = choose_champion(PLAIN, TEST, families, families["svm"])

        assert chosen == "2"
        assert "equals the best, 0.8" in reason
        assert "log loss is lower by" in reason

    def test_a_family_that_is_worse_by_more_than_noise_does_not_lead_by_its_log_loss(self) -> None:
        families = {"svm": entrant("1", 0.95, confidence=0.9999), "lightgbm": entrant("2", 0.7, 1, confidence=0.7)}

        assert choose_champion(PLAIN, TEST, families, None)[0] == "1"

    def test_a_champion_stays_if_the_leader_is_equal_within_noise(self) -> None:
        chosen, reason = choose_champion(PLAIN, TEST, {"knn": entrant("2", 0.802)}, entrant("1", 0.8, 1))

        assert chosen == "1"
        assert reason.endswith("equal within noise: it stays")

    @settings(max_examples=20)
    @given(seeds)
    def test_no_family_is_better_than_the_champion_by_more_than_noise(self, seed: int) -> None:
        """Also where the leader, close to the best and of a lower log loss, is itself no better than the champion."""
        families = {
            "knn": entrant("knn", 0.86, seed, confidence=0.97),
            "svm": entrant("svm", 0.83, seed + 1, confidence=0.85),
            "lightgbm": entrant("lightgbm", 0.82, seed + 2, confidence=0.85),
        }

        chosen, _ = choose_champion(PLAIN, TEST, families, entrant("old", 0.8, seed + 3, confidence=0.83))

        entrants = {**families, "old": entrant("old", 0.8, seed + 3, confidence=0.83)}
        champion = entrants[chosen or ""].probabilities
        assert champion is not None
        for each in families.values():
            assert each.probabilities is not None
            assert not compare("macro_f1", TEST.truth, each.probabilities, champion).is_better

    def test_a_champion_that_cannot_be_loaded_makes_room(self) -> None:
        chosen, reason = choose_champion(PLAIN, TEST, {"knn": entrant("2", 0.1)}, OTHER_LIBRARIES)

        assert chosen == "2"
        assert "champion version 1 could not be compared: made with scikit-learn 1.0" in reason

    def test_families_that_cannot_be_loaded_leave_the_champion_where_it_is(self) -> None:
        assert choose_champion(PLAIN, TEST, {"knn": OTHER_LIBRARIES}, entrant("3", 0.5))[0] == "3"
        assert choose_champion(PLAIN, TEST, {"knn": OTHER_LIBRARIES}, None)[0] is None


def test_a_decision_is_read_as_it_was_written() -> None:
    contract = with_gate(bounds=Bounds(calibration_error=0.2, changed_share=0.5).model_dump())
    verdict = decide(contract, TEST, "knn", entrant("2", 0.8), entrant("1", 0.7))
    decision = Decision("employees", "knn", "2", verdict.passed, 0.8, "2", (verdict.reason,), "macro_f1", "feed", ROWS, FILE, verdict)

    assert len(verdict.bounds) == 2
    assert Decision.from_json(decision.to_json()) == decision


class TestUnseenRows:
    X, _ = sample_rows(EMPLOYEES, 40)

    @given(st.sets(st.integers(0, 39)), st.sets(st.integers(0, 39)))
    def test_a_row_is_unseen_when_no_train_set_holds_it(self, first: set[int], second: set[int]) -> None:
        train_sets = [self.X.iloc[sorted(rows)] for rows in (first, second)]

        unseen = unseen_rows(self.X, train_sets)

        assert [bool(row) for row in unseen] == [number not in first | second for number in range(40)]

    def test_a_row_is_found_whatever_the_order_of_columns_and_the_type_of_numbers(self) -> None:
        whole = self.X.astype({"Team Size": "int64"})
        train = whole[whole.columns[::-1]].astype({"Team Size": "float64"})

        assert not unseen_rows(whole, [train]).any()

    def test_one_other_value_makes_another_row(self) -> None:
        changed = self.X.assign(**{"Sleep Hours": self.X["Sleep Hours"] + 0.1})

        assert unseen_rows(self.X, [changed]).all()


@pytest.mark.parametrize("train_sets", [[], [pd.DataFrame(columns=list(EMPLOYEES.feature_names))]])
def test_without_train_rows_every_row_is_unseen(train_sets: list[pd.DataFrame]) -> None:
    assert unseen_rows(TestUnseenRows.X, train_sets).all()
