"""The part of the predictions store that holds alerts: opened by whatever finds trouble, acknowledged by people, resolved by either.

A data set has at most one open alert of a kind. Every change is one transaction with its event, so processes that open, acknowledge and
resolve at the same time, or are killed, leave one alert and each event once.
"""

import json
from collections.abc import Mapping
from datetime import datetime

from psycopg import Connection
from psycopg.rows import kwargs_row, tuple_row

from hearth.alerts.alert import Alert, AlertEvent, EventKind, Severity, State
from hearth.alerts.texts import LONGEST_NAME, one_line, plain_json
from hearth.errors import AlertResolved, UnknownAlert
from hearth.predictions.store import PredictionStore

KEEP_DAYS = 90
"""How long alerts are kept after they were resolved."""
BY_ITSELF = "hearth"

_NAMES = (
    "id, kind, dataset, severity, summary, detail, times, opened_at, updated_at, expires_at,"
    " acknowledged_at, acknowledged_by, resolved_at, resolved_by, resolution"
)
_LOCK_OPEN = f"SELECT {_NAMES} FROM alerts WHERE dataset = %(dataset)s AND kind = %(kind)s AND resolved_at IS NULL FOR UPDATE"  # noqa: S608 - constants
_INSERT = f"""
    INSERT INTO alerts (kind, dataset, severity, summary, detail, opened_at, updated_at, expires_at)
    VALUES (%(kind)s, %(dataset)s, %(severity)s, %(summary)s, %(detail)s, now(), now(), %(expires_at)s)
    ON CONFLICT (dataset, kind) WHERE resolved_at IS NULL DO NOTHING RETURNING {_NAMES}
"""  # noqa: S608
# Trouble that has become worse is no longer what somebody has acknowledged
_UPDATE = f"""
    UPDATE alerts SET times = times + 1, updated_at = now(), severity = %(severity)s, summary = %(summary)s, detail = %(detail)s,
        expires_at = %(expires_at)s,
        acknowledged_at = CASE WHEN %(raised)s THEN NULL ELSE acknowledged_at END,
        acknowledged_by = CASE WHEN %(raised)s THEN NULL ELSE acknowledged_by END
    WHERE id = %(id)s RETURNING {_NAMES}
"""  # noqa: S608
_LOCK = f"SELECT {_NAMES} FROM alerts WHERE id = %(id)s FOR UPDATE"  # noqa: S608
_ACKNOWLEDGE = f"UPDATE alerts SET acknowledged_at = now(), acknowledged_by = %(by)s WHERE id = %(id)s RETURNING {_NAMES}"  # noqa: S608
_RESOLVE = f"""
    UPDATE alerts SET resolved_at = now(), resolved_by = %(by)s, resolution = %(why)s WHERE id = %(id)s RETURNING {_NAMES}
"""  # noqa: S608
_EXPIRED = f"SELECT {_NAMES} FROM alerts WHERE resolved_at IS NULL AND expires_at < now() FOR UPDATE SKIP LOCKED"  # noqa: S608
_WRITE_EVENT = """
    INSERT INTO alert_events (alert_id, event, at, severity, by, text) VALUES (%(id)s, %(event)s, now(), %(severity)s, %(by)s, %(text)s)
"""
_CONDITIONS = {
    State.OPEN: "resolved_at IS NULL AND acknowledged_at IS NULL",
    State.ACKNOWLEDGED: "resolved_at IS NULL AND acknowledged_at IS NOT NULL",
    State.RESOLVED: "resolved_at IS NOT NULL",
}
# What nobody has taken up comes first, then what is not over, each the most urgent first, and of what is over the newest
_ORDER = """
    resolved_at IS NOT NULL, acknowledged_at IS NOT NULL AND resolved_at IS NULL,
    CASE WHEN resolved_at IS NOT NULL THEN 0 WHEN severity = 'critical' THEN 1 WHEN severity = 'warning' THEN 2 ELSE 3 END,
    COALESCE(resolved_at, opened_at) DESC, id DESC
"""
_COUNT_OPEN = "SELECT kind, dataset, severity, count(*) FROM alerts WHERE resolved_at IS NULL GROUP BY kind, dataset, severity"


class AlertStore(PredictionStore):
    """Alerts. Every method raises PredictionsUnavailable if the store does not answer; all may be called again."""

    def open(  # noqa: PLR0913 - what an alert is made of
        self,
        kind: str,
        dataset: str,
        severity: Severity | str,
        summary: str,
        detail: Mapping[str, object] | None = None,
        *,
        expires_at: datetime | None = None,
        by: str = BY_ITSELF,
    ) -> Alert:
        """Open an alert, or report the trouble of an open one again, which then has this severity and these words.

        `dataset` is empty for trouble of the stack. A rise of the severity withdraws an acknowledgement. Opening and a rise are sent to the
        channels of the settings; further reports of the same trouble are not.

        Raises:
            ValueError: an unknown severity, or an empty kind.
        """
        key = {"kind": one_line(kind, LONGEST_NAME), "dataset": one_line(dataset, LONGEST_NAME)}
        if not key["kind"]:
            raise ValueError("The kind of an alert is empty: expected a word such as 'drift'.")
        severity = Severity(severity)
        values = {
            **key,
            "severity": severity,
            "summary": one_line(summary) or key["kind"],
            "detail": json.dumps(plain_json(detail or {})),
            "expires_at": expires_at,
        }
        while True:
            with self._connection() as connection, connection.transaction():
                if known := _one(connection, _LOCK_OPEN, values):
                    raised = severity.rank > known.severity.rank
                    alert = _one(connection, _UPDATE, {**values, "id": known.id, "raised": raised})
                    if alert and raised:
                        _write_event(connection, alert, EventKind.RAISED, by, alert.summary)
                elif alert := _one(connection, _INSERT, values):
                    _write_event(connection, alert, EventKind.OPENED, by, alert.summary)
            if alert:  # else another process has opened it since we looked
                return alert

    def resolve(self, kind: str, dataset: str, why: str, by: str = BY_ITSELF) -> Alert | None:
        """Resolve the open alert of a kind of a data set; None if there is none, so that it may be called whenever all is well."""
        key = {"kind": one_line(kind, LONGEST_NAME), "dataset": one_line(dataset, LONGEST_NAME)}
        with self._connection() as connection, connection.transaction():
            known = _one(connection, _LOCK_OPEN, key)
            return _resolve(connection, known, why, by) if known else None

    def resolve_id(self, alert_id: int, why: str, by: str) -> Alert:
        """Resolve an alert by hand; one that is resolved stays as it is.

        Raises:
            UnknownAlert: there is no such alert.
        """
        with self._connection() as connection, connection.transaction():
            known = _lock(connection, alert_id)
            return known if known.state is State.RESOLVED else _resolve(connection, known, why, by)

    def resolve_expired(self) -> list[Alert]:
        """Resolve the alerts that should have been reported again by now, and return them."""
        with self._connection() as connection, connection.transaction():
            expired = connection.cursor(row_factory=kwargs_row(_alert)).execute(_EXPIRED).fetchall()
            return [_resolve(connection, alert, "It was not reported any more.", BY_ITSELF) for alert in expired]

    def acknowledge(self, alert_id: int, by: str) -> Alert:
        """Write down that somebody has taken an alert up; whoever did so first stays.

        Raises:
            UnknownAlert: there is no such alert.
            AlertResolved: it is over.
        """
        with self._connection() as connection, connection.transaction():
            known = _lock(connection, alert_id)
            if known.state is State.RESOLVED:
                raise AlertResolved(alert_id)
            if known.state is State.ACKNOWLEDGED:
                return known
            alert = _one(connection, _ACKNOWLEDGE, {"id": alert_id, "by": one_line(by, LONGEST_NAME)})
            assert alert is not None  # noqa: S101 - its row is locked
            _write_event(connection, alert, EventKind.ACKNOWLEDGED, by, "")
            return alert

    def alert(self, alert_id: int) -> Alert:
        """Return an alert.

        Raises:
            UnknownAlert: there is no such alert.
        """
        with self._reading(kwargs_row(_alert)) as cursor:
            known = cursor.execute(f"SELECT {_NAMES} FROM alerts WHERE id = %s".encode(), [alert_id]).fetchone()  # noqa: S608
        if known is None:
            raise UnknownAlert(alert_id)
        return known

    def alerts(
        self, state: State | str | None = None, dataset: str | None = None, limit: int = 100, *, severity: Severity | str | None = None
    ) -> list[Alert]:
        """Return at most `limit` alerts: open ones first, then acknowledged, then resolved; the most urgent and the newest first.

        Raises:
            ValueError: an unknown state or severity.
        """
        conditions = ["true"]
        if state is not None:
            conditions.append(_CONDITIONS[State(state)])
        if dataset is not None:
            conditions.append("dataset = %(dataset)s")
        if severity is not None:
            conditions.append("severity = %(severity)s")
        query = f"SELECT {_NAMES} FROM alerts WHERE {' AND '.join(conditions)} ORDER BY {_ORDER} LIMIT %(limit)s"  # noqa: S608
        values = {"dataset": dataset, "severity": severity and Severity(severity), "limit": limit}
        with self._reading(kwargs_row(_alert)) as cursor:
            return cursor.execute(query.encode(), values).fetchall()

    def events(self, alert_id: int) -> list[AlertEvent]:
        """Return what happened to an alert, oldest first."""
        query = "SELECT id, alert_id, event, at, severity, by, text FROM alert_events WHERE alert_id = %s ORDER BY id"
        with self._reading(kwargs_row(event_row)) as cursor:
            return cursor.execute(query, [alert_id]).fetchall()

    def open_counts(self) -> dict[tuple[str, str, str], int]:
        """Return the numbers of alerts that are not resolved, by kind, data set and severity."""
        with self._reading(tuple_row) as cursor:
            return {(kind, dataset, severity): count for kind, dataset, severity, count in cursor.execute(_COUNT_OPEN)}

    def state_counts(self) -> dict[State, int]:
        """Return the numbers of open and of acknowledged alerts, of all data sets."""
        query = "SELECT count(*) FILTER (WHERE acknowledged_at IS NULL), count(acknowledged_at) FROM alerts WHERE resolved_at IS NULL"
        with self._reading(tuple_row) as cursor:
            is_open, acknowledged = cursor.execute(query).fetchone() or (0, 0)
        return {State.OPEN: is_open, State.ACKNOWLEDGED: acknowledged}

    def delete_resolved(self, before: datetime) -> int:
        """Delete the alerts that were resolved before a moment, with their events, and return how many."""
        with self._connection() as connection:
            return connection.execute("DELETE FROM alerts WHERE resolved_at < %s", [before]).rowcount


def _alert(severity: str, **columns: object) -> Alert:
    return Alert(severity=Severity(severity), **columns)  # type: ignore[arg-type]  # the table has these types


def event_row(event: str, severity: str, **columns: object) -> AlertEvent:
    """Make an event of a row of its table."""
    return AlertEvent(event=EventKind(event), severity=Severity(severity), **columns)  # type: ignore[arg-type]  # the table has these types


def _one(connection: Connection, query: str, values: Mapping[str, object]) -> Alert | None:
    return connection.cursor(row_factory=kwargs_row(_alert)).execute(query.encode(), values).fetchone()


def _lock(connection: Connection, alert_id: int) -> Alert:
    alert = _one(connection, _LOCK, {"id": alert_id})
    if alert is None:
        raise UnknownAlert(alert_id)
    return alert


def _resolve(connection: Connection, known: Alert, why: str, by: str) -> Alert:
    alert = _one(connection, _RESOLVE, {"id": known.id, "by": one_line(by, LONGEST_NAME), "why": one_line(why)})
    assert alert is not None  # noqa: S101 - its row is locked
    _write_event(connection, alert, EventKind.RESOLVED, by, one_line(why))
    return alert


def _write_event(connection: Connection, alert: Alert, event: EventKind, by: str, text: str) -> None:
    values = {"id": alert.id, "event": event, "severity": alert.severity, "by": one_line(by, LONGEST_NAME), "text": text}
    connection.execute(_WRITE_EVENT, values)
