"""`record`: what acts says here what was done. A change is not held up by a store that is away; a read of what is stored is (ADR 30)."""

import json
import logging
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol, Self

import psycopg

from hearth.audit.actor import Actor
from hearth.audit.entry import Action, Entry, Result, new_entry, result_of
from hearth.audit.minutes import Counted
from hearth.audit.reads import ReadTrail
from hearth.audit.store import AuditStore, audit_store
from hearth.errors import PredictionsUnavailable
from hearth.logs import about
from hearth.periodic import PeriodicThread

_LOGGER = logging.getLogger(__name__)
_MOST_WAITING = 10_000
_POLL_SECONDS, _AWAY_SECONDS = 1.0, 5.0
_JOIN_SECONDS = 2.0
_COMMAND_REFUSE_SECONDS = 30.0  # a command that has waited once for a store that is away does not wait again at its end


class Trail(Protocol):
    """Where entries go."""

    def record(self, entry: Entry) -> None: ...


class NoTrail:
    """Keeps nothing; for what is tried without a store."""

    def record(self, entry: Entry) -> None:
        """Take an entry."""


class LogTrail:
    """Writes rows to the log, where no store is named."""

    def record(self, entry: Entry) -> None:
        """Take an entry."""
        _log(entry, "is in this log alone: no store is named")


@dataclass
class Draft:
    """What becomes of an action while it runs; what acts fills it in."""

    dataset: str = ""
    alias: str = ""
    version: str = ""
    subject: str = ""
    detail: dict[str, object] = field(default_factory=dict)


@contextmanager
def recorded(trail: Trail, action: Action, draft: Draft, actor: Actor | None = None) -> Iterator[Draft]:
    """Run a block and record how it ended: done, or by its error refused or failed, with the error's code and never its text."""
    result = Result.DONE
    try:
        yield draft
    except BaseException as error:
        result = result_of(error)
        draft.detail = {**draft.detail, "error": str(getattr(error, "code", type(error).__name__))}
        raise
    finally:
        trail.record(
            new_entry(
                action,
                result=result,
                dataset=draft.dataset,
                alias=draft.alias,
                version=draft.version,
                subject=draft.subject,
                detail=draft.detail,
                actor=actor,
            )
        )


class AuditTrail:
    """The trail of a process: rows that could not be written wait in memory, are in the log, and are written by a thread.

    Threads may share one. `keys` are those of a service, by name; `counted` are what its doors count.
    """

    def __init__(self, store: AuditStore, keys: Mapping[str, str] | None = None, counted: Sequence[Counted] = ()) -> None:
        self.store = store
        self.reads = ReadTrail(self.require, self.record)
        self._counted = counted
        self._keys = dict(keys) if keys is not None else None
        self._waiting: deque[Entry] = deque()
        self._lock = threading.Lock()
        self._is_away = False
        self._thread = PeriodicThread(
            self._work,
            "audit",
            lambda: _AWAY_SECONDS if self._is_away else _POLL_SECONDS,
            trouble="the audit trail waits",
            waits_first=True,
            join_seconds=_JOIN_SECONDS,
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.close()
        self._write_counted(everything=True)
        if self._waiting:
            self._write_waiting()

    @property
    def waiting(self) -> int:
        """Rows that are not written yet."""
        return len(self._waiting)

    def record(self, entry: Entry) -> None:
        """Write a row, or keep it until the store answers. Raises nothing: what was done is done."""
        try:
            if not self._waiting:  # else the store was away a second ago, and the rows keep their order
                return self._add([entry])
        except PredictionsUnavailable as error:
            self._note_outage(error)
        _log(entry, "waits for the store")
        with self._lock:
            if len(self._waiting) >= _MOST_WAITING:
                _log(self._waiting.popleft(), "is in this log alone: too many wait")
            self._waiting.append(entry)
        return None

    def require(self, entry: Entry) -> None:
        """Write a row before what it is about is handed out.

        Raises:
            PredictionsUnavailable: it cannot be written, so nothing may be handed out.
        """
        try:
            self.store.add([entry])
        except psycopg.DataError as error:
            raise PredictionsUnavailable(f"The audit trail does not take the row of this read ({type(error).__name__}).") from error

    def _work(self) -> None:
        self._write_counted()
        self._write_waiting()
        if self._keys is not None and not self._is_away:
            self._note_keys(self._keys)

    def _write_counted(self, *, everything: bool = False) -> None:
        self.reads.flush(everything=everything)
        for counted in self._counted:
            for entry in counted.take(everything=everything):
                self.record(entry)

    def _note_keys(self, keys: dict[str, str]) -> None:
        try:
            if not self.store.exists():
                return
            self.store.note_keys(keys, Actor("hearth", "settings of REST", "process"))
            self._keys = None
        except PredictionsUnavailable as error:
            self._note_outage(error)

    def _write_waiting(self) -> None:
        with self._lock:
            entries = list(self._waiting)
        if not entries and not self._is_away:
            return
        try:
            self._add(entries)
        except PredictionsUnavailable as error:
            self._note_outage(error)
            if self._thread.stopping.is_set():
                for entry in entries:
                    _log(entry, "is in this log alone: the process ends")
            return
        written = {entry.key for entry in entries}
        with self._lock:  # another writer, or an overflow, may have taken some of them away meanwhile
            while self._waiting and self._waiting[0].key in written:
                self._waiting.popleft()
        if self._is_away:
            self._is_away = False
            _LOGGER.info("the audit trail is written again")

    def _add(self, entries: Sequence[Entry]) -> None:
        """Write rows; one that the table does not take costs itself alone.

        Raises:
            PredictionsUnavailable: the store is away; the rows may or may not be written.
        """
        try:
            return self.store.add(entries)
        except psycopg.DataError as error:
            if len(entries) == 1:
                return _log(entries[0], f"is in this log alone: the table does not take it ({type(error).__name__})")
        for entry in entries:
            self._add([entry])
        return None

    def _note_outage(self, error: PredictionsUnavailable) -> None:
        if not self._is_away:  # once for each outage
            _LOGGER.warning("the audit trail waits: %s", error)
        self._is_away = True


@contextmanager
def open_trail(url: str) -> Iterator[AuditTrail]:
    """Give a trail for a command or a task, which ends soon: rows that cannot be written at its end are in the log alone."""
    with audit_store(url, refuse_seconds=_COMMAND_REFUSE_SECONDS) as store, AuditTrail(store) as trail:
        yield trail


def record_once(url: str, *entries: Entry) -> None:
    """Write rows into the store of a URL, and no more; without one, and while it is away, the log alone has them."""
    with open_trail(url) if url else nullcontext(LogTrail()) as trail:
        for entry in entries:
            trail.record(entry)


def _log(entry: Entry, what: str) -> None:
    """Write a row to the log, which then is the trail until the store has it."""
    row = {
        "key": str(entry.key),
        "at": entry.at.isoformat(),
        "action": entry.action,
        "result": entry.result,
        "actor": f"{entry.actor.kind} {entry.actor.name}",
        "door": entry.actor.door,
        "address": entry.actor.address,
        "subject": entry.subject,
        "detail": entry.detail,
    }
    fields = about(entry.dataset, alias=entry.alias, version=entry.version, request_id=entry.request_id)
    _LOGGER.warning("audit row %s: %s", what, json.dumps(row), extra=fields)
