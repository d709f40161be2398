"""What the messages of the stream mean."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.errors import InvalidMessage
from hearth.streaming.client import Entry
from hearth.streaming.messages import Message, decode, encode, enqueued_at

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.text(), st.text(), st.lists(st.dictionaries(st.text(), JSON), min_size=1, max_size=4))
def test_a_message_says_what_was_encoded(dataset: str, alias: str, records: list[dict[str, object]]) -> None:
    assert decode(Entry("1-0", encode(dataset, alias, records))) == Message(dataset, alias, records)


@given(st.dictionaries(st.sampled_from([b"dataset", b"alias", b"record", b"records", b"sent"]) | st.binary(), st.binary()))
def test_any_bytes_are_a_message_or_an_invalid_one(fields: dict[bytes, bytes]) -> None:
    try:
        message = decode(Entry("1-0", fields))
    except InvalidMessage:
        return
    assert message.records


def test_a_single_record_and_the_default_alias() -> None:
    assert decode(Entry("1-0", {b"dataset": b"employees", b"record": b"{}"})) == Message("employees", "champion", [{}])


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "trimmed"),
        ({b"record": b"{}"}, "'dataset' is missing"),
        ({b"dataset": b"\xff", b"record": b"{}"}, "not UTF-8"),
        ({b"dataset": b"employees"}, "either 'records' or 'record'"),
        ({b"dataset": b"employees", b"record": b"{}", b"records": b"[]"}, "either 'records' or 'record'"),
        (
            {b"dataset": b"employees", b"record": b"{}", b"Alias": b"knn", b"x\xff": b""},
            "unknown fields: 'Alias', 'x�'; expected 'dataset'",
        ),
        ({b"dataset": b"employees", b"record": b"{}", b"alias": b"knn", b"model": b"knn"}, "either 'alias' or 'model'"),
        ({b"dataset": b"employees", b"records": b"[]"}, "at least one"),
        ({b"dataset": b"employees", b"records": b"{}"}, "list"),
        ({b"dataset": b"employees", b"record": b'{"Age": 1, "Age": 2}'}, "'record' has the key \"Age\" twice in one object"),
        ({b"dataset": b"employees", b"records": b"[{]"}, "not JSON"),
        ({b"dataset": b"employees", b"records": b"[nan]"}, "not JSON"),
        ({b"dataset": b"employees", b"record": b"[" * 100_000}, "not JSON"),
    ],
)
def test_an_unreadable_message_says_what_is_wrong(fields: dict[bytes, bytes], reason: str) -> None:
    with pytest.raises(InvalidMessage, match=reason) as caught:
        decode(Entry("1-0", fields))

    assert len(str(caught.value)) < 500


def test_the_alias_may_have_the_name_that_it_has_in_rest() -> None:
    assert decode(Entry("1-0", {b"dataset": b"employees", b"model": b"knn", b"record": b"{}"})) == Message("employees", "knn", [{}])


def test_a_field_that_is_there_twice_is_named() -> None:
    entry = Entry("1-0", {b"dataset": b"employees", b"record": b"{}"}, repeated=((b"record", b"{bad}"), (b"record", b"[]")))

    with pytest.raises(InvalidMessage, match="only once; these occur more often: 'record'"):
        decode(entry)


def test_the_time_that_a_message_came_in_is_part_of_its_id() -> None:
    assert enqueued_at("1763726400123-4") == datetime(2025, 11, 21, 12, 0, 0, 123_000, tzinfo=UTC)
    assert enqueued_at("18446744073709551615-0") is None
