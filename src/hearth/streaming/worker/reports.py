"""What a worker tells of itself: a line of the log for each batch and for each minute, and metrics (docs/metrics.md)."""

import logging
import threading
import time
from collections import Counter as Counts
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hearth.errors import PredictionsUnavailable, StreamUnavailable
from hearth.predictions import PredictionBlock
from hearth.streaming.consumer import StreamConsumer, StreamState
from hearth.streaming.messages import enqueued_at
from hearth.streaming.retrying import Retrier
from hearth.streaming.worker.committer import CommittedBatch

logger = logging.getLogger(__name__)

_SHOWN = 4
_LOOK_SECONDS = 5.0
_LINE_SECONDS = 60.0
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
_AGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_SERVERS = {"stream": StreamUnavailable, "predictions": PredictionsUnavailable}


@dataclass
class _Minute:
    """What is counted from one line to the next."""

    began: float
    batches: int = 0
    messages: int = 0
    records: int = 0
    dead: int = 0
    seconds: Counts[str] = field(default_factory=Counts)


class Reports:
    """Counts, and writes lines. The thread that scores and the one that settles share it."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._metrics = _Metrics(registry or CollectorRegistry())
        self._lock = threading.Lock()
        self._minute = _Minute(time.monotonic())
        self._next_look = self._next_line = 0.0

    def scored(self, score_seconds: float, write_seconds: float) -> None:
        """Note what scoring a batch took, and writing its lines."""
        self._took(score=score_seconds, write=write_seconds)

    def settled(self, settled: CommittedBatch) -> None:
        """Note a batch that is stored and acknowledged."""
        batch = settled.batch
        self._took(store=settled.store_seconds, settle=settled.settle_seconds)
        self._metrics.count(settled)
        with self._lock:
            self._minute.batches += 1
            self._minute.messages += len(batch.entries)
            self._minute.records += len(batch.lines)
            self._minute.dead += len(batch.letters)
        milliseconds = (time.monotonic() - batch.began) * 1000
        for one in batch.scored:
            if len(one.block):
                logger.info("%s", _line(one.block, milliseconds))
        for letter in batch.letters:
            logger.warning("message %s is dead, %s: %s", letter.entry.key, letter.error, letter.reason)

    def came_again(self, messages: int) -> None:
        """Note that so many messages were delivered that had been before."""
        self._metrics.came_again(messages)

    def look(self, stream: StreamConsumer, retrier: Retrier) -> None:
        """Every few seconds, note how the stream is; each minute in which something happened, write a line."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        state = retrier.call(stream.state)
        self._metrics.note(state)
        if now >= self._next_line:
            self._next_line = now + _LINE_SECONDS
            with self._lock:
                minute, self._minute = self._minute, _Minute(now)
            if minute.batches:
                logger.info("%s", _summary(minute, state, now))

    def watch(self, retrier: Retrier) -> None:
        """Tell from now on which servers the worker waits for."""
        self._metrics.watch(retrier)

    def _took(self, **seconds: float) -> None:
        with self._lock:
            self._minute.seconds.update(seconds)
        self._metrics.took(seconds)


class _Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        named = ["dataset", "alias", "version"]
        self._records = Counter("hearth_records_scored", "Records that were answered.", [*named, "source"], registry=registry)
        self._stored = Counter("hearth_predictions_stored", "Predictions that the store has.", ["source", "role"], registry=registry)
        self._answers = Counter("hearth_stream_answers", "Records by what was said of them.", [*named, "label"], registry=registry)
        self._messages = Counter("hearth_stream_messages", "Messages that were settled.", registry=registry)
        self._dead = Counter("hearth_stream_dead_letters", "Messages that were buried, all or part of them.", ["error"], registry=registry)
        self._again = Counter("hearth_stream_redelivered", "Messages that were delivered again.", registry=registry)
        self._doubles = Counter("hearth_stream_stored_already", "Predictions that the store had already.", registry=registry)
        self._seconds = Counter("hearth_stream_stage_seconds", "Seconds that a stage took.", ["stage"], registry=registry)
        self._sizes = {
            unit: Histogram(f"hearth_stream_batch_{unit}", f"The {unit} of a batch.", registry=registry, buckets=_SIZES)
            for unit in ("messages", "records")
        }
        self._age = Histogram(
            "hearth_stream_commit_seconds",
            "From the coming in of a batch's oldest message to the commit of its predictions.",
            registry=registry,
            buckets=_AGES,
        )
        self._length = Gauge("hearth_stream_length", "Messages in the stream.", registry=registry)
        self._lag = Gauge("hearth_stream_lag", "Messages that no worker has read; NaN: the server cannot tell.", registry=registry)
        self._pending = Gauge("hearth_stream_pending", "Messages that were read and are not settled.", registry=registry)
        self._oldest = Gauge("hearth_stream_oldest_seconds", "The age of the oldest message that is not settled.", registry=registry)
        self._letters = Gauge("hearth_stream_dead_length", "Letters in the dead-letter stream.", registry=registry)
        self._waits = Gauge(
            "hearth_stream_waits", "1 while the worker waits for a server that is away, else 0.", ["server"], registry=registry
        )

    def took(self, seconds: dict[str, float]) -> None:
        for stage, taken in seconds.items():
            self._seconds.labels(stage).inc(taken)

    def count(self, settled: CommittedBatch) -> None:
        batch = settled.batch
        for one in batch.scored:
            block = one.block
            names = block.dataset, block.alias, block.version
            self._records.labels(*names, block.source).inc(len(block))
            for label, count in zip(block.classes, np.bincount(block.codes, minlength=len(block.classes)).tolist(), strict=True):
                self._answers.labels(*names, label).inc(count)
        self._stored.labels("stream", "answer").inc(settled.new)
        self._doubles.inc(len(batch.lines) - settled.new)
        self._messages.inc(len(batch.entries))
        for letter in batch.letters:
            self._dead.labels(letter.error).inc()
        self._sizes["messages"].observe(len(batch.entries))
        self._sizes["records"].observe(len(batch.lines))
        came_in = min((at for entry in batch.entries if (at := enqueued_at(entry.id))), default=None)
        if came_in:
            self._age.observe((settled.stored_at - came_in).total_seconds())

    def came_again(self, messages: int) -> None:
        self._again.inc(messages)

    def note(self, state: StreamState) -> None:
        self._length.set(state.length)
        self._lag.set(np.nan if state.lag is None else state.lag)
        self._pending.set(state.pending)
        self._oldest.set(state.oldest_seconds)
        self._letters.set(state.dead)

    def watch(self, retrier: Retrier) -> None:
        for server, problem in _SERVERS.items():
            self._waits.labels(server).set_function(partial(retrier.waits_for, problem))


def _line(block: PredictionBlock, milliseconds: float) -> str:
    chances = block.probabilities.max(axis=1)
    said = zip(block.codes[:_SHOWN].tolist(), chances[:_SHOWN].tolist(), block.message_ids[:_SHOWN], strict=True)
    shown = ", ".join(f"{block.classes[code]} {chance:.2f} {message_id}" for code, chance, message_id in said)
    more = ", …" if len(block) > _SHOWN else ""
    count = f"{len(block)} record{'s' if len(block) > 1 else ''}"
    return f"{count} of {block.dataset}@{block.alias} v{block.version} in {milliseconds:.0f} ms: {shown}{more}"


def _summary(minute: _Minute, state: StreamState, now: float) -> str:
    seconds = now - minute.began
    stages = ", ".join(f"{stage} {taken:.1f} s" for stage, taken in minute.seconds.items())
    lag = "unknown" if state.lag is None else state.lag
    return (
        f"in {seconds:.0f} s: {minute.messages} messages, {minute.records} records ({minute.records / seconds:.3g}/s), "
        f"{minute.messages / minute.batches:.0f} messages a batch, {minute.dead} dead; {stages}; "
        f"lag {lag}, pending {state.pending}, oldest {state.oldest_seconds:.1f} s, {state.dead} dead letters"
    )
