import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hearth.contracts import load_contract
from hearth.data.cleaning import clean, split
from hearth.data.csv_validation import read_raw, validate
from hearth.data.profile import Profile, bin_shares, category_shares, description_table, number_profile, profile
from tests.training.raw_rows import raw_csv

EMPLOYEES = load_contract("employees")
VALUES = st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, float("nan")]), max_size=60)


@pytest.fixture(scope="module")
def employees_profile() -> Profile:
    rows = validate(EMPLOYEES, read_raw(EMPLOYEES, raw_csv(EMPLOYEES, 300, missing_share=0.1), "x.csv")).accepted
    parts = split(EMPLOYEES, clean(EMPLOYEES, rows).frame)
    return profile(EMPLOYEES, parts.X_train, parts.y_train, "0123456789abcdef")


def test_it_describes_every_feature_and_every_class(employees_profile: Profile) -> None:
    assert tuple(employees_profile.numbers) == EMPLOYEES.numeric_features
    assert list(employees_profile.categories) == list(EMPLOYEES.categorical_features)
    assert list(employees_profile.classes) == ["Low", "Medium", "High"]
    assert sum(employees_profile.classes.values()) == pytest.approx(1)
    assert employees_profile.numbers["Resource Allocation"].missing_share > 0
    assert employees_profile.numbers["Resource Allocation"].count < employees_profile.rows


def test_it_goes_through_json_unchanged(employees_profile: Profile) -> None:
    text = employees_profile.to_json()

    assert Profile.from_json(text) == employees_profile
    assert json.loads(text)["numbers"]["Designation"]["edges"] == list(employees_profile.numbers["Designation"].edges)


def test_something_else_is_not_read_as_a_profile() -> None:
    with pytest.raises(ValidationError):
        Profile.from_json(b'{"rows": 3}')


@given(VALUES)
def test_bins_of_the_train_values_are_never_empty_and_share_all_of_them(values: list[float]) -> None:
    described = number_profile(pd.Series(values, dtype="float64"))

    assert len(described.shares) == len(described.edges) + 1
    assert list(described.edges) == sorted(set(described.edges))
    if described.count:
        assert min(described.shares) > 0
        assert sum(described.shares) == pytest.approx(1)
    else:
        assert described.shares == (0.0,)
        assert described.mean is described.std is described.minimum is described.maximum is None


@given(VALUES)
def test_a_number_goes_through_json_unchanged(values: list[float]) -> None:
    described = Profile("small", "d", len(values), {"x": number_profile(pd.Series(values, dtype="float64"))}, {}, {})

    assert Profile.from_json(described.to_json()) == described


@given(VALUES)
def test_the_statistics_are_those_of_pandas(values: list[float]) -> None:
    series = pd.Series(values, dtype="float64")

    described = number_profile(series)

    assert described.count == series.count()
    if described.count:
        assert described.mean == pytest.approx(series.mean(), abs=1e-6)
        assert described.std == pytest.approx(series.std(ddof=0), rel=1e-6, abs=1e-6)
        assert (described.minimum, described.maximum) == (series.min(), series.max())


def test_a_value_at_an_edge_counts_above_it_and_values_beyond_the_edges_count_too() -> None:
    assert bin_shares(np.array([-9.0, 0.9, 1.0, 2.0, 99.0, np.nan]), (1.0, 2.0)) == (0.4, 0.2, 0.4)


def test_a_uniform_number_has_ten_equal_bins() -> None:
    described = number_profile(pd.Series(np.arange(1, 101, dtype="float64")))

    assert list(described.edges) == [10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert described.shares == pytest.approx([0.09, *[0.1] * 8, 0.11])


def test_category_shares_follow_the_contract_and_leave_missing_values_out() -> None:
    assert category_shares(pd.Series(["b", None, "b", "a"], dtype="str"), ("c", "b", "a")) == {
        "c": 0.0,
        "b": pytest.approx(2 / 3),
        "a": pytest.approx(1 / 3),
    }
    assert category_shares(pd.Series([None], dtype="str"), ("a",)) == {"a": 0.0}


def test_the_description_has_a_row_for_each_column() -> None:
    frame = pd.DataFrame({"x": [1.0, 3.0, np.nan], "text": ["b", "b", "a"], "empty": pd.Series([None] * 3, dtype="str")})

    table = {row["column"]: row for row in description_table(frame).to_dict("records")}

    assert list(table) == ["x", "text", "empty"]
    assert [table["x"][name] for name in ("kind", "count", "missing", "mean", "std", "maximum")] == ["number", 2, 1, 2.0, 1.0, 3.0]
    assert [table["text"][name] for name in ("kind", "distinct", "most_frequent")] == ["text", 2, "b"]
    assert description_table(frame)["most_frequent"].isna().tolist() == [True, False, True]
