"""The stream on a real Valkey, and what its messages mean."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from hearth.errors import InvalidMessage, StreamUnavailable
from hearth.streaming.client import DeadLetter, Entry, StreamReader, StreamWriter
from hearth.streaming.messages import Message, decode, encode, enqueued_at
from tests import servers

Readers = Callable[[str], StreamReader]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@pytest.fixture
def name() -> str:
    return f"stream-{uuid4().hex}"


@pytest.fixture
def redis(valkey_url: str) -> Iterator[Any]:
    with Redis.from_url(valkey_url) as client:
        yield client


@pytest.fixture
def writer(valkey_url: str, name: str) -> Iterator[StreamWriter]:
    with StreamWriter(valkey_url, name) as writer:
        yield writer


@pytest.fixture
def readers(valkey_url: str, name: str) -> Iterator[Readers]:
    made: list[StreamReader] = []

    def make(consumer: str) -> StreamReader:
        made.append(StreamReader(valkey_url, name, "workers", consumer, max_dead=1_000))
        made[-1].join()
        return made[-1]

    yield make
    for reader in made:
        reader.__exit__()


def send(writer: StreamWriter, count: int) -> list[str]:
    return writer.send([{b"number": str(number).encode()} for number in range(count)])


def test_a_group_that_comes_late_gets_what_was_sent_before(writer: StreamWriter, readers: Readers) -> None:
    ids = send(writer, 3)

    entries = readers("one").read(10, 1)

    assert entries == [Entry(id_, {b"number": str(number).encode()}) for number, id_ in enumerate(ids)]


def test_joining_twice_changes_nothing(writer: StreamWriter, readers: Readers) -> None:
    send(writer, 2)
    readers("one").read(1, 1)

    assert len(readers("one").read(10, 1)) == 1


def test_an_empty_stream_is_waited_for_as_long_as_asked(readers: Readers) -> None:
    started = time.monotonic()

    assert readers("one").read(10, 200) == []

    assert 0.15 < time.monotonic() - started < 2


def test_what_a_consumer_did_not_settle_is_its_own_when_it_comes_back(writer: StreamWriter, readers: Readers) -> None:
    ids = send(writer, 3)
    readers("one").read(10, 1)

    reader = readers("one")
    reader.settle([ids[0]])

    assert [entry.id for entry in reader.read_own("0", 10)] == ids[1:]
    assert reader.deliveries(Entry(ids[1], {})) == 2
    assert reader.read_own(ids[2], 10) == []
    assert readers("two").read_own("0", 10) == []


def test_one_message_at_a_time_is_taken_over_and_only_after_the_idle_time(writer: StreamWriter, readers: Readers) -> None:
    ids = send(writer, 2)
    readers("one").read(10, 1)
    two = readers("two")

    assert two.claim(60_000) == ([], 0)

    claimed, _ = two.claim(0)
    assert [entry.id for entry in claimed] == ids[:1]
    assert [two.deliveries(Entry(id_, {})) for id_ in ids] == [2, 1]


def test_messages_that_were_trimmed_before_they_were_settled_are_counted(
    writer: StreamWriter, readers: Readers, redis: Any, name: str
) -> None:
    send(writer, 2)
    readers("one").read(10, 1)
    redis.xtrim(name, maxlen=0, approximate=False)

    assert readers("one").read_own("0", 1)[0].fields == {}
    assert [readers("two").claim(0) for _ in range(3)] == [([], 1), ([], 1), ([], 0)]


def test_a_message_that_is_kept_is_not_taken_over_and_no_delivery_is_counted(writer: StreamWriter, readers: Readers) -> None:
    [id_] = send(writer, 1)
    one, two = readers("one"), readers("two")
    one.read(10, 1)
    time.sleep(0.2)

    one.keep([id_])

    assert two.claim(150) == ([], 0)
    assert two.deliveries(Entry(id_, {})) == 1


def test_a_message_that_is_given_back_goes_to_the_next_who_looks_as_if_never_delivered(writer: StreamWriter, readers: Readers) -> None:
    [id_] = send(writer, 1)
    one, two = readers("one"), readers("two")
    one.read(10, 1)

    one.give_back([id_], 60_000)

    assert [entry.id for entry in two.claim(60_000)[0]] == [id_]
    assert two.deliveries(Entry(id_, {})) == 1


def test_a_dead_message_is_buried_with_its_reason_and_settled(writer: StreamWriter, readers: Readers, redis: Any, name: str) -> None:
    [id_] = writer.send([{b"da\xff": b"\x00\xff"}])
    reader = readers("one")
    [entry] = reader.read(10, 1)

    reader.settle([id_], [DeadLetter(entry, "invalid_message", "no dataset", "2026-11-21T12:00:00+00:00")])

    assert reader.read_own("0", 10) == []
    [(_, fields)] = redis.xrange(f"{name}_dead")
    assert fields == {
        b"message_id": id_.encode(),
        b"error": b"invalid_message",
        b"reason": b"no dataset",
        b"time": b"2026-11-21T12:00:00+00:00",
        b"original.da\xff": b"\x00\xff",
    }


def test_only_what_every_group_has_settled_is_trimmed(writer: StreamWriter, readers: Readers, redis: Any, name: str) -> None:
    ids = send(writer, 4)
    reader = readers("one")
    redis.xgroup_create(name, "others", id="0")

    reader.read(3, 1)
    reader.settle([ids[0], ids[2]])
    reader.trim()
    assert writer.length() == 4  # the other group has read nothing

    redis.xgroup_destroy(name, "others")
    reader.trim()
    assert [id_.decode() for id_, _ in redis.xrange(name)] == ids[1:]  # the second is not settled

    reader.settle([ids[1]])
    reader.trim()
    assert [id_.decode() for id_, _ in redis.xrange(name)] == ids[3:]  # the fourth was not read

    assert [entry.id for entry in reader.read(10, 1)] == ids[3:]


def test_a_server_that_has_forgotten_everything_gets_the_group_again(writer: StreamWriter, readers: Readers, redis: Any, name: str) -> None:
    reader = readers("one")
    for forgetful in (
        lambda: reader.read(1, 1),
        lambda: reader.read_own("0", 1),
        lambda: reader.claim(0),
        reader.trim,
        lambda: reader.keep(["1-1"]),
    ):
        redis.delete(name)
        forgetful()
    [id_] = send(writer, 1)

    assert [entry.id for entry in reader.read(10, 1)] == [id_]


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    port = servers.free_port()

    with (
        StreamReader(f"redis://:secret-word@127.0.0.1:{port}/0", "s", "g", "c", 10) as reader,
        pytest.raises(StreamUnavailable, match=rf"127\.0\.0\.1:{port}.*refused") as caught,
    ):
        reader.read(1, 1)

    assert "secret-word" not in str(caught.value)


def test_a_key_that_is_no_stream_is_an_error_of_ours(readers: Readers, redis: Any, name: str) -> None:
    reader = readers("one")
    redis.delete(name)
    redis.set(name, "a text")

    with pytest.raises(StreamUnavailable, match="WRONGTYPE"):
        reader.read(1, 1)


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
        ({b"dataset": b"employees", b"records": b"[]"}, "at least one"),
        ({b"dataset": b"employees", b"records": b"{}"}, "list"),
        ({b"dataset": b"employees", b"records": b"[NaN]"}, "not JSON"),
        ({b"dataset": b"employees", b"record": b"[" * 100_000}, "not JSON"),
    ],
)
def test_an_unreadable_message_says_what_is_wrong(fields: dict[bytes, bytes], reason: str) -> None:
    with pytest.raises(InvalidMessage, match=reason) as caught:
        decode(Entry("1-0", fields))

    assert len(str(caught.value)) < 500


def test_the_time_that_a_message_came_in_is_part_of_its_id() -> None:
    assert enqueued_at("1763726400123-4") == datetime(2025, 11, 21, 12, 0, 0, 123_000, tzinfo=UTC)
    assert enqueued_at("18446744073709551615-0") is None
