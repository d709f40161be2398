"""Reads the stream of labels: stores what can be read, and only then acknowledges.

A message is read at least once. Its labels are stored once, however often it is read. A message of which a report is refused becomes a dead
letter that names these reports; the labels of the others are stored.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Self

from hearth.errors import InvalidFeedback, InvalidMessage
from hearth.logs import about
from hearth.predictions.feedback import Door, Receipt
from hearth.serving.feedback import Feedback
from hearth.settings import WorkerSettings
from hearth.streaming.client import Entry
from hearth.streaming.consumer import DeadLetter, StreamConsumer
from hearth.streaming.labels.messages import read_reports
from hearth.streaming.retrying import Retrier, Stopped
from hearth.streaming.worker.recovery import Recovery
from hearth.tracing.context import current_trace, in_trace
from hearth.tracing.spans import Attributes, begin_batch

_LOGGER = logging.getLogger(__name__)
_DOOR = Door("stream", "stream")
_UPKEEP_SECONDS = 1.0
_STORED_TOGETHER = 5_000  # reports
_MAX_PROBLEMS = 10  # reports that a letter names
_MAX_REASON_LENGTH = 2_000
_REMOVE_CONSUMER_MILLISECONDS = 24 * 3_600_000


class LabelWorker:
    """One consumer of the group. `run` returns when it is asked to stop; what it has read is then settled, or read again by another."""

    def __init__(self, stream: StreamConsumer, feedback: Feedback, settings: WorkerSettings, retrier: Retrier) -> None:
        self._stream, self._feedback, self._settings, self._retrier = stream, feedback, settings, retrier
        self._recovery = Recovery(stream, retrier, settings, self._process, lambda _: None)
        self._next_upkeep = 0.0

    def run(self) -> None:
        try:
            self._retrier.call(self._stream.join)
            self._retrier.call(lambda: self._stream.remove_idle_consumers(_REMOVE_CONSUMER_MILLISECONDS))
            self._recovery.process_own()
            read = partial(self._stream.read, self._settings.stream_batch_messages, self._settings.stream_block_milliseconds)
            while not self._retrier.stopping:
                self._upkeep()
                if entries := self._retrier.call(read):
                    self._process(entries, [])
        except Stopped:
            _LOGGER.info("leaving the stream of labels while a server is away")

    def _upkeep(self) -> None:
        if time.monotonic() >= self._next_upkeep:
            self._recovery.process_idle()
            self._retrier.call(self._stream.trim)
            self._next_upkeep = time.monotonic() + _UPKEEP_SECONDS

    def _process(self, entries: Sequence[Entry], letters: Sequence[DeadLetter]) -> None:
        """Store the labels of messages, then acknowledge them; `letters` are of messages that nothing can be done with."""
        places = [place for entry in entries if (place := entry.trace)]
        attributes: Attributes = {
            "messaging.system": "redis",
            "messaging.operation.type": "process",
            "messaging.batch.message_count": len(entries),
        }
        work = begin_batch(f"process {self._settings.labels_stream_name}", "consumer", places, attributes)
        try:
            with in_trace(work.context):
                self._process_within(entries, letters)
        finally:
            work.end()

    def _process_within(self, entries: Sequence[Entry], letters: Sequence[DeadLetter]) -> None:
        bad, reports, sources = list(letters), list[object](), list[Entry]()
        for entry in entries:
            try:
                found = read_reports(entry)
            except InvalidMessage as error:
                bad.append(_letter(entry, error.code, str(error)))
            else:
                reports += found
                sources += [entry] * len(found)
        receipts: list[Receipt] = []
        for start in range(0, len(reports), _STORED_TOGETHER):
            receipts += self._retrier.call(partial(self._feedback.receive, reports[start : start + _STORED_TOGETHER], _DOOR))
        bad += _refusals(sources, receipts)
        bad = [replace(letter, trace_id=place.trace_id if (place := letter.entry.trace or current_trace()) else None) for letter in bad]
        for letter in bad:
            key = letter.entry.key
            _LOGGER.warning("labels of message %s are dead, %s", key, letter.error, extra=about(message_id=key))
        ids = [*(entry.id for entry in entries), *(letter.entry.id for letter in letters)]
        self._retrier.call(lambda: self._stream.acknowledge(ids, bad))


class LabelThread:
    """Runs a worker in a thread while the context is open. What ends the worker before is given to `failed`, and raised at the end."""

    def __init__(self, worker: LabelWorker, failed: Callable[[], None], leave_seconds: float) -> None:
        self._worker, self._failed, self._leave_seconds = worker, failed, leave_seconds
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="labels", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(self._leave_seconds)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._worker.run()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that started this one
            self._error = error
            self._failed()


def _refusals(sources: Sequence[Entry], receipts: Sequence[Receipt]) -> list[DeadLetter]:
    """Return a letter for each message with refused reports, which are numbered within their message."""
    places: dict[str, list[tuple[int, Receipt]]] = {}
    entries: dict[str, Entry] = {}
    counts: dict[str, int] = {}
    for entry, receipt in zip(sources, receipts, strict=True):
        place = counts.get(entry.id, 0)
        counts[entry.id] = place + 1
        if receipt.is_refused:
            entries[entry.id] = entry
            places.setdefault(entry.id, []).append((place, receipt))
    letters = []
    for id_, refused in places.items():
        named = "; ".join(f"report {place}: {receipt.error}: {receipt.detail}" for place, receipt in refused[:_MAX_PROBLEMS])
        more = f"; and {len(refused) - _MAX_PROBLEMS} more" if len(refused) > _MAX_PROBLEMS else ""
        letters.append(_letter(entries[id_], refused[0][1].error or InvalidFeedback.code, named + more))
    return letters


def _letter(entry: Entry, error: str, reason: str) -> DeadLetter:
    return DeadLetter(entry, error, reason[:_MAX_REASON_LENGTH], datetime.now(UTC).isoformat())
