"""The stream on a real Valkey, and what its messages mean."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from deploy.embedded import temporary_servers
from hearth.errors import StreamFull, StreamUnavailable
from hearth.streaming.client import Entry, Fields, StreamWriter
from hearth.streaming.consumer import DeadLetter, PendingEntry, StreamConsumer
from hearth.streaming.dead_letters import DeadLetters
from hearth.streaming.group import StreamState

Readers = Callable[[str], StreamConsumer]


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
    made: list[StreamConsumer] = []

    def make(consumer: str) -> StreamConsumer:
        made.append(StreamConsumer(valkey_url, name, "workers", consumer, max_dead=1_000))
        made[-1].join()
        return made[-1]

    yield make
    for reader in made:
        reader.__exit__()


TRACE = {b"traceparent": b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}  # else each message begins one


def numbered(number: int) -> Fields:
    return {b"number": str(number).encode(), **TRACE}


def send(writer: StreamWriter, count: int) -> list[str]:
    return writer.send([numbered(number) for number in range(count)])


def test_fields_that_are_there_twice_are_read_claimed_and_buried_with_both_values(
    writer: StreamWriter, readers: Readers, redis: Any, name: str, valkey_url: str
) -> None:
    id_ = redis.execute_command("XADD", name, "*", "record", "1", "dataset", "d", "record", "2", "record", "3").decode()
    [one] = send(writer, 1)
    repeated = ((b"record", b"1"), (b"record", b"2"))
    expected = Entry(id_, {b"record": b"3", b"dataset": b"d"}, repeated)
    reader = readers("one")

    assert reader.read(10, 1) == [expected, Entry(one, numbered(0))]
    assert reader.claim(reader.own_pending("0-0", 1)) == [expected]
    reader.acknowledge([id_], [DeadLetter(expected, "invalid_message", "twice", "2026-11-21T12:00:00+00:00")])

    with DeadLetters(valkey_url, name) as letters:
        [letter] = letters.list()
    assert (letter.message_id, letter.fields, letter.repeated) == (id_, expected.fields, repeated)


def test_a_group_that_comes_late_gets_what_was_sent_before(writer: StreamWriter, readers: Readers) -> None:
    ids = send(writer, 3)

    entries = readers("one").read(10, 1)

    assert entries == [Entry(id_, numbered(number)) for number, id_ in enumerate(ids)]


def test_joining_twice_changes_nothing(writer: StreamWriter, readers: Readers) -> None:
    send(writer, 2)
    readers("one").read(1, 1)

    assert len(readers("one").read(10, 1)) == 1


def test_an_empty_stream_is_waited_for_as_long_as_asked(readers: Readers) -> None:
    started = time.monotonic()

    assert readers("one").read(10, 200) == []

    assert time.monotonic() - started > 0.15


def test_what_a_consumer_did_not_settle_is_its_own_when_it_comes_back(writer: StreamWriter, readers: Readers) -> None:
    ids = send(writer, 3)
    readers("one").read(10, 1)

    reader = readers("one")
    reader.acknowledge([ids[0]])

    own = reader.own_pending("0-0", 10)
    assert own == [PendingEntry(ids[1], 1), PendingEntry(ids[2], 1)]
    assert reader.own_pending("0-0", 1) == own[:1]
    assert reader.own_pending(ids[1], 10) == own[1:]
    assert readers("two").own_pending("0-0", 10) == []
    assert reader.claim(own[:1]) == [Entry(ids[1], numbered(1))]
    assert reader.own_pending("0-0", 10) == [PendingEntry(ids[1], 2), PendingEntry(ids[2], 1)]


def test_messages_are_taken_over_only_after_the_idle_time_and_by_one_consumer_only(writer: StreamWriter, readers: Readers) -> None:
    ids = send(writer, 3)
    readers("one").read(10, 1)
    two, three = readers("two"), readers("three")

    assert two.idle_pending(60_000, 10) == []
    time.sleep(0.15)
    found = two.idle_pending(100, 10)
    assert found == three.idle_pending(100, 10) == [PendingEntry(id_, 1) for id_ in ids]

    assert [entry.id for entry in two.claim(found[:2], 100)] == ids[:2]
    assert [entry.id for entry in three.claim(found, 100)] == ids[2:]
    assert two.own_pending("0-0", 10) == [PendingEntry(id_, 2) for id_ in ids[:2]]


def test_messages_of_different_pasts_are_taken_together(writer: StreamWriter, readers: Readers) -> None:
    ids = send(writer, 3)
    reader = readers("one")
    reader.read(10, 1)
    reader.claim([PendingEntry(ids[1], 1)])

    assert [entry.id for entry in reader.claim(reader.own_pending("0-0", 10))] == ids

    assert [found.deliveries for found in reader.own_pending("0-0", 10)] == [2, 3, 2]


def test_what_waits_long_is_found_behind_any_number_that_does_not(writer: StreamWriter, readers: Readers) -> None:
    ids = send(writer, 50)
    one, two = readers("one"), readers("two")
    one.read(50, 1)
    time.sleep(1.2)
    one.renew(ids[:49])

    assert two.idle_pending(1_000, 1) == [PendingEntry(ids[49], 1)]


def test_a_message_that_was_trimmed_before_it_was_settled_comes_without_fields_and_can_be_buried_once(
    writer: StreamWriter, readers: Readers, redis: Any, name: str
) -> None:
    [id_] = send(writer, 1)
    one, two = readers("one"), readers("two")
    one.read(10, 1)
    redis.xtrim(name, maxlen=0, approximate=False)

    found = two.idle_pending(0, 10)
    assert two.claim(found) == one.claim(found) == [Entry(id_, {})]
    for reader in (one, two):
        reader.acknowledge([id_], [DeadLetter(Entry(id_, {}), "invalid_message", "trimmed", "2026-11-21T12:00:00+00:00")])

    assert redis.xlen(f"{name}_dead") == 1
    assert two.idle_pending(0, 10) == []


def test_a_message_that_is_kept_is_not_taken_over_and_no_delivery_is_counted(writer: StreamWriter, readers: Readers) -> None:
    [id_] = send(writer, 1)
    one, two = readers("one"), readers("two")
    one.read(10, 1)
    time.sleep(1.2)

    one.renew([id_])

    assert two.idle_pending(1_000, 10) == []
    assert one.own_pending("0-0", 10) == [PendingEntry(id_, 1)]


def test_a_message_that_is_given_back_goes_to_the_next_who_looks_as_if_never_delivered(writer: StreamWriter, readers: Readers) -> None:
    [id_] = send(writer, 1)
    one, two = readers("one"), readers("two")
    one.read(10, 1)

    one.release([id_], 60_000)

    found = two.idle_pending(60_000, 10)
    assert found == [PendingEntry(id_, 0)]
    assert [entry.id for entry in two.claim(found, 60_000)] == [id_]
    assert two.own_pending("0-0", 10) == [PendingEntry(id_, 1)]


def test_consumers_that_are_gone_are_forgotten_unless_they_hold_something(
    writer: StreamWriter, readers: Readers, redis: Any, name: str
) -> None:
    send(writer, 1)
    for consumer in ("holding", "gone", "here"):
        readers(consumer).read(1, 1)
    time.sleep(1.2)
    readers("here").read(1, 1)

    readers("here").remove_idle_consumers(60_000)
    assert len(redis.xinfo_consumers(name, "workers")) == 3
    readers("here").remove_idle_consumers(1_000)

    assert {consumer["name"] for consumer in redis.xinfo_consumers(name, "workers")} == {b"holding", b"here"}
    assert [found.deliveries for found in readers("holding").own_pending("0-0", 10)] == [1]


def test_the_state_of_the_stream_tells_what_waits_and_how_long(writer: StreamWriter, readers: Readers, redis: Any, name: str) -> None:
    reader = readers("one")
    assert reader.state() == StreamState(length=0, lag=0, pending=0, oldest_seconds=0.0, newest_seconds=None, dead=0)

    ids = send(writer, 3)
    time.sleep(0.05)
    entries = reader.read(2, 1)
    state = reader.state()
    assert (state.length, state.lag, state.pending, state.dead) == (3, 1, 2, 0)
    assert 0.04 < state.oldest_seconds < 60
    assert state.newest_seconds is not None
    assert 0.04 < state.newest_seconds <= state.oldest_seconds

    reader.acknowledge(ids[:2], [DeadLetter(entries[0], "invalid_message", "no dataset", "2026-11-21T12:00:00+00:00")])
    reader.acknowledge([entry.id for entry in reader.read(2, 1)])
    settled = reader.state()
    assert settled.newest_seconds is not None
    assert settled.newest_seconds > state.newest_seconds
    assert replace(settled, newest_seconds=None) == StreamState(length=3, lag=0, pending=0, oldest_seconds=0.0, newest_seconds=None, dead=1)
    reader.trim()
    assert (reader.state().length, reader.state().newest_seconds is None) == (0, False), "what was trimmed away was there"
    redis.delete(name)
    assert reader.state().length == 0


def test_a_dead_message_is_buried_with_its_reason_and_settled(writer: StreamWriter, readers: Readers, redis: Any, name: str) -> None:
    [id_] = writer.send([{b"da\xff": b"\x00\xff", **TRACE}])
    reader = readers("one")
    [entry] = reader.read(10, 1)

    reader.acknowledge([id_], [DeadLetter(entry, "invalid_message", "no dataset", "2026-11-21T12:00:00+00:00")])

    assert reader.own_pending("0-0", 10) == []
    [(_, fields)] = redis.xrange(f"{name}_dead")
    assert fields == {
        b"message_id": id_.encode(),
        b"error": b"invalid_message",
        b"reason": b"no dataset",
        b"time": b"2026-11-21T12:00:00+00:00",
        b"original.da\xff": b"\x00\xff",
        b"original.traceparent": TRACE[b"traceparent"],
    }


def test_only_what_every_group_has_settled_is_trimmed(writer: StreamWriter, readers: Readers, redis: Any, name: str) -> None:
    ids = send(writer, 4)
    reader = readers("one")
    redis.xgroup_create(name, "others", id="0")

    reader.read(3, 1)
    reader.acknowledge([ids[0], ids[2]])
    reader.trim()
    assert writer.length() == 4  # the other group has read nothing

    redis.xgroup_destroy(name, "others")
    reader.trim()
    assert [id_.decode() for id_, _ in redis.xrange(name)] == ids[1:]  # the second is not settled

    reader.acknowledge([ids[1]])
    reader.trim()
    assert [id_.decode() for id_, _ in redis.xrange(name)] == ids[3:]  # the fourth was not read

    assert [entry.id for entry in reader.read(10, 1)] == ids[3:]


KEEP = 3


@pytest.fixture
def keeping(valkey_url: str, name: str) -> Iterator[StreamConsumer]:
    with StreamConsumer(valkey_url, name, "workers", "one", max_dead=1_000, keep=KEEP) as reader:
        reader.join()
        yield reader


@pytest.fixture
def bounded(valkey_url: str, name: str) -> Iterator[StreamWriter]:
    with StreamWriter(valkey_url, name, keep=KEEP) as writer:
        yield writer


def settle(reader: StreamConsumer, count: int) -> None:
    reader.acknowledge([entry.id for entry in reader.read(count, 1)])


def held(redis: Any, name: str) -> list[str]:
    return [id_.decode() for id_, _ in redis.xrange(name)]


def test_the_last_settled_messages_stay_and_do_not_count(bounded: StreamWriter, keeping: StreamConsumer, redis: Any, name: str) -> None:
    ids = send(bounded, 10)
    assert (bounded.length(), keeping.state().length) == (10, 10)

    settle(keeping, 6)
    keeping.trim()

    assert held(redis, name) == ids[3:]
    state = keeping.state()
    assert (bounded.length(), state.length, state.lag, state.pending) == (4, 4, 4, 0)
    settle(keeping, 10)
    keeping.trim()
    keeping.trim()
    assert held(redis, name) == ids[-KEEP:]
    state = keeping.state()
    assert (bounded.length(), state.length, state.lag, state.oldest_seconds) == (0, 0, 0, 0.0)
    assert state.newest_seconds is not None


def test_settled_messages_that_stay_take_no_room(bounded: StreamWriter, keeping: StreamConsumer, redis: Any, name: str) -> None:
    for _ in range(3):
        ids = bounded.send_within(4, [{b"number": b"1"}] * 4)
        with pytest.raises(StreamFull, match="holds 4 messages"):
            bounded.send_within(4, [{b"number": b"1"}])
        settle(keeping, 4)
        keeping.trim()
        assert held(redis, name) == ids[-KEEP:]


def test_a_busy_stream_is_trimmed_too_and_never_below_what_is_kept(
    bounded: StreamWriter, keeping: StreamConsumer, redis: Any, name: str
) -> None:
    ids = send(bounded, 2)
    batches = [keeping.read(2, 1)]
    for _ in range(20):  # one batch is read before the one before is settled, so something is always pending
        ids += send(bounded, 2)
        batches.append(keeping.read(2, 1))
        keeping.acknowledge([entry.id for entry in batches.pop(0)])
        keeping.trim()
        settled = ids[:-2]
        assert held(redis, name)[-2 - min(KEEP, len(settled)) :] == ids[-2 - min(KEEP, len(settled)) :]
        assert bounded.length() <= 4
        assert len(held(redis, name)) <= 2 + KEEP + 3

    assert keeping.state().pending == 2


def test_what_waits_long_stays_whatever_is_settled_behind_it_and_all_of_that_counts(
    bounded: StreamWriter, keeping: StreamConsumer, redis: Any, name: str
) -> None:
    ids = send(bounded, 1)
    [waiting] = keeping.read(1, 1)
    time.sleep(0.05)
    for _ in range(5):
        ids += send(bounded, 4)
        settle(keeping, 4)
        keeping.trim()

    assert held(redis, name) == ids
    assert bounded.length() == len(ids) - KEEP, "memory has a bound, although one message alone is not settled"
    assert keeping.state().oldest_seconds >= 0.05
    keeping.acknowledge([waiting.id])
    keeping.trim()
    assert held(redis, name) == ids[-KEEP:]


def test_nothing_is_kept_that_another_group_has_not_settled_and_everything_that_it_has_not(
    bounded: StreamWriter, keeping: StreamConsumer, redis: Any, name: str
) -> None:
    ids = send(bounded, 8)
    redis.xgroup_create(name, "others", id="0")
    settle(keeping, 8)
    keeping.trim()

    assert held(redis, name) == ids
    assert (bounded.length(), keeping.state().length, keeping.state().oldest_seconds) == (8, 8, 0.0)
    redis.xgroup_destroy(name, "others")
    keeping.trim()
    assert held(redis, name) == ids[-KEEP:]


def test_where_the_server_cannot_tell_the_lag_every_message_counts_and_no_settled_one_stays(
    bounded: StreamWriter, keeping: StreamConsumer, redis: Any, name: str
) -> None:
    ids = send(bounded, 9)
    settle(keeping, 5)
    redis.xdel(name, ids[6])
    assert keeping.state().lag is None
    assert bounded.length() == 8

    keeping.trim()

    assert held(redis, name) == [ids[5], *ids[7:]]
    assert bounded.length() == 3


def test_a_consumer_that_starts_again_keeps_no_more_than_before(bounded: StreamWriter, redis: Any, name: str, valkey_url: str) -> None:
    for _ in range(5):
        with StreamConsumer(valkey_url, name, "workers", "one", max_dead=1_000, keep=KEEP) as reader:
            reader.join()
            ids = send(bounded, 2)
            settle(reader, 2)
            reader.trim()

    assert held(redis, name)[-2:] == ids
    assert len(held(redis, name)) == KEEP


def test_a_server_that_has_forgotten_everything_gets_the_group_again(writer: StreamWriter, readers: Readers, redis: Any, name: str) -> None:
    reader = readers("one")
    for forgetful in (
        lambda: reader.read(1, 1),
        lambda: reader.own_pending("0-0", 1),
        lambda: reader.idle_pending(0, 1),
        lambda: reader.claim([PendingEntry("1-1", 1)]),
        reader.state,
        reader.trim,
        lambda: reader.renew(["1-1"]),
        lambda: reader.remove_idle_consumers(1),
    ):
        redis.delete(name)
        forgetful()
    [id_] = send(writer, 1)

    assert [entry.id for entry in reader.read(10, 1)] == [id_]


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    port = temporary_servers.free_port()

    with (
        StreamConsumer(f"redis://:secret-word@127.0.0.1:{port}/0", "s", "g", "c", 10) as reader,
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
