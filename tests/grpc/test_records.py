"""Reading the two forms of records: both must say exactly what the record check says, whatever is sent."""

from collections.abc import Sequence
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpc_service.encoding import packed_message, record_message
from grpc_service.errors import InvalidRequest
from grpc_service.requests import RecordReader
from grpc_service.v1 import prediction_pb2 as pb
from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn
from hearth.contracts.record_parser import Columns, RecordParser
from hearth.errors import InvalidRecords, Problem
from tests.support.samples import EMPLOYEES, records, sample_rows

NULLABLE_CATEGORY = EMPLOYEES.model_copy(
    update={"columns": {**EMPLOYEES.columns, "Gender": EMPLOYEES.columns["Gender"].model_copy(update={"nullable": True})}}
)
CONTRACTS = {"employees": EMPLOYEES, "with a nullable category": NULLABLE_CATEGORY}
RECORDS = records(sample_rows(EMPLOYEES, 5)[0])


def mapped(rows: Sequence[dict[str, Any]]) -> pb.PredictRequest:
    return pb.PredictRequest(records=[record_message(row) for row in rows])


def packed(rows: Sequence[dict[str, Any]]) -> pb.PredictRequest:
    return pb.PredictRequest(packed=packed_message(rows))


def outcome(reader: RecordReader, request: pb.PredictRequest) -> Columns | tuple[Problem, ...]:
    received = pb.PredictRequest.FromString(request.SerializeToString())
    assert reader.count(received) > 0
    try:
        return reader.read(received)
    except InvalidRecords as error:
        return error.problems


def expected(contract: Contract, rows: Sequence[dict[str, Any]]) -> Columns | tuple[Problem, ...]:
    try:
        return RecordParser(contract).parse(rows)
    except InvalidRecords as error:
        return error.problems


def assert_same(found: Columns | tuple[Problem, ...], wanted: Columns | tuple[Problem, ...]) -> None:
    if isinstance(wanted, tuple) or isinstance(found, tuple):
        assert found == wanted
    else:
        np.testing.assert_array_equal(found.numbers, wanted.numbers)
        np.testing.assert_array_equal(found.codes, wanted.codes)
        assert found.codes.dtype == wanted.codes.dtype


def values(contract: Contract, name: str, *, wrong: bool) -> st.SearchStrategy[object]:
    column = contract.columns[name]
    if isinstance(column, CategoryColumn):
        right: st.SearchStrategy[object] = st.sampled_from(column.categories)
        bad: st.SearchStrategy[object] = st.text(max_size=4)
    else:
        assert isinstance(column, IntegerColumn | NumberColumn)
        low, high = int(column.minimum), int(column.maximum)
        right = st.integers(low, high) if isinstance(column, IntegerColumn) else st.floats(low, high)
        bad = st.one_of(st.floats(low - 2, high + 2), st.just(high + 1), st.sampled_from([inf, -inf]))
    if column.nullable or wrong:
        right = st.one_of(st.none(), right)
    return st.one_of(right, bad) if wrong else right


@st.composite
def cases(draw: st.DrawFn) -> tuple[Contract, list[dict[str, Any]]]:
    """Some records of a contract: good ones, or some that may not be."""
    contract = CONTRACTS[draw(st.sampled_from(sorted(CONTRACTS)))]
    doubtful = draw(st.sets(st.sampled_from(contract.feature_names), max_size=3))
    along = draw(st.sets(st.sampled_from([contract.target.column, "Years in Company"])))
    fields = {name: values(contract, name, wrong=name in doubtful) for name in (*contract.feature_names, *along)}
    return contract, draw(st.lists(st.fixed_dictionaries(fields), min_size=1, max_size=4))


@given(cases())
def test_both_forms_are_read_as_the_record_check_reads_records(case: tuple[Contract, list[dict[str, Any]]]) -> None:
    contract, rows = case
    reader, wanted = RecordReader(contract), expected(contract, rows)

    assert_same(outcome(reader, mapped(rows)), wanted)
    assert_same(outcome(reader, packed(rows)), wanted)


@pytest.mark.parametrize(
    "change",
    [
        {"Designation": 9},
        {"Designation": 2.5},
        {"Designation": -1},
        {"Designation": None},
        {"Designation": "two"},
        {"Sleep Hours": inf},
        {"Sleep Hours": -inf},
        {"Gender": "female"},
        {"Gender": ""},
        {"Gender": None},
        {"Gender": 1},
        {"Shoe Size": 44},
        {"Burn Rate": 7},
        {"Date of Joining": "yesterday"},
        {"Employee ID": ""},
    ],
    ids=str,
)
def test_what_is_wrong_is_named_in_both_forms_as_in_rest(change: dict[str, object]) -> None:
    rows = [{**record, **change} for record in RECORDS]
    wanted = expected(EMPLOYEES, rows)

    assert isinstance(wanted, tuple)
    assert [problem.row for problem in wanted] == [0, 1, 2, 3, 4]
    assert_same(outcome(RecordReader(EMPLOYEES), mapped(rows)), wanted)
    assert_same(outcome(RecordReader(EMPLOYEES), packed(rows)), wanted)


def test_only_the_bad_record_of_many_is_named() -> None:
    rows = [*RECORDS, {**RECORDS[0], "Gender": "unknown", "Team Size": 1000}]

    for request in (mapped(rows), packed(rows)):
        found = outcome(RecordReader(EMPLOYEES), request)
        assert found == (
            Problem(5, "Gender", "unknown", "one of 'Female', 'Male'"),
            Problem(5, "Team Size", 1000, "a whole number from 1 to 100 (people)"),
        )


def test_a_missing_column_is_named() -> None:
    rows = [{name: value for name, value in RECORDS[0].items() if name != "Designation"}]

    for request in (mapped(rows), packed(rows)):
        assert outcome(RecordReader(EMPLOYEES), request) == (
            Problem(0, "Designation", None, "a whole number from 0 to 5 (level); it is missing"),
        )


def test_a_nullable_column_may_be_left_out_as_in_rest() -> None:
    rows = [{name: value for name, value in RECORDS[0].items() if name != "Mental Fatigue Score"}]

    for request in (mapped(rows), packed(rows)):
        assert_same(outcome(RecordReader(EMPLOYEES), request), expected(EMPLOYEES, rows))


def test_reading_a_record_that_lacks_a_column_does_not_add_it() -> None:
    rows = [{**RECORDS[0], "Shoe Size": 44.0}]
    del rows[0]["Designation"]  # as many values as there are features
    request = mapped(rows)

    assert_same(outcome(RecordReader(EMPLOYEES), request), expected(EMPLOYEES, rows))
    assert "Designation" not in request.records[0].values


@pytest.mark.parametrize("column", ["Mental Fatigue Score", "Designation"])
def test_nan_is_no_number_in_a_record_even_where_a_value_may_be_missing(column: str) -> None:
    [problem] = outcome(RecordReader(EMPLOYEES), mapped([{**RECORDS[0], column: nan}]))  # type: ignore[misc]

    assert (problem.row, problem.column) == (0, column)
    assert repr(problem.value) == "nan"


def test_nan_is_missing_in_a_packed_column() -> None:
    rows = [{**RECORDS[0], "Mental Fatigue Score": nan}, {**RECORDS[1], "Mental Fatigue Score": 4.0}]
    found = outcome(RecordReader(EMPLOYEES), packed(rows))

    assert isinstance(found, Columns)
    position = EMPLOYEES.numeric_features.index("Mental Fatigue Score")
    np.testing.assert_array_equal(found.numbers[:, position], [nan, 4.0])


def test_nan_in_a_packed_column_that_has_no_missing_values_is_refused_as_null() -> None:
    found = outcome(RecordReader(EMPLOYEES), packed([{**RECORDS[0], "Sleep Hours": nan}]))

    assert found == (Problem(0, "Sleep Hours", None, "a number from 0 to 24 (hours)"),)


@pytest.mark.parametrize("column", ["Mental Fatigue Score", "Designation", "Gender"])
def test_a_value_that_says_no_kind_is_refused_and_not_taken_for_null(column: str) -> None:
    request = mapped([RECORDS[0]])
    request.records[0].values[column].ClearField("number" if column != "Gender" else "text")

    [problem] = outcome(RecordReader(EMPLOYEES), request)  # type: ignore[misc]

    assert (problem.row, problem.column) == (0, column)
    assert str(problem).startswith(f"row 0, {column!r}: got a value that is neither number, text nor null, expected")


def test_codes_are_positions_in_the_dictionary_of_the_message_not_of_the_contract() -> None:
    request = packed([{**RECORDS[0], "Gender": "Male"}, {**RECORDS[0], "Gender": "Female"}])
    found = outcome(RecordReader(EMPLOYEES), request)

    assert isinstance(found, Columns)
    assert found.codes[:, 0].tolist() == [1, 0]


def test_a_text_that_no_record_uses_may_be_in_a_dictionary() -> None:
    request = packed([RECORDS[0]])
    request.packed.texts[0].dictionary.append("Martian")

    assert_same(outcome(RecordReader(EMPLOYEES), request), expected(EMPLOYEES, [RECORDS[0]]))


@pytest.mark.parametrize("code", [-2, 1, 2_000_000_000])
def test_a_code_outside_the_dictionary_is_named(code: int) -> None:
    request = packed([RECORDS[0]])
    request.packed.texts[0].codes[0] = code

    assert outcome(RecordReader(EMPLOYEES), request) == (
        Problem(0, "Gender", code, "a position in the column's dictionary of 1 texts, or -1 for a missing one"),
    )


def test_packed_columns_of_different_lengths_are_refused_by_name() -> None:
    request = packed(RECORDS)
    request.packed.numbers[3].values.append(1.0)

    with pytest.raises(InvalidRequest, match="'Designation' has 5 values, but 'Work Hours per Week' has 6"):
        RecordReader(EMPLOYEES).read(request)


def test_a_packed_column_that_is_there_twice_is_refused_by_name() -> None:
    request = packed(RECORDS)
    request.packed.texts.add(name="Designation", dictionary=["2"], codes=[0] * 5)

    with pytest.raises(InvalidRequest, match="'Designation' is there twice"):
        RecordReader(EMPLOYEES).read(request)


def test_more_packed_columns_than_the_contract_has_are_refused_before_they_are_read() -> None:
    request = packed(RECORDS)
    for number in range(20):
        request.packed.numbers.add(name=f"more {number}", values=[1.0] * 5)

    with pytest.raises(InvalidRequest, match="have 33 columns, the contract has 17"):
        RecordReader(EMPLOYEES).read(request)


@pytest.mark.parametrize("request_", [pb.PredictRequest(), pb.PredictRequest(packed=pb.PackedRecords())], ids=["records", "packed"])
def test_a_request_without_records_is_refused(request_: pb.PredictRequest) -> None:
    with pytest.raises(InvalidRequest, match="has no records"):
        RecordReader(EMPLOYEES).count(request_)


def test_a_request_with_both_forms_is_refused() -> None:
    request = mapped(RECORDS)
    request.packed.CopyFrom(packed(RECORDS).packed)

    with pytest.raises(InvalidRequest, match="both records and packed records"):
        RecordReader(EMPLOYEES).count(request)


@pytest.mark.parametrize("value", [b"bytes", True, [1]], ids=str)
def test_a_caller_is_told_what_cannot_be_sent(value: object) -> None:
    with pytest.raises(TypeError, match="neither a number, a text nor None"):
        record_message({"Designation": value})
    with pytest.raises(TypeError, match="'Designation' holds"):
        packed_message([{"Designation": value}])
