"""Messages with many bytes: a worker reads about as many at once as its limit, and what is too large becomes a dead letter unread."""

from typing import Any

import pytest

from hearth.streaming.client import Entry
from hearth.streaming.consumer import ByteLimits, StreamConsumer
from hearth.streaming.messages import encode
from hearth.streaming.worker import worker as worker_module
from tests.support.models import FakeRegistry
from tests.support.waiting import wait_until
from tests.support.worker_bench import Bench, record

BATCH, MESSAGE = 200_000, 50_000
PADDING = " " * 40_000


def padded(bench: Bench, padding: str = PADDING) -> str:
    """Send a good record in a message with many bytes."""
    fields = dict(encode("employees", "champion", [record(4)]))
    fields[b"records"] += padding.encode()
    return bench.writer.send([fields])[0]


def reader(bench: Bench) -> StreamConsumer:
    stream = StreamConsumer(bench.valkey_url, bench.name, "workers", "one", 1_000, 0, ByteLimits(BATCH, MESSAGE))
    stream.join()
    return stream


def size(entries: list[Entry]) -> int:
    return sum(entry.size for entry in entries)


def test_a_read_has_about_as_many_bytes_as_the_limit_and_nothing_is_left_out(bench: Bench) -> None:
    sent = [padded(bench) for _ in range(30)]
    with reader(bench) as stream:
        batches = [stream.read(500, 10) for _ in range(12)]
    assert [entry.id for batch in batches for entry in batch] == sent
    assert max(map(size, batches)) <= BATCH + 4 * MESSAGE


def test_small_messages_of_a_long_stream_are_read_together(bench: Bench) -> None:
    sent = [bench.send(record(4)) for _ in range(1_000)]
    with reader(bench) as stream:
        batches = [stream.read(100, 10) for _ in range(10)]
    assert [len(batch) for batch in batches] == [100] * 10
    assert [entry.id for batch in batches for entry in batch] == sent


def test_a_message_that_is_too_large_stays_on_the_server(bench: Bench) -> None:
    padded(bench, " " * 1_000_000)
    with reader(bench) as stream:
        [read] = stream.read(500, 10)
        [pending] = stream.own_pending("0-0", 10)
        [claimed] = stream.claim([pending])
    assert read == claimed
    assert read.fields == {}
    assert read.too_large > 1_000_000


def test_messages_that_were_read_before_are_claimed_in_parts(bench: Bench) -> None:
    for _ in range(30):
        padded(bench)
    with reader(bench) as stream:
        while stream.read(500, 10):
            pass
        pending = stream.own_pending("0-0", 500)
        batches = stream.batches(pending)
        assert [message for batch in batches for message in batch] == pending
        assert max(size(stream.claim(batch)) for batch in batches) <= BATCH


def test_large_messages_do_not_loop_a_worker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those within the limit are scored, those above it are dead letters, and what follows is scored too."""
    largest: list[int] = []
    original: Any = worker_module.Worker._process

    def process(self: Any, entries: list[Entry]) -> None:
        largest.append(size(entries))
        original(self, entries)

    monkeypatch.setattr(worker_module.Worker, "_process", process)
    good = [padded(bench) for _ in range(14)]
    bad = [padded(bench, " " * 1_000_000) for _ in range(14)]
    good.append(bench.send(record(0)))
    with bench.working(FakeRegistry(champion="3"), stream_batch_bytes=BATCH, stream_max_message_bytes=MESSAGE):
        wait_until(lambda: bench.count() == 15 and len(bench.dead()) == 14)
    assert sorted(found.message_id for found in bench.stored()) == sorted(good)
    letters = bench.dead()
    assert "HEARTH_STREAM_MAX_MESSAGE_BYTES" in str(letters[0])
    assert len(str(letters)) < 14 * 2_000
    assert len(bad) == len(letters)
    assert max(largest) <= BATCH + 4 * MESSAGE
