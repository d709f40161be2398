"""The second half of a worker: stores the predictions of a batch, then acknowledges its messages.

It runs in a thread of its own, so that the next batch is read and scored while PostgreSQL writes.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Self

from hearth.predictions import PredictionStore
from hearth.streaming.client import Entry
from hearth.streaming.consumer import DeadLetter, StreamConsumer
from hearth.streaming.retrying import Retrier
from hearth.streaming.worker.scoring import ScoredGroup
from hearth.tracing.context import in_trace
from hearth.tracing.spans import Span, span

_JOIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """Messages that were scored together, their predictions (also as lines for the store), and the letters of dead messages.

    `began` is the time at which they were read, on the monotonic clock; `span` ends when the batch is committed.
    """

    entries: Sequence[Entry]
    groups: Sequence[ScoredGroup]
    lines: Sequence[bytes]
    letters: Sequence[DeadLetter]
    began: float
    span: Span


@dataclass(frozen=True, slots=True)
class CommittedBatch:
    """A batch that is stored and acknowledged, the number of its predictions that were not stored before, and the times."""

    batch: ScoredBatch
    new: int
    stored_at: datetime
    store_seconds: float
    acknowledge_seconds: float


class Committer:
    """Commits one batch after the other, in their order; one more may wait.

    `on_commit` is called, in the thread, after each batch.
    """

    def __init__(
        self, stream: StreamConsumer, store: PredictionStore, retrier: Retrier, on_commit: Callable[[CommittedBatch], None]
    ) -> None:
        self._stream, self._store, self._retrier, self._on_commit = stream, store, retrier, on_commit
        self._changed = threading.Condition()
        self._batches: list[ScoredBatch] = []  # the first of them is being committed
        self._closing = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let the thread finish its batch; after two seconds, leave it behind."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(_JOIN_SECONDS)

    @property
    def message_ids(self) -> list[str]:
        """The ids of messages that are not committed yet."""
        with self._changed:
            return [entry.id for batch in self._batches for entry in batch.entries]

    def offer(self, batch: ScoredBatch, seconds: float) -> bool:
        """Hand over a batch; return False if there is no room for it within `seconds`.

        Raises:
            Stopped: the process was asked to stop while a server was unavailable.
        """
        return self._when(lambda: len(self._batches) <= 1, seconds, partial(self._batches.append, batch))

    def wait_until_empty(self, seconds: float) -> bool:
        """Wait until all batches are committed; return False if that takes longer than `seconds`.

        Raises:
            Stopped: the process was asked to stop while a server was unavailable.
        """
        return self._when(lambda: not self._batches, seconds, lambda: None)

    def _when(self, ready: Callable[[], bool], seconds: float, action: Callable[[], None]) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._error or ready(), seconds)
            if self._error:
                raise self._error
            if not ready():
                return False
            action()
            self._changed.notify_all()
            return True

    def _run(self) -> None:
        try:
            while (batch := self._next()) is not None:
                with in_trace(batch.span.context):
                    self._on_commit(self._commit(batch))
                batch.span.end()
                with self._changed:
                    del self._batches[0]
                    self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread of the worker, which ends
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _next(self) -> ScoredBatch | None:
        with self._changed:
            self._changed.wait_for(lambda: self._batches or self._closing)
            return self._batches[0] if self._batches and not self._closing else None

    def _commit(self, batch: ScoredBatch) -> CommittedBatch:
        began = time.monotonic()
        with span("store predictions", "client", {"db.system.name": "postgresql", "hearth.records": len(batch.lines)}):
            new = self._retrier.call(lambda: self._store.put_lines(batch.lines))
            if refused := _refused(batch):
                self._retrier.call(lambda: self._store.count_refused(refused))
        stored, stored_at = time.monotonic(), datetime.now(UTC)
        with span("acknowledge", "client", {"messaging.system": "redis", "messaging.operation.type": "settle"}):
            self._retrier.call(lambda: self._stream.acknowledge([entry.id for entry in batch.entries], batch.letters))
        return CommittedBatch(batch, new, stored_at, stored - began, time.monotonic() - stored)


def _refused(batch: ScoredBatch) -> dict[str, int]:
    """Return the numbers of records that break their contract, by data set."""
    counts: dict[str, int] = {}
    for group in batch.groups:
        if group.refused:
            counts[group.block.dataset] = counts.get(group.block.dataset, 0) + group.refused
    return counts
