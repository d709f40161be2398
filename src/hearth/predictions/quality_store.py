"""The part of the predictions store that measures quality from labels: what it reads of labelled answers, and its checks.

A check that another release wrote in another form is left out, with a warning in the log: the next check takes its place.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from psycopg.rows import class_row, tuple_row
from pydantic import ValidationError

from hearth.logs import about
from hearth.modelling.evaluation import CALIBRATION_BINS
from hearth.monitoring.live_quality import Cell, QualityCheck
from hearth.predictions.label_store import LabelStore

_LOGGER = logging.getLogger(__name__)
KEEP_DAYS = 90
"""How long checks, and tests that have ended, are kept."""

# The newest label of a record counts, as in `LabelStore.labelled`
IS_NEWEST = """
    NOT EXISTS (
        SELECT FROM labels AS newer
        WHERE newer.message_id = label.message_id AND newer.row = label.row AND newer.dataset = label.dataset
          AND (newer.observed_at, newer.id) > (label.observed_at, label.id)
    )
"""
_CELLS = f"""
    SELECT version, role, alias, (scored_at AT TIME ZONE 'UTC')::date AS day, truth, code,
           LEAST(floor(confidence * {CALIBRATION_BINS})::integer, {CALIBRATION_BINS - 1}) AS bin,
           count(*) AS rows, sum(confidence) AS confidence
    FROM (
        SELECT prediction.version, prediction.role, prediction.alias, prediction.scored_at, label.code AS truth, prediction.code,
               prediction.probabilities[prediction.code + 1] AS confidence
        FROM labels AS label JOIN predictions AS prediction USING (message_id, row, dataset)
        WHERE dataset = %(dataset)s AND label.observed_at >= %(since)s AND {IS_NEWEST}
          AND cardinality(prediction.probabilities) = %(classes)s AND label.code < %(classes)s -- as an earlier contract may have had them
    ) AS labelled
    GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7
"""  # noqa: S608 - constants
_DELAY = """
    SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY GREATEST(0, extract(epoch FROM label.received_at - prediction.scored_at)))
    FROM labels AS label JOIN predictions AS prediction USING (message_id, row, dataset)
    WHERE dataset = %(dataset)s AND prediction.role = 'answer' AND label.observed_at >= %(since)s
"""
_COVERAGE = """
    SELECT version, (scored_at AT TIME ZONE 'UTC')::date AS day, count(*) AS predictions, count(labelled.row) AS labelled
    FROM predictions LEFT JOIN (SELECT DISTINCT message_id, row FROM labels WHERE dataset = %(dataset)s) AS labelled USING (message_id, row)
    WHERE dataset = %(dataset)s AND role = 'answer' AND scored_at >= %(since)s AND scored_at < %(until)s
    GROUP BY 1, 2 ORDER BY 1, 2
"""
_INSERT_CHECK = """
    INSERT INTO quality_checks (dataset, checked_at, version, level, detail)
    VALUES (%(dataset)s, %(checked_at)s, %(version)s, %(level)s, %(detail)s) ON CONFLICT DO NOTHING
"""
_CHECK_AT = """
    SELECT dataset, detail::text FROM quality_checks
    WHERE dataset = %(dataset)s AND checked_at <= COALESCE(%(at)s, 'infinity'::timestamptz)
    ORDER BY checked_at DESC LIMIT 1
"""
_NEWEST_OF_ALL = "SELECT DISTINCT ON (dataset) dataset, detail::text FROM quality_checks ORDER BY dataset, checked_at DESC"
_HISTORY = """
    SELECT checked_at, version, level, (detail->>'labels')::bigint AS labels,
           (detail->'versions'->0->'measured'->'metric'->>'figure')::double precision AS figure,
           (detail->'versions'->0->'measured'->'metric'->>'low')::double precision AS low,
           (detail->'versions'->0->'measured'->'metric'->>'high')::double precision AS high,
           (detail->'versions'->0->'evidence'->>'value')::double precision AS evidence,
           (detail->'versions'->0->'evidence'->>'threshold')::double precision AS threshold
    FROM quality_checks WHERE dataset = %(dataset)s AND checked_at >= COALESCE(%(since)s, '-infinity'::timestamptz)
    AND detail->>'labels' IS NOT NULL -- as another release may have written it
    ORDER BY checked_at DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class DayCoverage:
    """How many answers of a version, scored on a day of UTC, have a label."""

    version: str
    day: date
    predictions: int
    labelled: int


@dataclass(frozen=True, slots=True)
class PastQuality:
    """A check without its parts: the champion's metric with its interval and its evidence, where there were any."""

    checked_at: datetime
    version: str
    level: str
    labels: int
    figure: float | None
    low: float | None
    high: float | None
    evidence: float | None
    threshold: float | None


class QualityStore(LabelStore):
    """Labelled answers for checks, and checks. Every method raises PredictionsUnavailable if the store does not answer."""

    def newest_label(self, dataset: str) -> datetime | None:
        """Return when the newest label of a data set was received."""
        with self._reading(tuple_row) as cursor:
            (newest,) = cursor.execute("SELECT max(received_at) FROM labels WHERE dataset = %s", [dataset]).fetchone() or (None,)
        return newest if isinstance(newest, datetime) else None

    def cells(self, dataset: str, classes: int, since: datetime) -> list[Cell]:
        """Return the answers whose labels were observed since a moment, counted, of all versions and roles."""
        with self._reading(class_row(Cell)) as cursor:
            return cursor.execute(_CELLS.encode(), {"dataset": dataset, "classes": classes, "since": since}).fetchall()

    def delay_seconds(self, dataset: str, since: datetime) -> float | None:
        """Return within how many seconds of its scoring 95 % of the labels came that were observed since a moment; None without any."""
        with self._reading(tuple_row) as cursor:
            (delay,) = cursor.execute(_DELAY, {"dataset": dataset, "since": since}).fetchone() or (None,)
        return None if delay is None else float(delay)

    def coverage(self, dataset: str, since: datetime, until: datetime) -> list[DayCoverage]:
        """Return how many of the answers that were scored in since <= scored_at < until have a label, by version and day."""
        with self._reading(class_row(DayCoverage)) as cursor:
            return cursor.execute(_COVERAGE, {"dataset": dataset, "since": since, "until": until}).fetchall()

    def canary(self, dataset: str) -> str | None:
        """Return the version that is tried on a share of the requests; None without one."""
        query = "SELECT version FROM rollouts WHERE dataset = %s AND ended_at IS NULL AND way = 'canary'"
        with self._reading(tuple_row) as cursor:
            found = cursor.execute(query, [dataset]).fetchone()
        return str(found[0]) if found else None

    def write_check(self, check: QualityCheck) -> None:
        """Store a check, once for each moment, and delete what is older than `KEEP_DAYS`."""
        row = {
            "dataset": check.dataset,
            "checked_at": check.checked_at,
            "version": check.version,
            "level": check.level,
            "detail": check.to_json().decode(),
        }
        oldest = check.checked_at - timedelta(days=KEEP_DAYS)
        with self._connection() as connection, connection.transaction():
            connection.execute(_INSERT_CHECK, row)
            connection.execute("DELETE FROM quality_checks WHERE dataset = %s AND checked_at < %s", (check.dataset, oldest))
            connection.execute("DELETE FROM quality_tests WHERE dataset = %s AND ended_at < %s", (check.dataset, oldest))

    def check_at(self, dataset: str, at: datetime | None = None) -> QualityCheck | None:
        """Return the newest check of a data set, or the newest that was made by a moment; None without one that can be read."""
        with self._reading(tuple_row) as cursor:
            found = cursor.execute(_CHECK_AT, {"dataset": dataset, "at": at}).fetchall()
        return next(iter(_readable(found)), None)

    def has_fallen(self, dataset: str, version: str) -> bool:
        """Whether the newest check is about this version, and its labels say that quality has fallen."""
        check = self.check_at(dataset)
        return check is not None and check.version == version and check.level == "fallen"

    def newest_checks(self) -> list[QualityCheck]:
        """Return the newest check of each data set."""
        with self._reading(tuple_row) as cursor:
            return _readable(cursor.execute(_NEWEST_OF_ALL).fetchall())

    def history(self, dataset: str, limit: int, since: datetime | None = None) -> list[PastQuality]:
        """Return the newest checks of a data set, oldest first, without their parts."""
        with self._reading(class_row(PastQuality)) as cursor:
            return cursor.execute(_HISTORY, {"dataset": dataset, "since": since, "limit": limit}).fetchall()[::-1]


def _readable(found: Sequence[tuple[str, str]]) -> list[QualityCheck]:
    checks = []
    for dataset, detail in found:
        try:
            checks.append(QualityCheck.from_json(detail))
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            where = ".".join(map(str, problem["loc"]))
            _LOGGER.warning("%s: a stored check of quality is left out: %s: %s", dataset, where, problem["msg"], extra=about(dataset))
    return checks
