"""Where a model fails most: a planted bad part is found by name, and where there is none, none is reported."""

import numpy as np
import pandas as pd
import pytest

from hearth.contracts import CategoryColumn
from hearth.modelling.slices import FEWEST_ROWS, find_slices
from tests.support.samples import EMPLOYEES, sample_rows

X, _ = sample_rows(EMPLOYEES, 2_000, seed=3)


def errors(rate: float, seed: int = 1, rows: int = len(X)) -> np.ndarray:
    return np.random.default_rng(seed).random(rows) < rate


def test_a_bad_part_of_two_columns_is_the_first_slice() -> None:
    bad = ((X["Gender"] == "Female") & (X["Sleep Hours"] >= X["Sleep Hours"].quantile(0.75))).to_numpy()
    wrong = errors(0.1) | (bad & errors(0.5, seed=2))

    report = find_slices(EMPLOYEES, X, wrong, describe=lambda rows: f"{int(rows.sum())} rows")

    [first, *_] = report.slices
    assert first.conditions[0] == "Gender: Female"
    assert first.conditions[1].startswith("Sleep Hours: ")
    assert first.conditions[1].endswith(" or more")
    assert first.rows == pytest.approx(bad.sum(), rel=0.1)
    assert first.error.low > wrong.mean()
    assert first.about == f"{first.rows} rows"
    assert (report.rows, report.errors) == (len(X), int(wrong.sum()))


def test_a_bad_part_of_one_column_is_named_without_a_second_condition() -> None:
    bad = (X["Designation"] >= X["Designation"].quantile(0.75)).to_numpy()

    report = find_slices(EMPLOYEES, X, errors(0.05) | (bad & errors(0.4, seed=2)))

    assert [len(found.conditions) for found in report.slices] == [1]
    assert report.slices[0].conditions[0].startswith("Designation: ")


def test_missing_values_can_be_a_slice() -> None:
    rows = X.assign(**{"Sleep Hours": X["Sleep Hours"].mask(errors(0.1, seed=5))})

    report = find_slices(EMPLOYEES, rows, errors(0.05) | (rows["Sleep Hours"].isna().to_numpy() & errors(0.5, seed=2)))

    assert report.slices[0].conditions == ("Sleep Hours: missing",)


def test_a_slice_is_never_of_fewer_rows_than_the_least() -> None:
    bad = np.zeros(len(X), dtype=bool)
    bad[: FEWEST_ROWS - 1] = True
    rows = X.assign(Gender=pd.Series(np.where(bad, "Female", "Male"), dtype="str"))

    report = find_slices(EMPLOYEES, rows, bad | errors(0.02))

    assert all(found.rows >= FEWEST_ROWS for found in report.slices)
    assert not any("Gender: Female" in found.conditions for found in report.slices)


def test_where_errors_are_chance_nothing_stands_out() -> None:
    """The level is 95 %, so of 100 draws 5 may report something; `make bench-slices` has more of them."""
    false_finds = sum(bool(find_slices(EMPLOYEES, X, errors(0.15, seed)).slices) for seed in range(100))

    assert false_finds <= 5


@pytest.mark.parametrize("wrong", [np.zeros(len(X), dtype=bool), np.ones(len(X), dtype=bool)])
def test_a_model_that_is_always_right_or_always_wrong_has_no_slice(wrong: np.ndarray) -> None:
    assert find_slices(EMPLOYEES, X, wrong).slices == ()


def test_too_few_rows_are_not_tested() -> None:
    report = find_slices(EMPLOYEES, X.head(40), errors(0.5, rows=40))

    assert (report.tested, report.slices) == (0, ())


def test_values_of_personal_columns_are_not_named() -> None:
    columns = {name: column.model_copy(update={"personal": True}) for name, column in EMPLOYEES.columns.items()}
    hidden = EMPLOYEES.model_copy(update={"columns": columns})
    bad = ((X["Gender"] == "Female") & (X["Sleep Hours"] >= X["Sleep Hours"].quantile(0.75))).to_numpy()

    report = find_slices(hidden, X, errors(0.1) | (bad & errors(0.6, seed=2)))

    assert report.slices[0].conditions == ("Gender: (personal, a category that is not shown)", "Sleep Hours: highest quarter")


def test_a_wide_table_takes_the_columns_that_matter_most() -> None:
    text = CategoryColumn(kind="category", categories=("a", "b"), description="x")
    wide = EMPLOYEES.model_copy(update={"columns": {**EMPLOYEES.columns, **{f"c{at}": text for at in range(300)}}})
    rows = pd.concat([X, pd.DataFrame({f"c{at}": np.where(errors(0.5, at + 9), "a", "b") for at in range(300)}).astype("str")], axis=1)

    report = find_slices(wide, rows, errors(0.1), columns=[f"c{at}" for at in range(300)])

    assert report.tested == 20 * 2 + 190 * 4
