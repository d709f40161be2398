import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.modelling.gate import Standing, choose_champion, decide, unseen_rows
from tests.support.samples import EMPLOYEES, sample_rows

shares = st.floats(0, 1)


class TestJudge:
    @given(shares, shares)
    def test_a_version_passes_when_it_is_no_worse_than_the_present_one(self, new: float, old: float) -> None:
        assert decide("knn", "macro_f1", Standing("2", new), Standing("1", old)).passed == (new >= old)

    def test_a_free_alias_is_taken(self) -> None:
        assert decide("knn", "macro_f1", Standing("1", 0.2), None).passed

    def test_the_version_that_has_the_alias_keeps_it_when_it_is_judged_again(self) -> None:
        assert decide("knn", "macro_f1", Standing("1", 0.2), Standing("1", 0.2)).passed

    def test_a_present_version_that_cannot_be_loaded_does_not_stand_in_the_way(self) -> None:
        verdict = decide("knn", "macro_f1", Standing("2", 0.2), Standing("1", None, "made with scikit-learn 1.0"))

        assert verdict.passed
        assert "version 1, which carried 'knn', could not be compared: made with scikit-learn 1.0" in verdict.reason

    def test_a_version_that_cannot_be_loaded_never_passes(self) -> None:
        verdict = decide("knn", "macro_f1", Standing("2", None, "holds os.system"), None)

        assert not verdict.passed
        assert verdict.reason == "version 2 does not get 'knn': holds os.system"

    def test_the_reason_of_a_refusal_has_both_scores(self) -> None:
        verdict = decide("knn", "macro_f1", Standing("2", 0.81), Standing("1", 0.82))

        assert verdict.reason == "version 2 has macro_f1 0.8100; version 1, which carries 'knn', has 0.8200 on the same split: it stays"


class TestChooseChampion:
    @given(st.dictionaries(st.sampled_from(["knn", "svm", "lightgbm"]), shares, min_size=1), st.none() | shares)
    def test_nobody_is_better_than_the_champion_and_it_stays_unless_one_is_better(
        self, scores: dict[str, float], present: float | None
    ) -> None:
        families = {name: Standing(name, score) for name, score in scores.items()}
        champion = None if present is None else Standing("old", present)

        chosen, _ = choose_champion("macro_f1", families, champion)

        if present is not None and present >= max(scores.values()):
            assert chosen == "old"
        else:
            assert chosen is not None
            assert scores[chosen] == max(scores.values())

    def test_families_that_tie_without_a_champion_are_taken_in_alphabetical_order(self) -> None:
        assert choose_champion("macro_f1", {"svm": Standing("2", 0.8), "knn": Standing("1", 0.8)}, None)[0] == "1"

    def test_a_champion_that_cannot_be_loaded_makes_room(self) -> None:
        chosen, reason = choose_champion("macro_f1", {"knn": Standing("2", 0.1)}, Standing("1", None, "made with skops 0.1"))

        assert chosen == "2"
        assert "champion version 1 could not be compared: made with skops 0.1" in reason

    def test_families_that_cannot_be_loaded_leave_the_champion_where_it_is(self) -> None:
        assert choose_champion("macro_f1", {"knn": Standing("2", None, "x")}, Standing("1", 0.5))[0] == "1"
        assert choose_champion("macro_f1", {"knn": Standing("2", None, "x")}, None)[0] is None


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
