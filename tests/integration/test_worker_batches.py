"""What a stream worker reads, scores and stores at once, and what it holds meanwhile."""

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hearth.predictions import PredictionStore
from hearth.predictions.drift_store import DriftStore
from hearth.streaming.consumer import PendingEntry, StreamConsumer
from hearth.streaming.messages import encode
from tests.support.models import FakeRegistry
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.support.worker_bench import Bench, record


class Watched(PredictionStore):
    """Notes what is stored at once; stores nothing before it is let go."""

    def __init__(self, url: str, *, held: bool = False) -> None:
        super().__init__(url)
        self.calls: list[list[str]] = []
        self.let_go = threading.Event()
        if not held:
            self.let_go.set()

    def put_lines(self, lines: Sequence[bytes]) -> int:
        self.calls.append([line.split(b"\t")[0].decode() for line in lines])
        assert self.let_go.wait(LIMIT_SECONDS)
        return super().put_lines(lines)


def test_the_next_batches_are_read_and_scored_while_one_is_stored_and_no_more_than_that(bench: Bench) -> None:
    ids = bench.writer.send([encode("employees", "champion", [record(number % 6)]) for number in range(50)])

    with Watched(bench.database_url, held=True) as store, bench.working(FakeRegistry(champion="3"), store, stream_batch_messages=10):
        wait_until(lambda: bench.pending() == 30)
        time.sleep(1.5)  # longer than upkeep takes to come round
        assert (bench.pending(), bench.count(), len(store.calls)) == (30, 0, 1)
        store.let_go.set()
        wait_until(bench.settled)

    assert [id_ for call in store.calls for id_ in call] == ids
    assert bench.count() == 50


def test_messages_of_many_records_are_cut_into_batches_that_hold_no_more_than_allowed(bench: Bench) -> None:
    sent = [encode("employees", "champion", [record()] * size) for size in (*[7] * 12, 60, *[7] * 12)]
    bench.writer.send(sent)

    with Watched(bench.database_url) as store, bench.working(FakeRegistry(champion="3"), store, stream_batch_records=50):
        wait_until(bench.settled)

    assert bench.count() == 2 * 12 * 7 + 60
    assert sorted(len(call) for call in store.calls)[-2:] == [49, 60]  # a message is not cut


def test_records_that_break_the_contract_are_counted_for_the_monitor(bench: Bench) -> None:
    began = datetime.now(UTC)
    bench.writer.send([encode("employees", "champion", [record(), record("bad"), record(99)]), encode("employees", "champion", [record()])])

    with PredictionStore(bench.database_url) as store, bench.working(FakeRegistry(champion="3"), store):
        wait_until(bench.settled)

    with DriftStore(bench.database_url) as drift:
        assert drift.refused("employees", began, datetime.now(UTC)) == 2
        assert drift.refused("heart", began, datetime.now(UTC)) == 0
        assert drift.refused("employees", began - timedelta(hours=2), began - timedelta(hours=1)) == 0
    assert bench.count() == 2


def test_what_an_earlier_life_left_is_finished_together_at_first_and_one_by_one_when_it_comes_a_third_time(bench: Bench) -> None:
    twice = [bench.send(record()) for _ in range(3)]
    once = [bench.send(record()) for _ in range(20)]
    with StreamConsumer(bench.valkey_url, bench.name, "workers", "one", 1_000) as reader:
        reader.join()
        reader.read(100, 1)
        reader.claim([PendingEntry(id_, 1) for id_ in twice])

    with Watched(bench.database_url) as store, bench.working(FakeRegistry(champion="3"), store):
        wait_until(bench.settled)

    assert store.calls == [once, *([id_] for id_ in twice)]
    assert bench.dead() == []


def test_what_waits_for_the_store_is_not_taken_over_by_another_worker(bench: Bench) -> None:
    ids = bench.writer.send([encode("employees", "champion", [record()])] * 40)
    idle = 6_000

    with (
        Watched(bench.database_url, held=True) as store,
        bench.working(FakeRegistry(champion="3"), store, stream_batch_messages=10, stream_claim_idle_milliseconds=idle),
    ):
        wait_until(lambda: bench.pending() == 30)
        with (
            Watched(bench.database_url) as other,
            bench.working(FakeRegistry(champion="3"), other, stream_consumer="two", stream_claim_idle_milliseconds=idle),
        ):
            time.sleep(9)
        held = bench.redis.xpending_range(bench.name, "workers", "-", "+", 100)
        store.let_go.set()
        wait_until(bench.settled)

    assert [(one["consumer"], one["times_delivered"]) for one in held] == [(b"one", 1)] * 30
    assert [id_ for call in other.calls for id_ in call] == ids[30:]
