"""What a worker reports: log lines for each batch and each minute, and metrics."""

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from hearth.logs import about
from hearth.predictions import PredictionBlock
from hearth.streaming.consumer import StreamConsumer
from hearth.streaming.group import StreamState
from hearth.streaming.retrying import Retrier
from hearth.streaming.worker.committer import CommittedBatch
from hearth.streaming.worker.metrics import WorkerMetrics
from hearth.tracing.context import in_trace

logger = logging.getLogger(__name__)

_EXAMPLES = 4
_POLL_SECONDS = 5.0
_LINE_SECONDS = 60.0


@dataclass
class _Interval:
    """Counts between two summary lines."""

    began: float
    batches: int = 0
    messages: int = 0
    records: int = 0
    dead: int = 0
    seconds: Counter[str] = field(default_factory=Counter)


class Reports:
    """Counts and logs. Shared by the thread that scores and the one that commits."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._metrics = WorkerMetrics(registry or CollectorRegistry())
        self._lock = threading.Lock()
        self._interval = _Interval(time.monotonic())
        self._next_poll = self._next_line = 0.0

    def add_scoring_time(self, score_seconds: float, write_seconds: float) -> None:
        """Add the time in which a batch was scored, and in which its lines were written."""
        self._add_seconds(score=score_seconds, write=write_seconds)

    def count_batch(self, committed: CommittedBatch) -> None:
        """Count and log a batch that is stored and acknowledged."""
        batch = committed.batch
        self._add_seconds(store=committed.store_seconds, settle=committed.acknowledge_seconds)
        self._metrics.count_batch(committed)
        with self._lock:
            self._interval.batches += 1
            self._interval.messages += len(batch.entries)
            self._interval.records += len(batch.lines)
            self._interval.dead += len(batch.letters)
        milliseconds = (time.monotonic() - batch.began) * 1000
        for group in batch.groups:
            if len(group.block):
                block = group.block
                logger.info("%s", _line(block, milliseconds), extra=about(block.dataset, alias=block.alias, version=block.version))
        for letter in batch.letters:  # its reason may hold values: `hearth predictions ID` shows it
            where = f" in {', '.join(map(repr, letter.columns))}" if letter.columns else ""
            with in_trace(letter.entry.trace or batch.span.context):
                logger.warning("message %s is dead, %s%s", letter.entry.key, letter.error, where, extra=about(message_id=letter.entry.key))

    def count_redelivered(self, messages: int) -> None:
        """Count messages that were delivered again."""
        self._metrics.count_redelivered(messages)

    def poll(self, stream: StreamConsumer, retrier: Retrier) -> None:
        """Update the state of the stream every five seconds; log a summary of each minute in which a batch was committed."""
        now = time.monotonic()
        if now < self._next_poll:
            return
        self._next_poll = now + _POLL_SECONDS
        state = retrier.call(stream.state)
        self._metrics.set_state(state)
        if now >= self._next_line:
            self._next_line = now + _LINE_SECONDS
            with self._lock:
                interval, self._interval = self._interval, _Interval(now)
            if interval.batches:
                logger.info("%s", _summary(interval, state, now))

    def watch(self, retrier: Retrier) -> None:
        """Report from now on for which servers the worker waits."""
        self._metrics.watch(retrier)

    def _add_seconds(self, **stages: float) -> None:
        with self._lock:
            self._interval.seconds.update(stages)
        self._metrics.add_seconds(stages)


def _line(block: PredictionBlock, milliseconds: float) -> str:
    highest = block.probabilities.max(axis=1)
    first = zip(block.codes[:_EXAMPLES].tolist(), highest[:_EXAMPLES].tolist(), block.message_ids[:_EXAMPLES], strict=True)
    examples = ", ".join(f"{block.classes[code]} {probability:.2f} {message_id}" for code, probability, message_id in first)
    more = ", …" if len(block) > _EXAMPLES else ""
    count = f"{len(block)} record{'s' if len(block) > 1 else ''}"
    return f"{count} of {block.dataset}@{block.alias} v{block.version} in {milliseconds:.0f} ms: {examples}{more}"


def _summary(interval: _Interval, state: StreamState, now: float) -> str:
    seconds = now - interval.began
    stages = ", ".join(f"{stage} {duration:.1f} s" for stage, duration in interval.seconds.items())
    lag = "unknown" if state.lag is None else state.lag
    return (
        f"in {seconds:.0f} s: {interval.messages} messages, {interval.records} records ({interval.records / seconds:.3g}/s), "
        f"{interval.messages / interval.batches:.0f} messages a batch, {interval.dead} dead; {stages}; "
        f"lag {lag}, pending {state.pending}, oldest {state.oldest_seconds:.1f} s, {state.dead} dead letters"
    )
