"""The part of the predictions store that holds labels. They join predictions when they are read, so either may come first."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import psycopg
from psycopg.rows import kwargs_row, tuple_row

from hearth.predictions.label import Label, LabelHistory, LabelledAnswer, LabelOutcome, Observation, RecordKey
from hearth.predictions.store import PredictionStore, trace_text

_KNOWN = """
    SELECT message_id, row, dataset, observed_at, code, label
    FROM labels JOIN unnest(%s::text[], %s::integer[]) AS wanted (message_id, row) USING (message_id, row)
    ORDER BY id
"""
_PREDICTED = """
    SELECT DISTINCT message_id, row, dataset, trace_id
    FROM predictions JOIN unnest(%s::text[], %s::integer[]) AS wanted (message_id, row) USING (message_id, row)
    WHERE role = 'answer'
"""
_INSERT = """
    INSERT INTO labels (message_id, row, dataset, code, label, observed_at, reported_by, source, trace_id)
    SELECT * FROM unnest(
        %s::text[], %s::integer[], %s::text[], %s::smallint[], %s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::uuid[])
    ON CONFLICT DO NOTHING
"""
_LABELLED = """
    SELECT message_id, row, dataset, prediction.alias, prediction.version, prediction.role, prediction.scored_at,
           label.observed_at, label.received_at, prediction.record, prediction.code, label.code AS truth, prediction.probabilities,
           prediction.trace_id
    FROM labels AS label JOIN predictions AS prediction USING (message_id, row, dataset)
    WHERE dataset = %(dataset)s AND prediction.role = %(role)s
      AND (%(version)s::text IS NULL OR prediction.version = %(version)s)
      AND label.observed_at >= COALESCE(%(since)s, '-infinity'::timestamptz)
      AND label.observed_at < COALESCE(%(until)s, 'infinity'::timestamptz)
      AND label.received_at <= COALESCE(%(known_at)s, 'infinity'::timestamptz)
      AND NOT EXISTS (
        SELECT FROM labels AS newer
        WHERE newer.message_id = label.message_id AND newer.row = label.row AND newer.dataset = label.dataset
          AND newer.received_at <= COALESCE(%(known_at)s, 'infinity'::timestamptz)
          AND (newer.observed_at, newer.id) > (label.observed_at, label.id)
      )
    ORDER BY label.observed_at DESC, message_id DESC, row DESC LIMIT %(limit)s
"""
_DELETE_LONELY = """
    DELETE FROM labels WHERE ctid = ANY (ARRAY(
        SELECT label.ctid FROM labels AS label
        WHERE label.received_at < %(moment)s
          AND NOT EXISTS (
            SELECT FROM predictions AS prediction
            WHERE prediction.message_id = label.message_id AND prediction.row = label.row AND prediction.dataset = label.dataset
          )
        ORDER BY label.received_at LIMIT %(rows)s
    ))
"""


class LabelStore(PredictionStore):
    """Labels beside the predictions. Every method raises PredictionsUnavailable if the store does not answer."""

    def add(self, labels: Sequence[Label]) -> list[LabelOutcome]:
        """Store labels in one transaction, and return for each what became of it; later ones of a record see the earlier ones.

        Labels that are delivered again change nothing, so retrying is safe. Of two processes that label the same record at the same time
        both may answer that theirs was the first; which one counts does not depend on it.

        Raises:
            PredictionsUnavailable: all or none may be stored.
        """
        if not labels:
            return []
        received_at = datetime.now(UTC)
        outcomes = list[LabelOutcome]()
        new = list[tuple[Label, Observation, str | None]]()
        with self._connection() as connection, connection.transaction():
            keys = {label.key for label in labels}
            histories = _histories(connection, keys)
            predicted = _predicted(connection, keys)
            for label in labels:
                history = histories.setdefault((label.key, label.dataset), LabelHistory())
                datasets = predicted.get(label.key, {})
                outcome, observation = history.add(label, received_at, is_predicted=label.dataset in datasets)
                trace_id = datasets.get(label.dataset)
                outcomes.append(replace(outcome, trace_id=trace_id))
                if observation is not None:
                    new.append((label, observation, trace_id))
            if new:
                connection.execute(_INSERT, _columns(new))
        return outcomes

    def datasets(self, keys: Iterable[RecordKey]) -> dict[RecordKey, str]:
        """Return the data set of each record that a prediction is stored for."""
        with self._connection() as connection:
            return {key: min(datasets) for key, datasets in _predicted(connection, set(keys)).items()}

    def labelled(  # noqa: PLR0913 - the filters
        self,
        dataset: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        version: str | None = None,
        limit: int | None = None,
        role: str = "answer",
        known_at: datetime | None = None,
    ) -> list[LabelledAnswer]:
        """Return predictions with the newest label of their record, in the order of observed_at, message_id and row.

        Selected are labels with since <= observed_at < until; with a limit, the newest of them. `role` is answer, or challenger for what
        was predicted in shadow. With `known_at`, labels that were received after it do not count, nor take the place of earlier ones.
        """
        values = {
            "dataset": dataset,
            "since": since,
            "until": until,
            "version": version,
            "limit": limit,
            "role": role,
            "known_at": known_at,
        }
        with self._reading(kwargs_row(_labelled)) as cursor:
            return cursor.execute(_LABELLED, values).fetchall()[::-1]

    def delete_lonely(self, moment: datetime, rows: int) -> int:
        """Delete the oldest `rows` labels without a prediction that were received before a moment, and return how many."""
        with self._connection() as connection:
            return connection.execute(_DELETE_LONELY, {"moment": moment, "rows": rows}).rowcount


def _histories(connection: psycopg.Connection, keys: set[RecordKey]) -> dict[tuple[RecordKey, str], LabelHistory]:
    observations: dict[tuple[RecordKey, str], list[Observation]] = {}
    with connection.cursor(row_factory=tuple_row) as cursor:
        for message_id, row, dataset, *observation in cursor.execute(_KNOWN, _key_columns(keys)):
            observations.setdefault((RecordKey(message_id, row), dataset), []).append(Observation(*observation))
    return {key: LabelHistory(known) for key, known in observations.items()}


def _labelled(trace_id: UUID | None, **columns: object) -> LabelledAnswer:
    return LabelledAnswer(trace_id=trace_text(trace_id), **columns)  # type: ignore[arg-type]  # the tables have these types


def _predicted(connection: psycopg.Connection, keys: set[RecordKey]) -> dict[RecordKey, dict[str, str | None]]:
    """Return the data sets of the predictions of records, with their traces; more than one only if a caller chose the same id twice."""
    predicted: dict[RecordKey, dict[str, str | None]] = {}
    with connection.cursor(row_factory=tuple_row) as cursor:
        for message_id, row, dataset, trace_id in cursor.execute(_PREDICTED, _key_columns(keys)):
            predicted.setdefault(RecordKey(message_id, row), {})[dataset] = trace_text(trace_id)
    return predicted


def _key_columns(keys: set[RecordKey]) -> tuple[list[str], list[int]]:
    ordered = sorted(keys)
    return [key.message_id for key in ordered], [key.row for key in ordered]


def _columns(new: Sequence[tuple[Label, Observation, str | None]]) -> tuple[list[object], ...]:
    ordered = sorted(enumerate(new), key=lambda item: (item[1][0].key, item[0]))  # by key: writers of the same records do not deadlock
    rows = [
        (label.message_id, label.row, label.dataset, seen.code, seen.label, seen.observed_at, label.reported_by, label.source, trace_id)
        for _, (label, seen, trace_id) in ordered
    ]
    return tuple(list(column) for column in zip(*rows, strict=True))
