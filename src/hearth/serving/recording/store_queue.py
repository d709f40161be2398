"""The queue of answers to store, and the thread that hands them in batches to the writer process.

It retries while the store is unavailable, so a short outage loses nothing. The rate of records is limited, because the store may share
its processors with the service. Answers that find the queue full are counted as not stored.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hearth.logs import about
from hearth.serving.recording.answer import Answer, build_batch, group_answers
from hearth.serving.recording.messages import AnswerBatch, Feature, Refused, Role, Source, Stored, WriterEnded, WriteResult
from hearth.tracing.context import in_trace
from hearth.tracing.spans import TRACER, Attributes, begin_batch

_LOGGER = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.25  # answers of this time are stored together: a record in a small batch costs several times as much
_BATCH_RECORDS = 2_000
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 5.0
_MAX_CRASHES = 3  # of the writer process with the same batch
_QUIET_SECONDS = 5.0  # without a loss, after which losses are over

QUEUE_FULL, STORE_AWAY, REFUSED, WRITER_FAILED, DUPLICATE, SHUTDOWN = (
    "queue_full",
    "store_away",
    "refused",
    "writer_failed",
    "duplicate",
    "shutdown",
)
LOSSES = (QUEUE_FULL, STORE_AWAY, REFUSED, WRITER_FAILED, DUPLICATE, SHUTDOWN)
"""Why predictions that were to be stored are not."""


class Writer(Protocol):
    """Stores batches."""

    def put(self, batch: AnswerBatch, give_up: Callable[[], bool]) -> WriteResult: ...

    def end(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class StoreCounts:
    """Records since the start: stored by source and role, not stored by reason, source and role; and the records that wait now.

    `problem` tells why nothing is stored at present; else it is empty. `unusual` counts stored answers by data set, alias, version and
    source: all whose version knows what is unusual, and those that are.
    """

    stored: Mapping[tuple[Source, Role], int]
    not_stored: Mapping[tuple[str, Source, Role], int]
    waiting: int
    problem: str
    unusual: Mapping[tuple[str, str, str, Source], tuple[int, int]] = field(default_factory=dict)


class StoreQueue:
    """A bounded queue and the thread that empties it."""

    def __init__(self, writer: Writer, features: Mapping[str, tuple[Feature, ...]], queue_records: int, per_second: int) -> None:
        self._writer, self._features, self._queue_records, self._per_second = writer, features, queue_records, per_second
        self._queue: deque[Answer] = deque()
        self._waiting = 0
        self._lock = threading.Lock()
        self._stored: Counter[tuple[Source, Role]] = Counter()
        self._not_stored: Counter[tuple[str, Source, Role]] = Counter()
        self._unusual: dict[tuple[str, str, str, Source], tuple[int, int]] = {}
        self._problem, self._problem_since = "", 0.0
        self._losses = _Losses(queue_records)
        self._stop = threading.Event()
        self._deadline = 0.0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(self, answer: Answer) -> None:
        """Queue an answer; never waits."""
        size = answer.size
        with self._lock:
            if self._stop.is_set():
                self._not_stored[SHUTDOWN, answer.source, answer.role] += size
            elif self._waiting and self._waiting + size > self._queue_records:
                self._not_stored[STORE_AWAY if self._problem else QUEUE_FULL, answer.source, answer.role] += size
            elif size:
                self._queue.append(answer)
                self._waiting += size

    def skip(self, reason: str, records: int, source: Source, role: Role) -> None:
        """Count records that are not to be stored."""
        with self._lock:
            self._not_stored[reason, source, role] += records

    def counts(self) -> StoreCounts:
        with self._lock:
            return StoreCounts(dict(self._stored), dict(self._not_stored), self._waiting, self._problem, dict(self._unusual))

    def close(self, seconds: float) -> None:
        """Store queued answers for up to `seconds`; the rest is counted as not stored."""
        with self._lock:
            self._deadline = time.monotonic() + seconds
            self._stop.set()
        self._thread.join(seconds + _PAUSE_SECONDS)
        if self._thread.is_alive():  # the writer process hangs
            self._writer.end()
            self._thread.join()
        self._writer.close()

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE_SECONDS):
            self._store_queued()
            self._losses.update(self._overflow())
        self._store_queued()
        not_stored = self.counts().not_stored
        lost = sum(count for (reason, _, _), count in not_stored.items() if reason == SHUTDOWN)
        if lost:
            _LOGGER.error("%d predictions were not stored before the end", lost)

    def _store_queued(self) -> None:
        """Store queued answers; return when less than a batch is left, unless the queue is closing."""
        while answers := self._next_batch():
            began = time.monotonic()
            for group in group_answers(answers):
                self._store(group)
            self._stop.wait(began + sum(answer.size for answer in answers) / self._per_second - time.monotonic())
            if self._waiting < _BATCH_RECORDS and not self._stop.is_set():
                return

    def _next_batch(self) -> list[Answer]:
        answers: list[Answer] = []
        size = 0
        with self._lock:
            while self._queue and size < _BATCH_RECORDS:
                answers.append(self._queue.popleft())
                size += answers[-1].size
        return answers

    def _store(self, answers: Sequence[Answer]) -> None:
        """Store answers of one version, or count them as not stored."""
        batch = build_batch(answers, self._features)
        # without an exporter, log lines about one answer name its trace; several have none in common
        places = [answer.trace for answer in answers if answer.trace] if TRACER.maker or len(answers) == 1 else []
        attributes: Attributes = {"db.system.name": "postgresql", "hearth.dataset": batch.dataset, "hearth.records": len(batch.rows)}
        work = begin_batch("store predictions", "client", places, attributes)
        try:
            with in_trace(work.context):
                self._store_batch(answers, batch)
        finally:
            work.end()

    def _store_batch(self, answers: Sequence[Answer], batch: AnswerBatch) -> None:
        pause, tries, crashes = _FIRST_PAUSE_SECONDS, 0, 0
        while not self._too_late():
            result = self._writer.put(batch, self._too_late)
            tries += 1
            crashes += isinstance(result, WriterEnded)
            if isinstance(result, Stored):
                # after a retry, existing keys are those of the first try
                self._count(batch, result.new if tries == 1 else len(batch.rows), DUPLICATE)
                self._count_unusual(batch)
                self._set_problem("")
                return
            if isinstance(result, Refused) or crashes == _MAX_CRASHES:
                self._split(answers, batch, REFUSED if isinstance(result, Refused) else WRITER_FAILED, result.reason)
                return
            self._set_problem(result.reason)
            self._wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            self._losses.update(self._overflow())
        self._count(batch, 0, SHUTDOWN)

    def _split(self, answers: Sequence[Answer], batch: AnswerBatch, outcome: str, reason: str) -> None:
        """Store the halves of a batch that cannot be stored separately, so that only the request at fault is lost."""
        if len(answers) > 1:
            middle = len(answers) // 2
            self._store(answers[:middle])
            self._store(answers[middle:])
            return
        request_id = batch.ids[0]
        _LOGGER.error("the predictions of request %s cannot be stored: %s", request_id, reason, extra=about(request_id=request_id))
        self._count(batch, 0, outcome)
        self._set_problem("")

    def _count(self, batch: AnswerBatch, stored: int, reason: str) -> None:
        size = len(batch.rows)
        with self._lock:
            self._waiting -= size
            if stored:
                self._stored[batch.source, batch.role] += stored
            if stored < size:
                self._not_stored[reason, batch.source, batch.role] += size - stored

    def _count_unusual(self, batch: AnswerBatch) -> None:
        if batch.parts.unusual is None or batch.role != "answer":
            return
        key = (batch.dataset, batch.alias, batch.version, batch.source)
        with self._lock:
            compared, unusual = self._unusual.get(key, (0, 0))
            self._unusual[key] = compared + len(batch.rows), unusual + int(batch.parts.unusual.sum())

    def _set_problem(self, problem: str) -> None:
        """Set or clear the problem; log once when it begins and once when it ends."""
        before = self._problem
        with self._lock:
            self._problem = problem
        if problem and not before:
            self._problem_since = time.monotonic()
            _LOGGER.warning("predictions wait to be stored, %d records at most: %s", self._queue_records, problem)
        elif before and not problem:
            _LOGGER.info("predictions are stored again after %.1f s", time.monotonic() - self._problem_since)

    def _overflow(self) -> int:
        with self._lock:
            return sum(count for (reason, _, _), count in self._not_stored.items() if reason in {QUEUE_FULL, STORE_AWAY})

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            time.sleep(max(0.0, min(seconds, self._deadline - time.monotonic())))

    def _too_late(self) -> bool:
        return self._stop.is_set() and time.monotonic() > self._deadline


class _Losses:
    """Logs once when predictions are lost because the queue is full, and once how many they were."""

    def __init__(self, queue_records: int) -> None:
        self._queue_records = queue_records
        self._reported = self._total = 0
        self._last_loss = 0.0

    def update(self, total: int) -> None:
        now = time.monotonic()
        if total > self._total:
            if self._reported == self._total:
                _LOGGER.warning("predictions are not stored: %d records wait already", self._queue_records)
            self._total, self._last_loss = total, now
        elif self._reported < self._total and now - self._last_loss > _QUIET_SECONDS:
            _LOGGER.warning("there is room again: %d predictions were not stored", self._total - self._reported)
            self._reported = self._total
