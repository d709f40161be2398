"""A record is checked by itself: a good one comes out as its features, a bad one says what is wrong with it and costs none beside it."""

import json
from functools import cache
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hearth.contracts.records
from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn, load_contract
from hearth.contracts.examples import example_record
from hearth.contracts.records import check_records, record_model, split_records
from hearth.errors import InvalidRecords, Problem
from hearth.fakes import FakeRecords

DATA = Path(__file__).parents[2] / "data"
CONTRACT = load_contract("employees", DATA)
GOOD: dict[str, object] = {
    "Gender": "Female",
    "Company Type": "Service",
    "WFH Setup Available": "No",
    "Designation": 2,
    "Resource Allocation": 3.0,
    "Mental Fatigue Score": 3.8,
    "Work Hours per Week": 41,
    "Sleep Hours": 7.1,
    "Work-Life Balance Score": 4,
    "Manager Support Score": 3,
    "Deadline Pressure Score": 2,
    "Team Size": 9,
    "Recognition Frequency": 4,
}
LEFT_OUT = {"Employee ID": "a1b2c3d4", "Date of Joining": "2008-02-01", "Years in Company": 17, "Burn Rate": 0.4}


@cache
def fakes() -> FakeRecords:
    return FakeRecords.load(CONTRACT, DATA)


def problem_of(change: dict[str, object]) -> Problem:
    """The one problem of a good record that was changed."""
    with pytest.raises(InvalidRecords) as caught:
        check_records(CONTRACT, [GOOD | change])
    [problem] = caught.value.problems
    return problem


def test_a_good_record_comes_out_as_it_was_in_contract_order() -> None:
    backwards = dict(reversed(GOOD.items()))

    [checked] = check_records(CONTRACT, [backwards])

    assert checked == GOOD
    assert tuple(checked) == CONTRACT.feature_names


def test_a_whole_raw_row_may_be_sent_and_only_its_features_come_out() -> None:
    assert check_records(CONTRACT, [GOOD | LEFT_OUT]) == [GOOD]


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_column_that_is_left_out_may_be_null(name: str) -> None:
    assert check_records(CONTRACT, [GOOD | LEFT_OUT | {name: None}]) == [GOOD]


@pytest.mark.parametrize("name", ["Resource Allocation", "Mental Fatigue Score"])
def test_a_nullable_feature_may_be_null_or_missing(name: str) -> None:
    without = {key: value for key, value in GOOD.items() if key != name}

    assert check_records(CONTRACT, [GOOD | {name: None}, without]) == [GOOD | {name: None}] * 2


def test_any_mapping_is_a_record() -> None:
    assert check_records(CONTRACT, [MappingProxyType(GOOD)]) == [GOOD]


def test_no_records_are_no_problem() -> None:
    assert check_records(CONTRACT, []) == []


@pytest.mark.parametrize(
    "change",
    [{"Designation": 0}, {"Designation": 5}, {"Designation": 2.0}, {"Sleep Hours": 0}, {"Sleep Hours": 24}, {"Mental Fatigue Score": 10}],
)
def test_bounds_and_whole_floats_are_good(change: dict[str, object]) -> None:
    assert check_records(CONTRACT, [GOOD | change]) == [GOOD | change]


DESIGNATION = "a whole number from 0 to 5 (level)"
SLEEP = "a number from 0 to 24 (hours)"


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("Designation", True, DESIGNATION + "; it is a boolean"),
        ("Designation", False, DESIGNATION + "; it is a boolean"),
        ("Designation", "3", DESIGNATION + "; it is a text, not a number"),
        ("Designation", 2.5, DESIGNATION),
        ("Designation", -1, DESIGNATION),
        ("Designation", 6, DESIGNATION),
        ("Designation", 10**400, DESIGNATION),
        ("Designation", None, DESIGNATION),
        ("Designation", [2], DESIGNATION),
        ("Designation", {"value": 2}, DESIGNATION),
        ("Designation", "", DESIGNATION + "; it is a text, not a number"),
        ("Sleep Hours", True, SLEEP + "; it is a boolean"),
        ("Sleep Hours", "7.1", SLEEP + "; it is a text, not a number"),
        ("Sleep Hours", float("inf"), SLEEP),
        ("Sleep Hours", float("-inf"), SLEEP),
        ("Sleep Hours", 24.000001, SLEEP),
        ("Sleep Hours", -0.1, SLEEP),
        ("Sleep Hours", None, SLEEP),
        ("Mental Fatigue Score", "null", "a number from 0 to 10 (score) or null; it is a text, not a number"),
        ("Gender", "female", "one of 'Female', 'Male'"),
        ("Gender", "Female ", "one of 'Female', 'Male'"),
        ("Gender", "", "one of 'Female', 'Male'"),
        ("Gender", 1, "one of 'Female', 'Male'; it is a number, not a text"),
        ("Gender", None, "one of 'Female', 'Male'"),
        ("WFH Setup Available", False, "one of 'No', 'Yes'; it is a boolean"),
        ("Date of Joining", "30.09.2008", "a date such as 2008-09-30"),
        ("Date of Joining", "2008-02-30", "a date such as 2008-09-30"),
        ("Date of Joining", "2008-09-30T00:00:00", "a date such as 2008-09-30"),
        ("Date of Joining", 1222732800, "a date such as 2008-09-30; it is a number, not a text"),
        ("Employee ID", "", "a text that is not empty"),
        ("Employee ID", 17, "a text that is not empty; it is a number, not a text"),
        ("Burn Rate", 1.01, "a number from 0 to 1 (ratio) or null"),
        ("Years in Company", 0.5, "a whole number from 0 to 60 (years)"),
    ],
)
def test_a_bad_value_is_refused_with_row_column_value_and_expectation(column: str, value: object, expected: str) -> None:
    assert problem_of({column: value}) == Problem(0, column, value, expected)


def test_not_a_number_is_refused() -> None:
    problem = problem_of({"Sleep Hours": float("nan")})

    assert (problem.column, problem.expected) == ("Sleep Hours", SLEEP)
    assert str(problem.value) == "nan"


def test_a_missing_column_is_named_as_missing() -> None:
    without = {key: value for key, value in GOOD.items() if key != "Team Size"}

    checked = split_records(CONTRACT, [without])

    assert checked.good == {}
    assert checked.problems == [Problem(0, "Team Size", None, "a whole number from 1 to 100 (people); it is missing")]


@pytest.mark.parametrize("name", ["designation", "Designation ", "work_hours_per_week", "Salary", ""])
def test_an_unknown_column_is_refused_with_the_columns_that_there_are(name: str) -> None:
    problem = problem_of({name: 1})

    assert (problem.column, problem.value) == (name, 1)
    assert problem.expected.startswith("no such column; 'employees' has: Employee ID, Date of Joining")


@pytest.mark.parametrize("record", [None, [], "Female", 3, True, [GOOD]])
def test_what_is_no_object_is_refused(record: object) -> None:
    checked = split_records(CONTRACT, [record])

    assert checked.good == {}
    assert checked.problems == [Problem(0, "", record, "an object with the columns of 'employees'")]


def test_a_key_that_is_no_text_is_refused() -> None:
    [problem] = split_records(CONTRACT, [GOOD | {1: 2}]).problems

    assert problem.column == "1"


def test_all_that_is_wrong_with_a_record_is_said_once_each() -> None:
    problems = split_records(CONTRACT, [GOOD | {"Gender": "x", "Designation": 9, "Salary": 1}]).problems

    assert sorted(problem.column for problem in problems) == ["Designation", "Gender", "Salary"]


def test_one_bad_record_costs_none_beside_it() -> None:
    checked = split_records(CONTRACT, [GOOD, GOOD | {"Designation": 9}, None, GOOD | {"Team Size": 4}])

    assert checked.good == {0: GOOD, 3: GOOD | {"Team Size": 4}}
    assert [problem.row for problem in checked.problems] == [1, 2]


def test_problems_beyond_the_limit_are_counted_and_never_built(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Problem] = []

    def build(*parts: object) -> Problem:
        built.append(Problem(*parts))  # type: ignore[arg-type]  # the arguments of the real one
        return built[-1]

    monkeypatch.setattr(hearth.contracts.records, "Problem", build)
    wrong = GOOD | {f"key {number}": number for number in range(75)} | {"Gender": "x"}

    checked = split_records(CONTRACT, [wrong, GOOD, *[wrong] * 500], max_problems=100)

    assert (len(checked.problems), checked.count, list(checked.good)) == (100, 501 * 76, [1])
    assert len(built) == 100


def test_check_records_gives_all_or_raises_with_all_problems() -> None:
    with pytest.raises(InvalidRecords, match=r"row 1, 'Designation': got 9, expected .* \(and 1 more\)") as caught:
        check_records(CONTRACT, [GOOD, GOOD | {"Designation": 9}, GOOD | {"Gender": "x"}])

    assert [problem.row for problem in caught.value.problems] == [1, 2]


def test_a_message_stays_short_however_long_the_value_is() -> None:
    assert len(str(problem_of({"Gender": "x" * 1_000_000}))) < 300
    assert len(str(problem_of({"y" * 1_000_000: 1}))) < 600


def test_the_json_schema_says_what_the_contract_says() -> None:
    schema = record_model(CONTRACT).model_json_schema(by_alias=True)

    assert schema["additionalProperties"] is False
    optional = {"Resource Allocation", "Mental Fatigue Score"}
    assert set(schema["required"]) == set(CONTRACT.feature_names) - optional
    designation = schema["properties"]["Designation"]
    assert (designation["type"], designation["minimum"], designation["maximum"]) == ("integer", 0, 5)
    assert schema["properties"]["Gender"]["enum"] == ["Female", "Male"]


@settings(deadline=None)  # the machine may be busy
@given(rows=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_fake_records_always_pass_and_survive_json(rows: int, seed: int) -> None:
    records = fakes().records(rows, seed)

    assert check_records(CONTRACT, json.loads(json.dumps(records, allow_nan=False))) == records


@settings(deadline=None)  # the machine may be busy
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_a_fake_record_with_one_broken_value_never_passes(data: st.DataObject, seed: int) -> None:
    records = fakes().records(3, seed)
    row = data.draw(st.integers(0, 2))
    name = data.draw(st.sampled_from(CONTRACT.feature_names))
    records[row] |= {name: data.draw(broken(CONTRACT, name))}

    checked = split_records(CONTRACT, records)

    [problem] = checked.problems
    assert sorted(checked.good) == [i for i in range(3) if i != row]
    assert (problem.row, problem.column) == (row, name)


def broken(contract: Contract, name: str) -> st.SearchStrategy[object]:
    """Values that a column cannot have."""
    column = contract.columns[name]
    never: st.SearchStrategy[object] = st.booleans() | st.lists(st.integers()) | st.dictionaries(st.text(), st.integers())
    if not column.nullable:
        never |= st.none()
    if isinstance(column, CategoryColumn):
        return never | st.text().filter(lambda text: text not in column.categories) | st.integers() | st.floats()
    assert isinstance(column, IntegerColumn | NumberColumn)
    below, above = st.floats(max_value=column.minimum, exclude_max=True), st.floats(min_value=column.maximum, exclude_min=True)
    never |= st.text() | below | above | st.just(float("nan")) | st.integers(max_value=int(column.minimum) - 1)
    if isinstance(column, IntegerColumn):
        never |= st.floats(column.minimum, column.maximum).filter(lambda value: not value.is_integer())
    return never


@pytest.mark.parametrize(
    ("dataset", "column", "value", "hint"),
    [
        ("employees", "Designation", "3", "; it is a text, not a number"),
        ("employees", "Resource Allocation", "3.5", "; it is a text, not a number"),
        ("employees", "Designation", 9, ""),
        ("employees", "Designation", True, "; it is a boolean"),
        ("employees", "Designation", None, ""),
        ("employees", "Gender", 1, "; it is a number, not a text"),
        ("employees", "Gender", "?", ""),
        ("employees", "Gender", [1], ""),
        ("employees", "Date of Joining", 20080930, "; it is a number, not a text"),
        ("heart", "sex", "1", "; it is a text, not a number"),
        ("heart", "sex", 7, ""),
    ],
)
def test_a_value_of_another_kind_is_refused_with_its_kind_which_its_text_does_not_show(
    dataset: str, column: str, value: object, hint: str
) -> None:
    contract = load_contract(dataset, DATA)

    with pytest.raises(InvalidRecords) as refused:
        check_records(contract, [{**example_record(contract), column: value}])

    [problem] = refused.value.problems
    assert (problem.column, problem.value) == (column, value)
    assert problem.expected == contract.columns[column].expected + (" or null" if contract.columns[column].nullable else "") + hint
