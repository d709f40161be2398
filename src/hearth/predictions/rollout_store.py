"""Rollouts in the predictions store: what runs, what happened, and what each process counted."""

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import class_row, tuple_row
from psycopg.types.json import Jsonb

from hearth.errors import RolloutRunning
from hearth.predictions.store import PredictionStore

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = 0x726F6C6C  # any number that differs from the other locks of the store
_NAMES = "id, dataset, version, champion, way, state, share, started_by, started_at, changed_at, ended_at, reason, detail"
_START = """
    INSERT INTO rollouts (id, dataset, version, champion, way, state, share, started_by, started_at, changed_at, ended_at, detail)
    VALUES (%(id)s, %(dataset)s, %(version)s, %(champion)s, %(way)s, %(state)s, %(share)s, %(started_by)s, %(at)s, %(at)s, %(ended_at)s,
            %(detail)s)
"""
_EVENT = """
    INSERT INTO rollout_events (rollout_id, at, event, share, reason, detail)
    VALUES (%(id)s, clock_timestamp(), %(event)s, %(share)s, %(reason)s, %(detail)s)
"""
_CHANGE = """
    UPDATE rollouts SET state = %(state)s, share = %(share)s, reason = %(reason)s, detail = detail || %(detail)s,
           changed_at = clock_timestamp(), ended_at = CASE WHEN %(ended)s THEN clock_timestamp() END
    WHERE id = %(id)s AND ended_at IS NULL AND state = %(before)s AND share = %(share_before)s
"""
_COUNT = """
    INSERT INTO rollout_counts (rollout_id, process, version, answers, errors, latencies, problem, updated_at)
    VALUES (%(rollout)s, %(process)s, %(version)s, %(answers)s, %(errors)s, %(latencies)s, %(problem)s, clock_timestamp())
    ON CONFLICT (rollout_id, process, version) DO UPDATE SET answers = EXCLUDED.answers, errors = EXCLUDED.errors,
        latencies = EXCLUDED.latencies, problem = EXCLUDED.problem, updated_at = EXCLUDED.updated_at
"""

RUNNING, PAUSED, FINISHING, ROLLING_BACK = "running", "paused", "finishing", "rolling_back"
FINISHED, ROLLED_BACK, CANCELLED = "finished", "rolled_back", "cancelled"
ENDED = (FINISHED, ROLLED_BACK, CANCELLED)
"""The states. Those that end with -ing but for the first have decided how they end: the registry follows, however often it takes."""


@dataclass(frozen=True)
class Rollout:
    """A version that is tried in the champion's place.

    Attributes:
        champion: the version that is champion meanwhile.
        way: canary, or shadow, which has no share and ends when it begins.
        share: of the champion's requests, which the candidate answers; where it ended, the last one.
        changed_at: when the state or the share was last changed, so when the present step began.
        reason: for the last change.
        detail: the family, what the candidate had answered when the step began, the aliases before.
    """

    id: str
    dataset: str
    version: str
    champion: str
    way: str
    state: str
    share: float
    started_by: str
    started_at: datetime
    changed_at: datetime
    ended_at: datetime | None
    reason: str
    detail: Mapping[str, object]

    @property
    def family(self) -> str:
        """The family whose alias the version gets in the end; empty: none."""
        return str(self.detail.get("family") or "")

    @property
    def steps(self) -> tuple[float, ...]:
        """The shares that it goes through; empty: those of the contract."""
        steps = self.detail.get("steps")
        return tuple(float(step) for step in steps) if isinstance(steps, list) else ()

    @property
    def step_answers(self) -> int:
        """How many answers the candidate had given when the present step began."""
        answers = self.detail.get("step_answers")
        return answers if isinstance(answers, int) else 0


@dataclass(frozen=True)
class RolloutEvent:
    """Something that happened to a rollout."""

    rollout_id: str
    at: datetime
    event: str
    share: float
    reason: str
    detail: Mapping[str, object]


@dataclass(frozen=True)
class VersionCounts:
    """What a version did in one process since the rollout began; `problem` says why that process refuses it, empty if it does not."""

    rollout_id: str
    process: str
    version: str
    answers: int
    errors: int
    latencies: Sequence[int]
    problem: str
    updated_at: datetime


@dataclass(frozen=True)
class Change:
    """A new state or share of a rollout, and why. `event` names it in the history."""

    event: str
    state: str
    share: float
    reason: str
    detail: Mapping[str, object] = field(default_factory=dict)


class RolloutStore(PredictionStore):
    """The tables of rollouts. Every method raises PredictionsUnavailable if the store does not answer."""

    def start(self, rollout: Rollout) -> None:
        """Store a new rollout, with an event.

        Raises:
            RolloutRunning: another one of this data set runs.
        """
        values = {**vars(rollout), "at": rollout.started_at, "detail": Jsonb(dict(rollout.detail))}
        try:
            with self._connection() as connection, connection.transaction(), connection.cursor() as cursor:
                cursor.execute(_START, values)
                cursor.execute(_EVENT, _event(rollout.id, "started", rollout.share, f"{rollout.way} by {rollout.started_by}", {}))
        except psycopg.errors.UniqueViolation as error:
            running = self.running(rollout.dataset)
            raise RolloutRunning(rollout.dataset, running.version if running else "another", running.id if running else "") from error

    def change(self, rollout: Rollout, change: Change) -> bool:
        """Give a rollout another state or share, if both still are as in `rollout`. Returns whether they were."""
        values = {
            "id": rollout.id,
            "state": change.state,
            "share": change.share,
            "reason": change.reason,
            "detail": Jsonb(dict(change.detail)),
            "ended": change.state in ENDED,
            "before": rollout.state,
            "share_before": rollout.share,
        }
        with self._connection() as connection, connection.transaction(), connection.cursor() as cursor:
            if not cursor.execute(_CHANGE, values).rowcount:
                return False
            cursor.execute(_EVENT, _event(rollout.id, change.event, change.share, change.reason, change.detail))
        return True

    def running(self, dataset: str) -> Rollout | None:
        """Return the rollout of a data set that has not ended, None without one."""
        return next((rollout for rollout in self.all_running() if rollout.dataset == dataset), None)

    def all_running(self) -> list[Rollout]:
        """Return the rollouts that have not ended, of all data sets."""
        with self._reading(class_row(Rollout)) as cursor:
            return cursor.execute(f"SELECT {_NAMES} FROM rollouts WHERE ended_at IS NULL ORDER BY dataset").fetchall()  # noqa: S608 - constants

    def ended_within(self, period: timedelta) -> list[Rollout]:
        """Return the rollouts that ended within the last hours or days, of all data sets, the oldest first."""
        query = f"SELECT {_NAMES} FROM rollouts WHERE ended_at > clock_timestamp() - %s ORDER BY ended_at"  # noqa: S608 - constants
        with self._reading(class_row(Rollout)) as cursor:
            return cursor.execute(query.encode(), (period,)).fetchall()

    def rollout(self, rollout_id: str) -> Rollout | None:
        """Return a rollout by its id, None if there is none."""
        with self._reading(class_row(Rollout)) as cursor:
            return cursor.execute(f"SELECT {_NAMES} FROM rollouts WHERE id = %s", (rollout_id,)).fetchone()  # noqa: S608 - constants

    def history(self, dataset: str, limit: int = 20) -> list[Rollout]:
        """Return the newest rollouts of a data set, the latest first, with the one that runs."""
        query = f"SELECT {_NAMES} FROM rollouts WHERE dataset = %s ORDER BY started_at DESC, id LIMIT %s"  # noqa: S608 - constants
        with self._reading(class_row(Rollout)) as cursor:
            return cursor.execute(query.encode(), (dataset, limit)).fetchall()

    def events(self, rollout_ids: Sequence[str]) -> list[RolloutEvent]:
        """Return what happened to rollouts, the oldest first."""
        query = "SELECT rollout_id, at, event, share, reason, detail FROM rollout_events WHERE rollout_id = ANY(%s) ORDER BY at"
        with self._reading(class_row(RolloutEvent)) as cursor:
            return cursor.execute(query, (list(rollout_ids),)).fetchall()

    def write_counts(self, counts: Sequence[VersionCounts]) -> None:
        """Store what one process counted, over what it stored before; counts of rollouts that are not in the store are left out."""
        with self._connection() as connection, connection.transaction(), connection.cursor() as cursor:
            ids = [each.rollout_id for each in counts]
            known = {row[0] for row in cursor.execute("SELECT id FROM rollouts WHERE id = ANY(%s)", (ids,)).fetchall()}
            values = [{**vars(each), "rollout": each.rollout_id} for each in counts if each.rollout_id in known]
            if values:
                cursor.executemany(_COUNT, values)

    def counts(self, rollout_ids: Sequence[str]) -> list[VersionCounts]:
        """Return what every process counted."""
        query = (
            "SELECT rollout_id, process, version, answers, errors, latencies, problem, updated_at FROM rollout_counts "
            "WHERE rollout_id = ANY(%s) ORDER BY rollout_id, version, process"
        )
        with self._reading(class_row(VersionCounts)) as cursor:
            return cursor.execute(query, (list(rollout_ids),)).fetchall()

    @contextmanager
    def alone(self) -> "Iterator[bool]":
        """Give whether this process holds the lock of controllers, which it does until the end of the block or of its connection."""
        with self._connection() as connection:
            with connection.cursor(row_factory=tuple_row) as cursor:
                (locked,) = cursor.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchone() or (False,)
            try:
                yield bool(locked)
            finally:
                if locked:
                    connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def _event(rollout_id: str, event: str, share: float, reason: str, detail: Mapping[str, object]) -> dict[str, object]:
    return {"id": rollout_id, "event": event, "share": share, "reason": reason, "detail": Jsonb(dict(detail))}
