"""From messages to what is stored or buried, without any server."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from hearth.errors import ModelUnavailable
from hearth.serving.loaded_model import LoadedModel
from hearth.streaming.client import Entry
from hearth.streaming.messages import encode, max_records
from hearth.streaming.worker.scoring import by_address, chunks, score
from tests.support.models import FakeRegistry, employees, good_record, served

CONTRACT = employees()
GOOD = good_record(CONTRACT)


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    with served(FakeRegistry(champion="3")) as models:
        while True:
            try:
                return models.get("employees", "champion")
            except ModelUnavailable:
                models.poll()


def entry(number: int, *records: object, dataset: str = "employees", alias: str = "champion") -> Entry:
    return Entry(f"{number}-0", encode(dataset, alias, records))  # type: ignore[arg-type]  # bad records are sent as well


@given(st.lists(st.integers(1, 9), max_size=30), st.integers(1, 20))
def test_chunks_keep_the_order_and_hold_one_message_or_no_more_records_than_allowed(sizes: Sequence[int], most: int) -> None:
    entries = [entry(number, *[GOOD] * size) for number, size in enumerate(sizes)]

    made = chunks(entries, most)

    assert [one for chunk in made for one in chunk] == entries
    assert all(len(chunk) == 1 or sum(map(max_records, chunk)) <= most for chunk in made)
    pairs = pairwise(made)
    assert all(sum(map(max_records, [*chunk, following[0]])) > most for chunk, following in pairs), "cut earlier than needed"


def test_messages_are_grouped_by_whom_they_ask_and_those_that_ask_nobody_are_buried() -> None:
    first, second, third = entry(1, GOOD), entry(2, GOOD, alias="svm"), entry(3, GOOD)
    stranger, empty = entry(4, GOOD, dataset="strangers"), Entry("5-0", {})

    groups, letters = by_address([first, second, third, stranger, empty], {"employees": CONTRACT})

    assert groups == {("employees", "champion"): [first, third], ("employees", "svm"): [second]}
    assert [(letter.entry, letter.error) for letter in letters] == [(stranger, "unknown_dataset"), (empty, "invalid_message")]


def test_good_records_are_scored_whatever_is_beside_them_and_each_bad_message_has_one_letter(model: LoadedModel) -> None:
    entries = [
        entry(1, {**GOOD, "Designation": 0}, {**GOOD, "Gender": "nobody"}, {**GOOD, "Designation": 5}),
        Entry("2-0", {b"dataset": b"employees", b"records": b"[{]"}),
        entry(3, "no record", {**GOOD, "Designation": 9}),
        entry(4, {**GOOD, "Designation": 3}),
    ]

    scored = score(model, CONTRACT, entries)

    block = scored.block
    assert scored.refused == 3
    assert list(zip(block.message_ids, block.rows, strict=True)) == [("1-0", 0), ("1-0", 2), ("4-0", 0)]
    assert [block.classes[code] for code in block.codes] == ["Low", "High", "Medium"]
    reasons = {letter.entry.id: letter.reason for letter in scored.letters}
    assert set(reasons) == {"1-0", "2-0", "3-0"}
    assert reasons["1-0"].startswith("row 1, 'Gender': got 'nobody'")
    assert "not JSON" in reasons["2-0"]
    assert "row 0" in reasons["3-0"]
    assert "row 1, 'Designation': got 9" in reasons["3-0"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_json_does_not_have_costs_its_record_alone(model: LoadedModel, number: str) -> None:
    names = CONTRACT.feature_columns
    nullable = next(name for name, column in names.items() if column.nullable)
    for column in ("Designation", nullable):
        good = to_json({**GOOD, "Designation": 5}).decode()
        bad = to_json({**GOOD, column: "a number"}).decode().replace('"a number"', number)

        scored = score(model, CONTRACT, [Entry("1-0", {b"dataset": b"employees", b"records": f"[{good}, {bad}, {good}]".encode()})])

        assert list(zip(scored.block.message_ids, scored.block.rows, strict=True)) == [("1-0", 0), ("1-0", 2)]
        [letter] = scored.letters
        assert (letter.error, letter.reason.count("row ")) == ("invalid_records", 1)
        assert letter.reason.startswith(f"row 1, '{column}': got {float(number)}")


def test_what_is_stored_of_a_record_are_the_features_of_the_contract_missing_ones_too(model: LoadedModel) -> None:
    dropped = next(name for name in CONTRACT.columns if name not in CONTRACT.feature_names and name != CONTRACT.target.column)
    nullable = next(name for name, column in CONTRACT.feature_columns.items() if column.nullable)
    sent = {name: value for name, value in GOOD.items() if name != nullable} | {dropped: None}

    block = score(model, CONTRACT, [entry(1, sent), entry(2, GOOD)]).block

    assert block.records == [{**GOOD, nullable: None}, GOOD]
    assert [list(record) for record in block.records] == [list(CONTRACT.feature_names)] * 2


def test_messages_of_which_no_record_is_good_make_an_empty_block(model: LoadedModel) -> None:
    scored = score(model, CONTRACT, [entry(1, "no record")])

    assert (len(scored.block), list(scored.block.lines()), len(scored.letters)) == (0, [], 1)


def test_the_letter_of_a_message_with_thousands_of_bad_records_is_short(model: LoadedModel) -> None:
    [letter] = score(model, CONTRACT, [entry(1, *[{"Gender": "x" * 1_000}] * 2_000)]).letters

    assert len(letter.reason) <= 2_000


@given(st.lists(st.dictionaries(st.text(max_size=5), st.none() | st.text(max_size=5), max_size=3), min_size=1, max_size=5))
def test_no_message_is_thought_to_hold_fewer_records_than_it_does(records: list[dict[str, object]]) -> None:
    assert max_records(entry(1, *records)) >= len(records)
