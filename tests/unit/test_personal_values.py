"""Values of personal columns are in no error, log line, dead letter or stored prediction; everything else stays as it was."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.contracts import Contract
from hearth.contracts.record_parser import RecordParser
from hearth.contracts.records import check_records
from hearth.contracts.rules import rules_of
from hearth.errors import InvalidMessage, InvalidRecords
from hearth.predictions.recorded_columns import recorded_columns
from hearth.streaming.client import Entry
from hearth.streaming.consumer import DeadLetter
from hearth.streaming.messages import read_records
from hearth.streaming.worker.personal_values import PersonalValues
from tests.support.models import employees, good_record

SECRET = "very-personal"
PERSONAL = ("Employee ID", "Gender", "Sleep Hours")


def with_personal(*names: str) -> Contract:
    contract = employees()
    columns = {name: column.model_copy(update={"personal": name in names}) for name, column in contract.columns.items()}
    return contract.model_copy(update={"columns": columns})


CONTRACT = with_personal(*PERSONAL)
GOOD = good_record(CONTRACT)


def refusal(contract: Contract, record: object) -> str:
    with pytest.raises(InvalidRecords) as caught:
        check_records(contract, [record])
    return "; ".join(map(str, caught.value.problems)) + str(caught.value) + repr(caught.value.problems)


@pytest.mark.parametrize("name", ["Gender", "Sleep Hours"])
def test_an_error_names_the_column_and_not_its_value(name: str) -> None:
    text = refusal(CONTRACT, {**GOOD, name: SECRET})

    assert name in text
    assert SECRET not in text
    assert SECRET in refusal(employees(), {**GOOD, name: SECRET})


@pytest.mark.parametrize("record", [{**GOOD, "gendre": SECRET}, SECRET, [SECRET]])
def test_what_may_hold_a_personal_value_is_not_shown_either(record: object) -> None:
    assert SECRET not in refusal(CONTRACT, record)


def test_a_value_of_another_column_is_shown_as_before() -> None:
    assert SECRET in refusal(CONTRACT, {**GOOD, "Designation": SECRET})


def test_a_refused_cell_of_a_file_is_not_shown() -> None:
    rules = rules_of(CONTRACT)

    assert rules["Gender"].refusal("Gender", SECRET).startswith("Gender: got (personal, not shown), expected one of")
    assert "it is missing" in rules["Gender"].refusal("Gender", "")
    assert SECRET in rules["Designation"].refusal("Designation", SECRET)


def test_they_are_not_stored_and_still_scored() -> None:
    assert set(CONTRACT.feature_names) - set(recorded_columns(CONTRACT)) == {"Gender", "Sleep Hours"}
    assert len(RecordParser(CONTRACT).parse([GOOD])) == 1
    assert tuple(recorded_columns(employees())) == employees().feature_names


def letter(**fields: bytes) -> DeadLetter:
    return DeadLetter(Entry("1-0", {name.encode(): value for name, value in fields.items()}), "invalid_records", "why", "now")


def hidden(*contracts: Contract, **fields: bytes) -> dict[bytes, bytes]:
    [found] = PersonalValues(contracts).hide([letter(**fields)])
    return dict(found.entry.fields)


def test_a_letter_keeps_the_columns_that_are_not_personal() -> None:
    fields = hidden(CONTRACT, dataset=b"employees", model=b"knn", records=json.dumps([{**GOOD, "Employee ID": SECRET}]).encode())

    assert (fields[b"dataset"], fields[b"model"]) == (b"employees", b"knn")
    assert json.loads(fields[b"records"]) == [{name: value for name, value in GOOD.items() if name not in PERSONAL}]


@pytest.mark.parametrize(
    "fields",
    [
        {"record": b'{"Gender": "very-personal"'},
        {"records": b'["very-personal"]'},
        {"record": b'"very-personal"'},
        {"record": b"\xffvery-personal"},
        {"note": b"very-personal"},
        {"replay_of": b"very-personal"},
    ],
)
def test_what_cannot_be_read_as_records_is_left_out_of_a_letter(fields: dict[str, bytes]) -> None:
    assert SECRET.encode() not in b"".join(hidden(CONTRACT, **fields).values())


def test_a_field_that_is_there_twice_is_hidden_both_times() -> None:
    record = json.dumps({**GOOD, "Gender": SECRET}).encode()
    twice = DeadLetter(Entry("1-0", {b"record": record}, ((b"record", record),)), "invalid_message", "why", "now")

    [found] = PersonalValues([CONTRACT]).hide([twice])

    assert SECRET.encode() not in found.entry.fields[b"record"] + found.entry.repeated[0][1]


def test_columns_of_every_data_set_are_hidden_because_a_message_may_go_to_the_wrong_one() -> None:
    record = json.dumps({**GOOD, "Gender": SECRET}).encode()

    assert SECRET.encode() not in hidden(employees(), CONTRACT, dataset=b"nothing", record=record)[b"record"]


@given(st.dictionaries(st.sampled_from([b"dataset", b"record", b"records", b"x"]), st.binary()))
def test_without_personal_columns_a_letter_stays_as_it_is(fields: dict[bytes, bytes]) -> None:
    original = DeadLetter(Entry("1-0", fields), "invalid_message", "why", "now")

    assert PersonalValues([employees()]).hide([original]) == [original]


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_content_is_hidden_without_failing(content: Any) -> None:
    fields = hidden(CONTRACT, record=json.dumps([{"Gender": SECRET, "other": content}]).encode())

    assert SECRET.encode() not in fields[b"record"]


@pytest.mark.parametrize("content", [b'{"Gender": "very-personal"', b'{"Gender": "very-personal"}', b'"very-personal"'])
def test_the_reason_of_an_unreadable_message_shows_nothing_of_it(content: bytes) -> None:
    with pytest.raises(InvalidMessage) as caught:
        read_records(Entry("1-0", {b"records": content}))

    assert SECRET not in str(caught.value)
