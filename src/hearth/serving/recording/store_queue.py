"""Hands answers, many at a time, to the process that stores them.

It tries again while the store is away, so a short outage costs nothing. It stores so many records a second and no more: the store's
processors, which may be ours, have other work. What comes in when the queue is full is counted as not stored.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hearth.serving.recording.answer import Answer, batch_of, groups
from hearth.serving.recording.messages import Batch, Died, Feature, Outcome, Refused, Role, Source, Stored

_LOGGER = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.25  # what comes in meanwhile is stored together: small batches cost several times as much a record
_BATCH_RECORDS = 2_000
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.25, 5.0
_MOST_DEATHS = 3
_QUIET_SECONDS = 5.0  # without a loss for so long, the losses are over

QUEUE_FULL, STORE_AWAY, REFUSED, WRITER_FAILED, DUPLICATE, SHUTDOWN = (
    "queue_full",
    "store_away",
    "refused",
    "writer_failed",
    "duplicate",
    "shutdown",
)


class Writer(Protocol):
    """What stores a batch."""

    def put(self, batch: Batch, give_up: Callable[[], bool]) -> Outcome: ...

    def end(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class StoringCounts:
    """Records since the start, by source and role, and by reason where they were not stored; and what waits now."""

    stored: Mapping[tuple[Source, Role], int]
    not_stored: Mapping[tuple[str, Source, Role], int]
    waiting: int
    problem: str


class Storing:
    """A bounded queue and the thread that empties it."""

    def __init__(self, writer: Writer, features: Mapping[str, tuple[Feature, ...]], queue_records: int, per_second: int) -> None:
        self._writer, self._features, self._queue_records, self._per_second = writer, features, queue_records, per_second
        self._queue: deque[Answer] = deque()
        self._waiting = 0
        self._lock = threading.Lock()
        self._stored: Counter[tuple[Source, Role]] = Counter()
        self._not_stored: Counter[tuple[str, Source, Role]] = Counter()
        self._problem, self._problem_since = "", 0.0
        self._losses = _Losses(queue_records)
        self._stop = threading.Event()
        self._deadline = 0.0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(self, answer: Answer) -> None:
        """Note an answer; never waits."""
        size = answer.size
        with self._lock:
            if self._stop.is_set():
                self._not_stored[SHUTDOWN, answer.source, answer.role] += size
            elif self._waiting and self._waiting + size > self._queue_records:
                self._not_stored[STORE_AWAY if self._problem else QUEUE_FULL, answer.source, answer.role] += size
            elif size:
                self._queue.append(answer)
                self._waiting += size

    def leave_out(self, reason: str, size: int, source: Source, role: Role) -> None:
        """Count what is not to be stored."""
        with self._lock:
            self._not_stored[reason, source, role] += size

    def counts(self) -> StoringCounts:
        with self._lock:
            return StoringCounts(dict(self._stored), dict(self._not_stored), self._waiting, self._problem)

    def close(self, seconds: float) -> None:
        """Store what waits, for so many seconds at most; what is left then is counted as not stored."""
        with self._lock:
            self._deadline = time.monotonic() + seconds
            self._stop.set()
        self._thread.join(seconds + _PAUSE_SECONDS)
        if self._thread.is_alive():  # the process is stuck
            self._writer.end()
            self._thread.join()
        self._writer.close()

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE_SECONDS):
            self._empty()
            self._losses.look(self._lost_for_want_of_room())
        self._empty()
        left = self.counts().not_stored
        lost = sum(count for (reason, _, _), count in left.items() if reason == SHUTDOWN)
        if lost:
            _LOGGER.error("%d predictions were not stored before the end", lost)

    def _empty(self) -> None:
        """Store what waits; what has come in meanwhile waits for more of its kind, unless it fills a batch or the end is near."""
        while answers := self._take():
            began = time.monotonic()
            for group in groups(answers):
                self._store(group)
            self._stop.wait(began + sum(answer.size for answer in answers) / self._per_second - time.monotonic())
            if self._waiting < _BATCH_RECORDS and not self._stop.is_set():
                return

    def _take(self) -> list[Answer]:
        taken: list[Answer] = []
        size = 0
        with self._lock:
            while self._queue and size < _BATCH_RECORDS:
                taken.append(self._queue.popleft())
                size += taken[-1].size
        return taken

    def _store(self, answers: Sequence[Answer]) -> None:
        """Store answers of one version, or count them as not stored; returns when one of them is done."""
        batch = batch_of(answers, self._features)
        wait, tries, deaths = _FIRST_WAIT_SECONDS, 0, 0
        while not self._too_late():
            outcome = self._writer.put(batch, self._too_late)
            tries += 1
            deaths += isinstance(outcome, Died)
            if isinstance(outcome, Stored):
                # at a second try, what is there already came with the first
                self._settle(batch, outcome.new if tries == 1 else len(batch.rows), DUPLICATE)
                self._set_problem("")
                return
            if isinstance(outcome, Refused):
                self._refused(answers, batch, outcome)
                return
            self._set_problem(outcome.reason)
            if deaths == _MOST_DEATHS:
                self._settle(batch, 0, WRITER_FAILED)
                return
            self._wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
            self._losses.look(self._lost_for_want_of_room())
        self._settle(batch, 0, SHUTDOWN)

    def _refused(self, answers: Sequence[Answer], batch: Batch, outcome: Refused) -> None:
        """Find the one that the store will not take: it costs none beside it."""
        if len(answers) > 1:
            middle = len(answers) // 2
            self._store(answers[:middle])
            self._store(answers[middle:])
            return
        _LOGGER.error("the predictions of request %s cannot be stored: %s", batch.ids[0], outcome.reason)
        self._settle(batch, 0, REFUSED)
        self._set_problem("")

    def _settle(self, batch: Batch, stored: int, otherwise: str) -> None:
        size = len(batch.rows)
        with self._lock:
            self._waiting -= size
            if stored:
                self._stored[batch.source, batch.role] += stored
            if stored < size:
                self._not_stored[otherwise, batch.source, batch.role] += size - stored

    def _set_problem(self, problem: str) -> None:
        """Say it once when something begins to be wrong, and once when it is well again."""
        before = self._problem
        with self._lock:
            self._problem = problem
        if problem and not before:
            self._problem_since = time.monotonic()
            _LOGGER.warning("predictions wait to be stored, %d records at most: %s", self._queue_records, problem)
        elif before and not problem:
            _LOGGER.info("predictions are stored again after %.1f s", time.monotonic() - self._problem_since)

    def _lost_for_want_of_room(self) -> int:
        with self._lock:
            return sum(count for (reason, _, _), count in self._not_stored.items() if reason in {QUEUE_FULL, STORE_AWAY})

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            time.sleep(max(0.0, min(seconds, self._deadline - time.monotonic())))

    def _too_late(self) -> bool:
        return self._stop.is_set() and time.monotonic() > self._deadline


class _Losses:
    """Says once that predictions are lost for want of room, and once how many they were."""

    def __init__(self, queue_records: int) -> None:
        self._queue_records = queue_records
        self._before = self._seen = 0
        self._last = 0.0

    def look(self, lost: int) -> None:
        now = time.monotonic()
        if lost > self._seen:
            if self._before == self._seen:
                _LOGGER.warning("predictions are not stored: %d records wait already", self._queue_records)
            self._seen, self._last = lost, now
        elif self._before < self._seen and now - self._last > _QUIET_SECONDS:
            _LOGGER.warning("there is room again: %d predictions were not stored", self._seen - self._before)
            self._before = self._seen
