"""The second half of a worker: predictions are committed, and only then are their messages acknowledged.

It runs in a thread of its own, so that the next batch is read and scored while PostgreSQL writes the one before.
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
from hearth.streaming.worker.scoring import Scored

_LEAVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that were scored together: their predictions, also as lines for the store, and the letters of those that are dead.

    `began` is when they were read, on the monotonic clock.
    """

    entries: Sequence[Entry]
    scored: Sequence[Scored]
    lines: Sequence[bytes]
    letters: Sequence[DeadLetter]
    began: float


@dataclass(frozen=True, slots=True)
class CommittedBatch:
    """A batch that is committed and acknowledged, how many of its predictions were not stored before, and what that took."""

    batch: Batch
    new: int
    stored_at: datetime
    store_seconds: float
    settle_seconds: float


class Committer:
    """Settles one batch after the other, in the order in which they came; one more may wait.

    `tell` is called, in the thread, for each batch that is settled.
    """

    def __init__(self, stream: StreamConsumer, store: PredictionStore, retrier: Retrier, tell: Callable[[CommittedBatch], None]) -> None:
        self._stream, self._store, self._retrier, self._tell = stream, store, retrier, tell
        self._changed = threading.Condition()
        self._batches: list[Batch] = []  # the first of them is being settled
        self._closing = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="settler", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let the thread end what it has begun; one that hangs is left behind."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(_LEAVE_SECONDS)

    @property
    def in_hand(self) -> list[str]:
        """The ids of messages that are not settled yet."""
        with self._changed:
            return [entry.id for batch in self._batches for entry in batch.entries]

    def offer(self, batch: Batch, seconds: float) -> bool:
        """Hand over a batch; False if there was no room for it in so many seconds.

        Raises:
            Stopped: the end came while a server was away.
        """
        return self._when(lambda: len(self._batches) <= 1, seconds, partial(self._batches.append, batch))

    def drained(self, seconds: float) -> bool:
        """Wait until nothing is in hand; False if that takes longer.

        Raises:
            Stopped: the end came while a server was away.
        """
        return self._when(lambda: not self._batches, seconds, lambda: None)

    def _when(self, ready: Callable[[], bool], seconds: float, then: Callable[[], None]) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._error or ready(), seconds)
            if self._error:
                raise self._error
            if not ready():
                return False
            then()
            self._changed.notify_all()
            return True

    def _run(self) -> None:
        try:
            while (batch := self._next()) is not None:
                self._tell(self._settle(batch))
                with self._changed:
                    del self._batches[0]
                    self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001 - it ends the worker, whose own thread raises it
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _next(self) -> Batch | None:
        with self._changed:
            self._changed.wait_for(lambda: self._batches or self._closing)
            return self._batches[0] if self._batches and not self._closing else None

    def _settle(self, batch: Batch) -> CommittedBatch:
        began = time.monotonic()
        new = self._retrier.call(lambda: self._store.put_lines(batch.lines))
        stored, stored_at = time.monotonic(), datetime.now(UTC)
        self._retrier.call(lambda: self._stream.settle([entry.id for entry in batch.entries], batch.letters))
        return CommittedBatch(batch, new, stored_at, stored - began, time.monotonic() - stored)
