"""What has moved from one publication to the next."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearth.contracts import Contract, load_contract
from hearth.data.cleaning import clean, split, target_codes
from hearth.data.csv_validation import read_raw, validate
from hearth.data.profile import Profile, profile
from hearth.data.shift import NOTEWORTHY, Shift, shifts
from hearth.fakes import FakeRecords
from tests.training.raw_rows import raw_rows

EMPLOYEES, HEART = load_contract("employees"), load_contract("heart")


def accepted(contract: Contract, rows: pd.DataFrame) -> pd.DataFrame:
    return validate(contract, read_raw(contract, rows.to_csv(index=False).encode(), "x.csv")).accepted


def fakes(contract: Contract, rows: int, seed: int) -> pd.DataFrame:
    return accepted(contract, FakeRecords.load(contract).frame(rows, seed))


def reference(contract: Contract, rows: pd.DataFrame) -> Profile:
    parts = split(contract, clean(contract, rows).frame)
    return profile(contract, parts.X_train, parts.y_train, "reference")


def compared(contract: Contract, before: Profile, rows: pd.DataFrame) -> dict[str, Shift]:
    frame = clean(contract, rows).frame
    y = target_codes(contract, frame[contract.target.column])
    return {shift.name: shift for shift in shifts(contract, before, frame[list(contract.feature_names)], y)}


def beyond(found: dict[str, Shift], limit: float = 0.3) -> set[str]:
    return {name for name, shift in found.items() if shift.exceeds(limit)}


class TestShifts:
    def test_another_coding_of_the_same_columns_goes_far_beyond_chance(self) -> None:
        before = reference(HEART, fakes(HEART, 300, 1))
        rows = fakes(HEART, 300, 2)
        rows["cp"] = rows["cp"].map({"0": "3", "1": "1", "2": "2", "3": "0"})
        rows["thal"] = rows["thal"].map({"0": "1", "1": "0", "2": "0", "3": "2"})

        found = compared(HEART, before, rows)

        assert beyond(found) == {"cp", "thal"}
        assert str(found["thal"]).startswith("thal: ")
        assert next(iter(found)) in {"cp", "thal"}

    def test_another_unit_and_a_column_that_is_always_missing_are_found(self) -> None:
        before = reference(EMPLOYEES, accepted(EMPLOYEES, raw_rows(EMPLOYEES, 500)))
        rows = accepted(EMPLOYEES, raw_rows(EMPLOYEES, 500, seed=1))
        rows["Work Hours per Week"] /= 5  # hours a day
        rows["Resource Allocation"] = np.nan

        found = compared(EMPLOYEES, before, rows)

        assert beyond(found) == {"Work Hours per Week", "Resource Allocation"}
        assert found["Resource Allocation"].detail.startswith("missing: ")
        assert found["Work Hours per Week"].detail.startswith("below ")

    @pytest.mark.parametrize("contract", [EMPLOYEES, HEART], ids=lambda contract: contract.name)
    def test_draws_from_the_same_source_never_exceed_chance(self, contract: Contract) -> None:
        before = reference(contract, fakes(contract, 300, 0))
        source = fakes(contract, 600, 1)
        rng = np.random.default_rng(0)

        worst = [compared(contract, before, source.iloc[rng.integers(0, 600, 200)]) for _ in range(20)]

        assert [beyond(found, NOTEWORTHY) for found in worst] == [set()] * 20

    def test_a_column_that_the_reference_does_not_know_is_left_out(self) -> None:
        rows = fakes(HEART, 200, 1)
        other = HEART.model_copy(update={"columns": {**HEART.columns, "cp": HEART.columns["slope"]}})

        assert "cp" not in compared(HEART, reference(other, rows.assign(cp="0")), rows)

    @settings(deadline=None, max_examples=25)
    @given(
        st.lists(st.none() | st.floats(0, 120), min_size=30, max_size=60), st.lists(st.none() | st.floats(0, 120), min_size=1, max_size=60)
    )
    def test_the_distance_lies_between_0_and_1_and_is_0_for_the_same_rows(
        self, before: list[float | None], after: list[float | None]
    ) -> None:
        def rows(values: list[float | None]) -> tuple[pd.DataFrame, pd.Series]:
            X = fakes(EMPLOYEES, len(values), 3)[list(EMPLOYEES.feature_names)]
            X["Work Hours per Week"] = np.array(values, dtype=np.float64)
            return X, pd.Series(np.zeros(len(values), dtype=np.int64), name="Burn Rate")

        known = profile(EMPLOYEES, *rows(before), "reference")

        moved = {shift.name: shift.moved for shift in shifts(EMPLOYEES, known, *rows(before))}
        assert moved == pytest.approx(dict.fromkeys(moved, 0), abs=1e-9)
        [shift] = [shift for shift in shifts(EMPLOYEES, known, *rows(after)) if shift.name == "Work Hours per Week"]
        assert -1e-9 <= shift.moved <= 1 + 1e-9
