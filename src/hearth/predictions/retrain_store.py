"""Retrainings as the predictions store has them: what was decided, why, on which records, and what became of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from psycopg import Connection, errors
from psycopg.rows import kwargs_row, tuple_row
from psycopg.types.json import Jsonb

from hearth.contracts import Contract
from hearth.monitoring.check import Level
from hearth.monitoring.retraining import LOST_AFTER, Choice, PastRetrain, Situation, State
from hearth.predictions.drift_store import DriftStore
from hearth.predictions.store import trace_text
from hearth.tracing.context import current_trace_id

_COLUMNS = "id, dataset, trigger, state, decided_at, ended_at, digest, version, why, detail, trace_id"
_TRAINED = "('running', 'deployed', 'refused', 'failed')"
_MOST_PAST = 100
_LATEST = f"SELECT {_COLUMNS} FROM retrains WHERE dataset = %(dataset)s ORDER BY decided_at DESC, id DESC LIMIT %(limit)s"  # noqa: S608 - constants
_PAST = f"""
    SELECT id, dataset, trigger, CASE WHEN state = 'deployed' AND EXISTS (
        SELECT FROM rollouts WHERE rollouts.dataset = retrains.dataset AND rollouts.version = retrains.version
        AND rollouts.state = 'rolled_back'
    ) THEN 'refused' ELSE state END AS state, decided_at, ended_at, digest, version, why, detail, trace_id
    FROM retrains WHERE dataset = %(dataset)s AND state IN {_TRAINED} ORDER BY decided_at DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608 - constants
_BEGIN = f"""
    INSERT INTO retrains ({_COLUMNS})
    VALUES (%(id)s, %(dataset)s, %(trigger)s, %(state)s, %(now)s, NULL, NULL, NULL, %(why)s, %(detail)s, %(trace_id)s)
    ON CONFLICT (id) DO UPDATE SET trigger = EXCLUDED.trigger, state = EXCLUDED.state, decided_at = EXCLUDED.decided_at,
        why = EXCLUDED.why, detail = EXCLUDED.detail, trace_id = EXCLUDED.trace_id
        WHERE retrains.state NOT IN {_TRAINED}
"""  # noqa: S608 - constants
_LOSE = """
    UPDATE retrains SET state = 'failed', ended_at = %(now)s, why = why || '; it did not end'
    WHERE dataset = %(dataset)s AND state = 'running' AND decided_at <= %(before)s AND id <> %(id)s
"""
_REPEAT = """
    UPDATE retrains SET why = %(why)s, detail = detail || jsonb_build_object(
        'times', COALESCE((detail->>'times')::bigint, 1) + 1, 'last_at', %(now)s::timestamptz)
    WHERE id = (SELECT id FROM retrains WHERE dataset = %(dataset)s ORDER BY decided_at DESC, id DESC LIMIT 1)
    AND state = %(state)s AND trigger = %(trigger)s AND id <> %(id)s
"""
_NOTE = """
    UPDATE retrains SET digest = COALESCE(%(digest)s, digest), version = COALESCE(%(version)s, version), detail = detail || %(detail)s
    WHERE id = %(id)s
"""
_END = """
    UPDATE retrains SET state = %(state)s, ended_at = %(now)s, why = %(why)s, detail = detail || %(detail)s
    WHERE id = %(id)s AND (state = 'running' OR (state = 'failed' AND %(state)s <> 'failed'))
"""
# A record is labelled once, however many labels it has; it is new if its first label came in after the last retraining began
_LABELS = """
    SELECT count(*), count(*) FILTER (WHERE received_at > COALESCE(%(after)s, '-infinity'::timestamptz))
    FROM (
        SELECT message_id, row, min(received_at) AS received_at FROM labels WHERE dataset = %(dataset)s
        GROUP BY message_id, row HAVING max(observed_at) >= %(since)s
    ) AS record
    WHERE EXISTS (
        SELECT FROM predictions WHERE predictions.message_id = record.message_id AND predictions.row = record.row
        AND dataset = %(dataset)s AND role = 'answer'
    )
"""
_ROLLOUT = "SELECT id FROM rollouts WHERE dataset = %(dataset)s AND ended_at IS NULL"
_QUALITY_ALARM = "SELECT summary FROM alerts WHERE dataset = %(dataset)s AND kind = 'quality' AND resolved_at IS NULL"
_ADD_RECORDS = """
    INSERT INTO retrain_records (message_id, row, retrain_id)
    SELECT message_id, row, %(id)s FROM unnest(%(message_ids)s::text[], %(rows)s::integer[]) AS keys (message_id, row)
    ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True)
class Retrain:
    """A decision about training again.

    `why` is a sentence; `digest` names the data of the best candidate, and `version` is its number, as far as there are any. `detail` has
    figures, and for a wait that repeats how often (`times`) and when last (`last_at`). `trace_id` is that of the run that decided.
    """

    id: str
    dataset: str
    trigger: str
    state: State
    decided_at: datetime
    ended_at: datetime | None
    digest: str | None
    version: str | None
    why: str
    detail: Mapping[str, object] = field(default_factory=dict)
    trace_id: str | None = None


class RetrainStore(DriftStore):
    """The tables `retrains` and `retrain_records`. Every method raises PredictionsUnavailable if the store does not answer."""

    def situation(self, contract: Contract, champion: str | None, now: datetime) -> Situation:
        """Return what a decision depends on; a check for drift of another version than the champion says nothing."""
        check = self.check_at(contract.name)
        history = self.past(contract.name)
        after = history[0].decided_at if history else None
        since = now - timedelta(days=contract.retrain.window_days)
        with self._reading(tuple_row) as cursor:
            labels, new = cursor.execute(_LABELS, {"dataset": contract.name, "since": since, "after": after}).fetchone() or (0, 0)
            alarm = cursor.execute(_QUALITY_ALARM, {"dataset": contract.name}).fetchone()
            rollout = cursor.execute(_ROLLOUT, {"dataset": contract.name}).fetchone()
        is_current = check is not None and champion is not None and check.version == champion
        return Situation(
            drift=Level(check.level) if check and is_current else None,
            drift_detail=check.summary if check and is_current else "",
            quality_alarm=str(alarm[0]) if alarm else "",
            labels=int(labels),
            new_labels=int(new),
            history=[PastRetrain(past.id, past.trigger, past.state, past.decided_at, past.ended_at) for past in history],
            rollout=str(rollout[0]) if rollout else "",
        )

    def past(self, dataset: str) -> list[Retrain]:
        """Return the latest decisions to train, newest first. A version that was rolled back counts as refused."""
        with self._reading(kwargs_row(_retrain)) as cursor:
            return cursor.execute(_PAST, {"dataset": dataset, "limit": _MOST_PAST}).fetchall()

    def latest(self, dataset: str, limit: int) -> list[Retrain]:
        """Return the latest decisions, newest first."""
        with self._reading(kwargs_row(_retrain)) as cursor:
            return cursor.execute(_LATEST, {"dataset": dataset, "limit": limit}).fetchall()

    def retrain(self, id_: str) -> Retrain | None:
        """Return one decision."""
        with self._reading(kwargs_row(_retrain)) as cursor:
            return cursor.execute(f"SELECT {_COLUMNS} FROM retrains WHERE id = %s", [id_]).fetchone()  # noqa: S608 - constants

    def record(self, id_: str, dataset: str, choice: Choice, now: datetime) -> Retrain | None:
        """Store a decision under the id of its run, and return the row that holds it.

        The row has the trace in which the caller runs.

        A run that was decided to train stays so, whatever a retry would decide. A wait like the one before it is counted there. None if
        another retraining has begun meanwhile: then nothing is stored.
        """
        detail = {"until": choice.until.isoformat()} if choice.until else {}
        values = {"id": id_, "dataset": dataset, "trigger": choice.trigger, "state": choice.state, "why": choice.why, "now": now}
        values |= {"detail": Jsonb(detail), "before": now - LOST_AFTER, "trace_id": current_trace_id()}
        try:
            with self._connection() as connection, connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"retrain {dataset}"])
                if choice.trains:
                    connection.execute(_LOSE, values)
                elif not _exists(connection, id_) and connection.execute(_REPEAT, values).rowcount:
                    return self._latest_of(connection, dataset)
                connection.execute(_BEGIN, values)
                return self._of(connection, id_)
        except errors.UniqueViolation:
            return None

    def note(self, id_: str, detail: Mapping[str, object], *, digest: str | None = None, version: str | None = None) -> None:
        """Add to what is known of a retraining."""
        with self._connection() as connection:
            connection.execute(_NOTE, {"id": id_, "detail": Jsonb(dict(detail)), "digest": digest, "version": version})

    def end(self, id_: str, state: State, why: str, now: datetime, detail: Mapping[str, object] | None = None) -> bool:
        """End a retraining; returns False if it has ended before, and then changes nothing, unless it had failed."""
        values = {"id": id_, "state": state, "why": why, "now": now, "detail": Jsonb(dict(detail or {}))}
        with self._connection() as connection:
            return connection.execute(_END, values).rowcount > 0

    def add_records(self, id_: str, keys: Iterable[tuple[str, int]]) -> None:
        """Store which served records a retraining has in its data: message id and row, no values."""
        message_ids, rows = zip(*keys, strict=True)
        with self._connection() as connection:
            connection.execute(_ADD_RECORDS, {"id": id_, "message_ids": list(message_ids), "rows": list(rows)})

    @staticmethod
    def _of(connection: Connection, id_: str) -> Retrain | None:
        with connection.cursor(row_factory=kwargs_row(_retrain)) as cursor:
            return cursor.execute(f"SELECT {_COLUMNS} FROM retrains WHERE id = %s", [id_]).fetchone()  # noqa: S608 - constants

    @staticmethod
    def _latest_of(connection: Connection, dataset: str) -> Retrain | None:
        with connection.cursor(row_factory=kwargs_row(_retrain)) as cursor:
            return cursor.execute(_LATEST, {"dataset": dataset, "limit": 1}).fetchone()


def _exists(connection: Connection, id_: str) -> bool:
    return connection.execute("SELECT FROM retrains WHERE id = %s", [id_]).rowcount > 0


def _retrain(state: str, trace_id: UUID | None, **columns: object) -> Retrain:
    return Retrain(state=State(state), trace_id=trace_text(trace_id), **columns)  # type: ignore[arg-type]  # the table has these types
