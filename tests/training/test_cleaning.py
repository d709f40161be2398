from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from sklearn.model_selection import train_test_split

from hearth.contracts import Contract, load_contract
from hearth.data.cleaning import Split, clean, digest, split, target_codes
from hearth.data.csv_validation import read_raw, validate
from hearth.data.row_hash import row_positions
from hearth.errors import InvalidRawData
from tests.training.raw_rows import raw_csv

EMPLOYEES = load_contract("employees")
FEATURES = list(EMPLOYEES.feature_names)


def accepted(rows: int = 200, missing_share: float = 0.0) -> pd.DataFrame:
    return validate(EMPLOYEES, read_raw(EMPLOYEES, raw_csv(EMPLOYEES, rows, missing_share=missing_share), "x.csv")).accepted


def with_cleaning(**changes: object) -> Contract:
    return EMPLOYEES.model_copy(update={"cleaning": EMPLOYEES.cleaning.model_copy(update=changes)})


def with_seed(seed: int) -> Contract:
    """The contract that splits by hash, with another seed."""
    return EMPLOYEES.model_copy(update={"split": EMPLOYEES.split.model_copy(update={"by": "hash", "seed": seed})})


class TestClean:
    def test_features_stay_in_contract_order_and_the_target_comes_last(self) -> None:
        frame = clean(EMPLOYEES, accepted()).frame

        assert list(frame.columns) == [*FEATURES, "Burn Rate"]
        assert not {"Employee ID", "Date of Joining", "Years in Company"} & set(frame.columns)

    def test_each_row_is_dropped_for_the_first_reason_that_holds(self) -> None:
        rows = accepted(20)
        rows.loc[0, "Burn Rate"] = np.nan  # no target
        rows.loc[1, ["Burn Rate", "Resource Allocation", "Mental Fatigue Score"]] = np.nan  # no target comes before too many missing
        rows.loc[2, ["Resource Allocation", "Mental Fatigue Score"]] = np.nan  # too many missing
        rows.loc[3, "Resource Allocation"] = np.nan  # one missing value is tolerated
        rows.loc[5] = rows.loc[4]  # a duplicate
        rows.loc[5, "Date of Joining"] = pd.Timestamp("2008-02-03")  # in all that is compared

        result = clean(EMPLOYEES, rows)

        assert result.dropped == {"no_target": 2, "too_many_missing": 1, "duplicate": 1}
        assert len(result.frame) == 16
        assert result.frame.index.tolist() == list(range(16))
        assert result.missing_before["Burn Rate"] == 2
        assert result.missing_before["Resource Allocation"] == 3
        assert result.missing_after["Resource Allocation"] == 1
        assert result.missing_after["Burn Rate"] == 0

    def test_rows_that_differ_in_the_target_alone_are_no_duplicates(self) -> None:
        rows = accepted(10)
        rows.loc[5] = rows.loc[4]
        rows.loc[5, "Burn Rate"] = 0.123456

        assert len(clean(EMPLOYEES, rows).frame) == 10

    def test_the_contract_says_how_many_missing_values_and_whether_duplicates_stay(self) -> None:
        rows = accepted(10)
        rows.loc[2, ["Resource Allocation", "Mental Fatigue Score"]] = np.nan
        rows.loc[5] = rows.loc[4]

        assert len(clean(with_cleaning(max_nulls=2), rows).frame) == 9
        assert len(clean(with_cleaning(max_nulls=2, drop_duplicates=False), rows).frame) == 10

    def test_people_with_identifiers_of_their_own_are_no_duplicates_unless_the_contract_leaves_identifiers_out(self) -> None:
        rows = accepted(10)
        rows.loc[5] = rows.loc[4]
        rows.loc[5, "Employee ID"] = "another"
        rows.loc[7] = rows.loc[6]

        assert clean(EMPLOYEES, rows).dropped["duplicate"] == 1
        assert clean(with_cleaning(compare_identifiers=False), rows).dropped["duplicate"] == 2

    def test_the_rows_that_came_in_are_not_changed(self) -> None:
        rows = accepted(30, missing_share=0.5)
        before = rows.copy()

        clean(EMPLOYEES, rows)

        pd.testing.assert_frame_equal(rows, before)


class TestTargetCodes:
    def test_a_value_at_a_cut_belongs_to_the_class_above(self) -> None:
        values = pd.Series([0.0, 0.3299, 0.33, 0.6599, 0.66, 1.0], name="Burn Rate")

        codes = target_codes(EMPLOYEES, values)

        assert codes.tolist() == [0, 0, 1, 1, 2, 2]
        assert (codes.name, str(codes.dtype)) == ("Burn Rate", "int64")

    def test_without_cuts_the_values_are_the_codes(self) -> None:
        contract = EMPLOYEES.model_copy(update={"target": EMPLOYEES.target.model_copy(update={"cuts": ()})})

        assert target_codes(contract, pd.Series([2.0, 0.0, 1.0])).tolist() == [2, 0, 1]

    def test_a_code_is_the_position_of_its_class(self) -> None:
        covertype = load_contract("covertype")

        assert target_codes(covertype, pd.Series([7.0, 1.0, 2.0])).tolist() == [6, 0, 1]

    @pytest.mark.parametrize(("classes", "expected"), [(["A", "B", "C"], [2, 0, 1]), ({"b": "B", "c": "C", "a": "A"}, [1, 2, 0])])
    def test_a_category_is_the_position_of_its_class(self, classes: object, expected: list[int]) -> None:
        content = EMPLOYEES.model_dump(exclude={"gate", "sensitive"})
        column = {"kind": "category", "categories": ["a", "b", "c"], "description": "d"}
        contract = Contract.model_validate(
            {**content, "target": {"column": "y", "classes": classes}, "columns": {**content["columns"], "y": column}}
        )

        assert target_codes(contract, pd.Series(["c", "a", "b"], dtype="str")).tolist() == expected

    def test_what_is_no_class_is_refused(self) -> None:
        with pytest.raises(InvalidRawData, match=r"'Cover_Type' holds 8\.0, which is no class"):
            target_codes(load_contract("covertype"), pd.Series([1.0, 8.0]))

    def test_a_missing_target_is_refused_and_not_called_high(self) -> None:
        with pytest.raises(InvalidRawData, match="1 rows have no 'Burn Rate'"):
            target_codes(EMPLOYEES, pd.Series([0.5, np.nan]))


class TestSplit:
    def test_without_equal_rows_it_is_the_split_of_scikit_learn(self) -> None:
        frame = clean(EMPLOYEES, accepted(300, missing_share=0.1)).frame
        codes = target_codes(EMPLOYEES, frame["Burn Rate"])

        parts = split(EMPLOYEES, frame)

        train, test = train_test_split(frame.index, test_size=0.2, random_state=42, stratify=codes)
        pd.testing.assert_frame_equal(parts.X_train, frame.loc[sorted(train), FEATURES].reset_index(drop=True))
        pd.testing.assert_frame_equal(parts.X_test, frame.loc[sorted(test), FEATURES].reset_index(drop=True))
        assert parts.y_train.tolist() == codes.loc[sorted(train)].tolist()
        assert parts.y_test.tolist() == codes.loc[sorted(test)].tolist()
        assert parts.y_train.name == "Burn Rate"

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.data())
    def test_equal_feature_rows_never_straddle_the_split_and_no_row_is_lost(self, data: st.DataObject) -> None:
        distinct = clean(EMPLOYEES, accepted(80, missing_share=0.2)).frame
        copied = data.draw(st.lists(st.integers(0, len(distinct) - 1), max_size=60))
        targets = data.draw(st.lists(st.floats(0, 1), min_size=len(copied), max_size=len(copied)))
        copies = distinct.iloc[copied].assign(**{"Burn Rate": targets})
        frame = pd.concat([distinct, copies], ignore_index=True)

        try:
            parts = split(EMPLOYEES, frame)
        except InvalidRawData:  # votes of the copies can leave a class too small
            reject()

        train, test = ({tuple(row) for row in X.astype("str").itertuples(index=False)} for X in (parts.X_train, parts.X_test))
        assert not train & test
        together = pd.concat([parts.X_train, parts.X_test]).assign(y=pd.concat([parts.y_train, parts.y_test]))
        expected = frame[FEATURES].assign(y=target_codes(EMPLOYEES, frame["Burn Rate"]))
        by = [*FEATURES, "y"]
        pd.testing.assert_frame_equal(
            together.sort_values(by, ignore_index=True), expected.sort_values(by, ignore_index=True), check_dtype=False
        )

    def test_a_class_with_too_few_rows_is_named_with_what_is_needed(self) -> None:
        frame = clean(EMPLOYEES, accepted(100)).frame
        frame["Burn Rate"] = 0.5
        frame.loc[0:3, "Burn Rate"] = 0.9
        frame.loc[10:20, "Burn Rate"] = 0.1

        with pytest.raises(InvalidRawData, match="Low 11, Medium 85, High 4; expected 5 or more of each"):
            split(EMPLOYEES, frame)

    def test_copies_do_not_count_as_rows_of_a_class(self) -> None:
        frame = clean(EMPLOYEES, accepted(100)).frame
        frame["Burn Rate"] = np.where(np.arange(100) % 2, 0.1, 0.5)
        frame.loc[[0, 2, 4, 6, 8, 10], FEATURES] = frame.loc[[0] * 6, FEATURES].to_numpy()
        frame.loc[[0, 2, 4, 6, 8, 10], "Burn Rate"] = 0.9

        with pytest.raises(InvalidRawData, match="High 1; expected 5"):
            split(EMPLOYEES, frame)

    def test_nothing_left_after_cleaning_is_an_error_that_says_so(self) -> None:
        with pytest.raises(InvalidRawData, match="Low 0, Medium 0, High 0"):
            split(EMPLOYEES, clean(EMPLOYEES, accepted(100)).frame.iloc[:0])

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.integers(5, 12), st.sampled_from([0.1, 0.2, 0.25, 0.4, 0.5, 0.8]))
    def test_when_it_does_not_refuse_every_class_is_in_both_sets(self, high: int, share: float) -> None:
        contract = EMPLOYEES.model_copy(update={"split": EMPLOYEES.split.model_copy(update={"test_share": share})})
        frame = clean(EMPLOYEES, accepted(100)).frame
        frame["Burn Rate"] = np.where(np.arange(100) < high, 0.9, np.where(np.arange(100) % 2, 0.1, 0.5))

        try:
            parts = split(contract, frame)
        except InvalidRawData:
            assert high < 1 / min(share, 1 - share)
        else:
            assert set(parts.y_train) == set(parts.y_test) == {0, 1, 2}


HASHED = EMPLOYEES.model_copy(update={"split": EMPLOYEES.split.model_copy(update={"by": "hash"})})


def rows_of(X: pd.DataFrame) -> set[tuple[object, ...]]:
    return {tuple(row) for row in X.astype("str").itertuples(index=False)}


class TestSplitByHash:
    FRAME = clean(EMPLOYEES, accepted(600, missing_share=0.2)).frame

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.integers(200, 600), st.randoms(use_true_random=False))
    def test_a_row_that_is_in_the_test_set_stays_there_whatever_is_appended_or_in_which_order(self, first: int, random: Random) -> None:
        order = list(range(len(self.FRAME)))
        random.shuffle(order)
        later = self.FRAME.iloc[order]

        before, after = split(HASHED, self.FRAME.head(first)), split(HASHED, later)

        assert rows_of(before.X_test) <= rows_of(after.X_test)
        assert rows_of(before.X_train) <= rows_of(after.X_train)
        assert not rows_of(after.X_train) & rows_of(after.X_test)
        assert len(after.X_train) + len(after.X_test) == len(later)

    def test_rows_with_equal_features_are_together_whatever_their_target_and_their_types(self) -> None:
        twice = pd.concat(
            [self.FRAME, self.FRAME.assign(**{"Burn Rate": self.FRAME["Burn Rate"].clip(upper=0.9)}).astype({"Team Size": "float64"})],
            ignore_index=True,
        )

        parts = split(HASHED, twice)

        assert not rows_of(parts.X_train) & rows_of(parts.X_test)
        assert len(parts.X_test) == 2 * len(split(HASHED, self.FRAME).X_test)

    def test_shares_of_classes_are_those_of_chance(self) -> None:
        tested = [[(y == code).sum() for code in range(3)] for y in (split(with_seed(seed), self.FRAME).y_test for seed in range(20))]

        counts = np.bincount(target_codes(EMPLOYEES, self.FRAME["Burn Rate"]), minlength=3)
        assert np.mean(tested, axis=0) / counts == pytest.approx(0.2, abs=0.03)

    def test_another_seed_gives_another_test_set(self) -> None:
        assert rows_of(split(with_seed(1), self.FRAME).X_test) != rows_of(split(with_seed(2), self.FRAME).X_test)

    def test_a_class_that_is_all_on_one_side_is_named_with_what_to_do(self) -> None:
        in_test = row_positions(HASHED, self.FRAME[FEATURES], 42) < 0.2
        frame = self.FRAME.assign(**{"Burn Rate": np.where(in_test, 0.1, 0.5)})
        frame.loc[np.flatnonzero(~in_test)[:8], "Burn Rate"] = 0.9

        with pytest.raises(InvalidRawData, match=r"of class Low are in the test set, expected about 20%. Choose another split.seed"):
            split(HASHED, frame)


class TestRowPositions:
    def test_they_are_the_same_on_every_machine_and_for_ever(self) -> None:
        """Data that were split once must be split alike by every later version: these numbers never change."""
        frame = pd.DataFrame([dict.fromkeys(FEATURES, 1.0) | {"Gender": "Male", "Company Type": "Café", "WFH Setup Available": None}])

        assert row_positions(EMPLOYEES, frame, 42).tolist() == [0.8022828511899947]

    def test_they_are_spread_evenly(self) -> None:
        positions = row_positions(EMPLOYEES, TestSplitByHash.FRAME[FEATURES], 7)

        assert kstest(positions, "uniform").pvalue > 0.001
        assert ((positions >= 0) & (positions < 1)).all()

    @pytest.mark.parametrize(("one", "other"), [(0.0, -0.0), (3, 3.0)])
    def test_equal_numbers_have_equal_positions(self, one: float, other: float) -> None:
        X = TestSplitByHash.FRAME[FEATURES].head(1)

        first, second = (row_positions(EMPLOYEES, X.assign(**{"Sleep Hours": value}), 1) for value in (one, other))

        assert first == second

    def test_a_missing_value_is_another_than_every_present_one(self) -> None:
        X = TestSplitByHash.FRAME[FEATURES].head(1)
        values = [np.nan, 0.0, 1.0, 2.0]

        assert len({row_positions(EMPLOYEES, X.assign(**{"Sleep Hours": value}), 1)[0] for value in values}) == len(values)


class TestDigest:
    def parts(self) -> Split:
        return split(EMPLOYEES, clean(EMPLOYEES, accepted(200, missing_share=0.1)).frame)

    def test_equal_contents_have_one_digest_whatever_their_index_and_storage_type(self) -> None:
        parts = self.parts()
        stored = Split(
            parts.X_train.astype({"Gender": "object"}).set_index(np.arange(len(parts.X_train))[::-1]),
            parts.X_test,
            parts.y_train.astype("int32"),
            parts.y_test,
        )

        assert digest(stored) == digest(parts) == digest(self.parts())
        assert len(digest(parts)) == 16
        assert int(digest(parts), 16)

    def test_the_digest_of_known_rows_does_not_change_with_library_versions(self) -> None:
        X = pd.DataFrame({"x": [1.0, np.nan], "text": ["ä", None]})
        y = pd.Series([0, 1], name="y")

        assert digest(Split(X, X.iloc[:1], y, y.iloc[:1])) == "1479552fdada0e3d"

    @pytest.mark.parametrize("where", ["X_train", "X_test", "y_train", "y_test"])
    def test_one_changed_value_changes_the_digest(self, where: str) -> None:
        parts, changed = self.parts(), self.parts()
        frame = getattr(changed, where)
        if isinstance(frame, pd.DataFrame):
            frame.loc[3, "Gender"] = "Male" if frame.loc[3, "Gender"] == "Female" else "Female"
        else:
            frame.loc[3] = (frame.loc[3] + 1) % 3

        assert digest(changed) != digest(parts)

    def test_a_renamed_column_and_another_order_of_rows_change_the_digest(self) -> None:
        parts = self.parts()
        renamed = Split(parts.X_train.rename(columns={"Gender": "Sex"}), parts.X_test, parts.y_train, parts.y_test)
        turned = Split(parts.X_train.iloc[::-1], parts.X_test, parts.y_train, parts.y_test)

        assert len({digest(parts), digest(renamed), digest(turned)}) == 3
