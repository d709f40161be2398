"""The part of the predictions store that the monitor reads and writes: newest answers of a version, checks, outputs of versions.

A check that another release wrote in another form is left out, with a warning in the log: the next check of the monitor takes its place.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row, tuple_row
from pydantic import ValidationError

from hearth.logs import about
from hearth.monitoring.check import DriftCheck
from hearth.monitoring.reference import Outputs
from hearth.predictions.prediction import BATCH
from hearth.predictions.store import PredictionStore

_LOGGER = logging.getLogger(__name__)
_BATCH_SHARE = 4  # a part of a window may be of batches: one of so many
KEEP_DAYS = 90
"""How long checks are kept."""

_ANSWERS = """
    SELECT record, code, probabilities, scored_at, message_id, row, source FROM predictions
    WHERE dataset = %(dataset)s AND version = %(version)s AND role = 'answer' AND scored_at >= %(since)s
    AND (source = 'batch') = %(of_batches)s
    ORDER BY scored_at DESC, message_id DESC, row DESC LIMIT %(limit)s
"""
_INSERT_CHECK = """
    INSERT INTO drift_checks (dataset, checked_at, version, level, detail)
    VALUES (%(dataset)s, %(checked_at)s, %(version)s, %(level)s, %(detail)s) ON CONFLICT DO NOTHING
"""
_INSERT_COLUMN = """
    INSERT INTO drift_columns (dataset, checked_at, name, role, level, psi, p_value)
    VALUES (%(dataset)s, %(checked_at)s, %(name)s, %(role)s, %(level)s, %(psi)s, %(p_value)s) ON CONFLICT DO NOTHING
"""
_CHECK_AT = """
    SELECT dataset, detail::text FROM drift_checks
    WHERE dataset = %(dataset)s AND checked_at <= COALESCE(%(at)s, 'infinity'::timestamptz)
    ORDER BY checked_at DESC LIMIT 1
"""
_NEWEST = "SELECT dataset, detail::text FROM drift_checks WHERE dataset = %(dataset)s ORDER BY checked_at DESC LIMIT %(limit)s"
_NEWEST_OF_ALL = "SELECT DISTINCT ON (dataset) dataset, detail::text FROM drift_checks ORDER BY dataset, checked_at DESC"
_HISTORY = """
    SELECT checked_at, version, level, detail->>'records' AS records, detail->'quality'->'now'->>'value' AS estimate,
           detail->'second_opinion'->>'auc' AS auc
    FROM drift_checks WHERE dataset = %(dataset)s AND checked_at >= COALESCE(%(since)s, '-infinity'::timestamptz)
    AND detail->>'records' IS NOT NULL -- as another release may have written it
    ORDER BY checked_at DESC LIMIT %(limit)s
"""
_HISTORY_COLUMNS = """
    SELECT checked_at, name, role, level, psi, p_value FROM drift_columns
    WHERE dataset = %(dataset)s AND checked_at BETWEEN %(first)s AND %(last)s ORDER BY checked_at, name
"""


@dataclass(frozen=True, slots=True)
class ServedAnswer:
    """An answer with its record, as the store has it."""

    record: Mapping[str, object]
    code: int
    probabilities: Sequence[float]
    scored_at: datetime
    message_id: str
    row: int
    source: str = "stream"


@dataclass(frozen=True, slots=True)
class ColumnHistory:
    """A variable at one check."""

    checked_at: datetime
    name: str
    role: str
    level: str
    psi: float
    p_value: float


@dataclass(frozen=True, slots=True)
class PastCheck:
    """A check without its details; `estimate` is of the metric, `auc` of the second opinion, where there were any."""

    checked_at: datetime
    version: str
    level: str
    records: int
    estimate: float | None
    auc: float | None
    columns: tuple[ColumnHistory, ...] = ()


class DriftStore(PredictionStore):
    """Answers for the monitor, and its results. Every method raises PredictionsUnavailable if the store does not answer."""

    def newest_answers(self, dataset: str, version: str, limit: int, since: datetime, window: int | None = None) -> list[ServedAnswer]:
        """Return the newest answers of a version since a moment, oldest first; what a challenger predicted in shadow is not among them.

        Of each `window` of them (all by default), a quarter at most are of samples of batches, as long as there are others.
        """
        values = {"dataset": dataset, "version": version, "limit": limit, "since": since}
        with self._reading(class_row(ServedAnswer)) as cursor:
            served = cursor.execute(_ANSWERS, {**values, "of_batches": False}).fetchall()
            oldest = served[-1].scored_at if len(served) == limit else since  # nothing older can be among them
            sampled = cursor.execute(_ANSWERS, {**values, "since": oldest, "of_batches": True}).fetchall()
        return _mixed(served, sampled, limit, window or limit)[::-1] if sampled else served[::-1]

    def refused(self, dataset: str, first: datetime, last: datetime) -> int:
        """Return how many records of the stream were refused between two moments, to a second."""
        query = (
            "SELECT COALESCE(sum(records), 0)::bigint FROM refused_records WHERE dataset = %s "
            "AND at BETWEEN date_trunc('second', %s::timestamptz) AND %s"
        )
        with self._reading(tuple_row) as cursor:
            (records,) = cursor.execute(query, (dataset, first, last)).fetchone() or (0,)
        return int(records)

    def write_check(self, check: DriftCheck) -> None:
        """Store a check, once for each moment, and delete those that are older than `KEEP_DAYS`."""
        key = {"dataset": check.dataset, "checked_at": check.checked_at}
        columns = [
            {
                **key,
                "name": column.name,
                "role": column.difference.role,
                "level": column.level,
                "psi": column.difference.psi,
                "p_value": column.p_value,
            }
            for column in check.columns
        ]
        row = {**key, "version": check.version, "level": check.level, "detail": check.to_json().decode()}
        with self._connection() as connection, connection.transaction(), connection.cursor() as cursor:
            cursor.execute(_INSERT_CHECK, row)
            if columns:
                cursor.executemany(_INSERT_COLUMN, columns)
            oldest = check.checked_at - timedelta(days=KEEP_DAYS)
            cursor.execute("DELETE FROM drift_checks WHERE dataset = %s AND checked_at < %s", (check.dataset, oldest))
            cursor.execute("DELETE FROM refused_records WHERE dataset = %s AND at < %s", (check.dataset, oldest))

    def check_at(self, dataset: str, at: datetime | None = None) -> DriftCheck | None:
        """Return the newest check of a data set, or the newest that was made by a moment; None without one that can be read."""
        with self._reading(tuple_row) as cursor:
            found = cursor.execute(_CHECK_AT, {"dataset": dataset, "at": at}).fetchone()
        return next(iter(_readable([found])), None) if found else None

    def checks(self, dataset: str, limit: int) -> list[DriftCheck]:
        """Return the newest checks of a data set with all details, oldest first."""
        with self._reading(tuple_row) as cursor:
            found = cursor.execute(_NEWEST, {"dataset": dataset, "limit": limit}).fetchall()[::-1]
        return _readable(found)

    def newest_checks(self) -> list[DriftCheck]:
        """Return the newest check of each data set."""
        with self._reading(tuple_row) as cursor:
            found = cursor.execute(_NEWEST_OF_ALL).fetchall()
        return _readable(found)

    def history(self, dataset: str, limit: int, since: datetime | None = None) -> list[PastCheck]:
        """Return the newest checks of a data set, oldest first, with the levels of their columns."""
        with self._reading(tuple_row) as cursor:
            checks = cursor.execute(_HISTORY, {"dataset": dataset, "since": since, "limit": limit}).fetchall()[::-1]
            if not checks:
                return []
            span = {"dataset": dataset, "first": checks[0][0], "last": checks[-1][0]}
            columns: dict[datetime, list[ColumnHistory]] = {}
            for values in cursor.execute(_HISTORY_COLUMNS, span).fetchall():
                column = ColumnHistory(*values)
                columns.setdefault(column.checked_at, []).append(column)
        return [
            PastCheck(at, version, level, int(records), _float(estimate), _float(auc), tuple(columns.get(at, ())))
            for at, version, level, records, estimate, auc in checks
        ]

    def outputs(self, dataset: str, run_id: str) -> Outputs | None:
        """Return how the version of a run answers on its test set; None if that was not stored yet, or cannot be read."""
        query = "SELECT outputs::text FROM version_outputs WHERE dataset = %s AND run_id = %s"
        with self._reading(tuple_row) as cursor:
            found = cursor.execute(query, (dataset, run_id)).fetchone()
        try:
            return Outputs.from_json(found[0]) if found else None
        except ValidationError as error:
            _LOGGER.warning(
                "%s: the stored answers of the run %s on its test set cannot be read: %s",
                dataset,
                run_id,
                _first(error),
                extra=about(dataset),
            )
            return None

    def write_outputs(self, dataset: str, run_id: str, version: str, outputs: Outputs) -> None:
        """Store how a version answers on its test set, in the place of what was stored before."""
        query = "INSERT INTO version_outputs (dataset, run_id, version, outputs) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"
        with self._connection() as connection, connection.transaction():
            connection.execute("DELETE FROM version_outputs WHERE dataset = %s AND run_id = %s", (dataset, run_id))
            connection.execute(query, (dataset, run_id, version, outputs.to_json().decode()))


def _mixed(served: Sequence[ServedAnswer], sampled: Sequence[ServedAnswer], limit: int, window: int) -> list[ServedAnswer]:
    """Return the newest answers, newest first, with as many of batches in each window as may be there."""
    chosen: list[ServedAnswer] = []
    left, of_batches = len(served), 0
    for answer in sorted([*served, *sampled], key=lambda answer: (answer.scored_at, answer.message_id, answer.row), reverse=True):
        place = len(chosen) % window
        of_batches = of_batches if place else 0
        if answer.source == BATCH:
            if of_batches >= window // _BATCH_SHARE and left >= window - place:  # the others fill the window
                continue
            of_batches += 1
        else:
            left -= 1
        chosen.append(answer)
        if len(chosen) == limit:
            break
    return chosen


def _readable(found: Sequence[tuple[str, str]]) -> list[DriftCheck]:
    """Return the checks of data sets and details as they are stored, in their order, without those that this release cannot read."""
    checks = []
    for dataset, detail in found:
        try:
            checks.append(DriftCheck.from_json(detail))
        except ValidationError as error:
            _LOGGER.warning(
                "%s: a stored check for drift is left out, since this release cannot read it: %s",
                dataset,
                _first(error),
                extra=about(dataset),
            )
    return checks


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"


def _float(value: str | None) -> float | None:
    return None if value is None else float(value)
