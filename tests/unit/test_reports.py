"""What a worker tells of itself."""

import logging
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from hearth.errors import PredictionsUnavailable, StreamUnavailable
from hearth.predictions import PredictionBlock
from hearth.streaming.client import Entry
from hearth.streaming.consumer import DeadLetter
from hearth.streaming.group import StreamState
from hearth.streaming.retrying import Retrier
from hearth.streaming.worker.committer import CommittedBatch, ScoredBatch
from hearth.streaming.worker.reports import Reports
from hearth.streaming.worker.scoring import ScoredGroup
from hearth.tracing.spans import Span
from hearth.tracing.traceparent import new_trace

CAME_IN = datetime(2026, 11, 21, 12, tzinfo=UTC)
FIRST = f"{int(CAME_IN.timestamp() * 1000)}"


def settled(records: int = 6, letters: int = 1, new: int | None = None) -> CommittedBatch:
    entries = [Entry(f"{FIRST}-{number}", {b"dataset": b"employees"}) for number in range(records + letters)]
    block = PredictionBlock(
        dataset="employees",
        alias="champion",
        version="3",
        family="knn",
        classes=("Low", "High"),
        scored_at=CAME_IN,
        message_ids=[entry.id for entry in entries[:records]],
        rows=[0] * records,
        enqueued_at=[CAME_IN] * records,
        records=[{}] * records,
        codes=np.arange(records) % 2,
        probabilities=np.tile([0.25, 0.75], (records, 1)),
    )
    dead = [DeadLetter(entry, "invalid_records", "row 0: got 261", "now", columns=("Age",)) for entry in entries[records:]]
    batch = ScoredBatch(entries, [ScoredGroup(block, dead)], list(block.lines()), dead, began=0.0, span=Span(new_trace()))
    stored = records if new is None else new
    return CommittedBatch(batch, stored, CAME_IN + timedelta(seconds=0.2), store_seconds=0.5, acknowledge_seconds=0.25)


class Stream:
    def __init__(self, **changes: float | None) -> None:
        ages = {"oldest_seconds": 1.5, "newest_seconds": 0.5}
        values: dict[str, float | None] = {"length": 9, "lag": 5, "pending": 4, "dead": 2, **ages, **changes}
        self._state = StreamState(**values)  # type: ignore[arg-type]  # as given

    def state(self) -> StreamState:
        return self._state


def test_every_figure_is_a_metric() -> None:
    registry = CollectorRegistry()
    reports = Reports(registry)

    reports.add_scoring_time(2.0, 1.0)
    reports.count_batch(settled(records=6, letters=1, new=4))
    reports.count_redelivered(3)
    reports.poll(Stream(), Retrier(threading.Event()))  # type: ignore[arg-type]  # has what is asked for

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"hearth_{name}", labels)

    who = {"dataset": "employees", "alias": "champion", "version": "3"}
    assert value("records_scored_total", **who, source="stream") == 6
    assert value("predictions_stored_total", source="stream", role="answer") == 4
    assert value("stream_stored_already_total") == 2
    assert (value("stream_answers_total", **who, label="Low"), value("stream_answers_total", **who, label="High")) == (3, 3)
    assert value("stream_messages_total") == 7
    assert value("stream_dead_letters_total", error="invalid_records") == 1
    assert value("stream_redelivered_total") == 3
    assert (value("stream_batch_messages_sum"), value("stream_batch_records_sum")) == (7, 6)
    seconds = {stage: value("stream_stage_seconds_total", stage=stage) for stage in ("score", "write", "store", "settle")}
    assert seconds == {"score": 2.0, "write": 1.0, "store": 0.5, "settle": 0.25}
    assert value("stream_commit_seconds_sum") == pytest.approx(0.2)
    state = [value(f"stream_{name}") for name in ("length", "lag", "pending", "oldest_seconds", "dead_length")]
    assert state == [9, 5, 4, 1.5, 2]


def test_a_lag_that_the_server_does_not_know_is_no_number() -> None:
    registry = CollectorRegistry()

    Reports(registry).poll(Stream(lag=None), Retrier(threading.Event()))  # type: ignore[arg-type]

    assert b"hearth_stream_lag NaN" in generate_latest(registry)


def test_which_servers_are_waited_for_is_a_metric_and_one_line_at_each_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    registry = CollectorRegistry()
    retrier = Retrier(threading.Event())
    Reports(registry).watch(retrier)
    seen: list[tuple[float | None, float | None]] = []

    def waits(server: str) -> float | None:
        return registry.get_sample_value("hearth_stream_waits", {"server": server})

    def action() -> None:
        seen.append((waits("stream"), waits("predictions")))
        if len(seen) == 1:
            raise StreamUnavailable("Valkey is away.")
        if len(seen) == 2:
            raise PredictionsUnavailable("PostgreSQL is away.")

    retrier.call(action)

    assert seen == [(0, 0), (1, 0), (1, 1)]
    assert (waits("stream"), waits("predictions")) == (0, 0)
    assert [line.split(" after")[0] for line in caplog.messages] == [
        "waiting: Valkey is away.",
        "waiting: PostgreSQL is away.",
        *["going on"] * 2,
    ]


def test_threads_that_wait_for_the_same_server_say_it_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    retrier, both, back = Retrier(threading.Event()), threading.Barrier(2), threading.Event()
    tried = threading.local()

    def action() -> None:
        if not getattr(tried, "before", False):
            tried.before = True
            both.wait(30)
            raise StreamUnavailable("Valkey is away.")
        assert back.wait(30)

    threads = [threading.Thread(target=retrier.call, args=[action]) for _ in range(2)]
    for thread in threads:
        thread.start()
    back.set()
    for thread in threads:
        thread.join()

    assert [line.split(" after")[0] for line in caplog.messages] == ["waiting: Valkey is away.", "going on"]


def test_a_batch_is_one_line_for_each_model_and_one_for_each_dead_letter(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    Reports().count_batch(settled(records=6, letters=1))

    line, dead = caplog.messages
    assert line.startswith("6 records of employees@champion v3 in ")
    assert line.endswith(f"ms: Low 0.75 {FIRST}-0, High 0.75 {FIRST}-1, Low 0.75 {FIRST}-2, High 0.75 {FIRST}-3, …")
    assert dead == f"message {FIRST}-6 is dead, invalid_records in 'Age'"


def test_a_minute_with_traffic_is_one_line_and_one_without_is_none(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    now = [1_000.0]
    monkeypatch.setattr("hearth.streaming.worker.reports.time", SimpleNamespace(monotonic=lambda: now[0]))
    reports, retrier = Reports(), Retrier(threading.Event())

    def minutes(count: int) -> list[str]:
        caplog.clear()
        for _ in range(12 * count):
            reports.poll(Stream(), retrier)  # type: ignore[arg-type]
            now[0] += 5
        return [line for line in caplog.messages if line.startswith("in ")]

    assert minutes(2) == []
    reports.add_scoring_time(2.0, 1.0)
    reports.count_batch(settled(records=6, letters=1))
    [line] = minutes(3)
    assert line == (
        "in 60 s: 7 messages, 6 records (0.1/s), 7 messages a batch, 1 dead; score 2.0 s, write 1.0 s, store 0.5 s, settle 0.2 s; "
        "lag 5, pending 4, oldest 1.5 s, 2 dead letters"
    )
