"""The tests whether a version has fallen, as the store holds them: each labelled answer is counted once, in an order that is kept.

Labels arrive late, before their predictions, in any order, and are corrected. So a test writes down what it has counted, with the place: a
rerun continues there, and a process that is killed has counted all of a step or nothing. A corrected label takes the place of the first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from psycopg import Connection
from psycopg.rows import kwargs_row, tuple_row

from hearth.monitoring.e_process import EProcess, advance, alarms, begin, evidence
from hearth.predictions.quality_store import IS_NEWEST, QualityStore

_SLACK = timedelta(hours=1)  # by which the clocks of servers may differ, and a transaction may take
_NAMES = "id, version, reference, state::text AS state, started_at, counted_at, alarmed_at"
_RUNNING = f"SELECT {_NAMES} FROM quality_tests WHERE dataset = %(dataset)s AND subject = %(subject)s AND ended_at IS NULL FOR UPDATE"  # noqa: S608 - constants
_BEGIN = f"""
    INSERT INTO quality_tests (dataset, subject, version, reference, state, started_at)
    SELECT %(dataset)s, %(subject)s, %(version)s, %(reference)s, %(state)s,
           -- A version that comes back is tested anew, on new answers
           CASE WHEN EXISTS (SELECT FROM quality_tests WHERE dataset = %(dataset)s AND subject = %(subject)s AND version = %(version)s)
                THEN %(now)s::timestamptz ELSE %(created)s::timestamptz END
    ON CONFLICT DO NOTHING RETURNING {_NAMES}
"""  # noqa: S608
_NEW = f"""
    SELECT message_id, row, prediction.code, label.code
    FROM labels AS label JOIN predictions AS prediction USING (message_id, row, dataset)
    WHERE dataset = %(dataset)s AND prediction.version = %(version)s AND prediction.role = %(role)s
      AND prediction.scored_at >= %(started_at)s AND label.received_at >= %(received_at)s AND {IS_NEWEST}
      AND NOT EXISTS (
        SELECT FROM quality_losses AS counted
        WHERE counted.test_id = %(id)s AND counted.message_id = label.message_id AND counted.row = label.row
      )
    ORDER BY label.observed_at, message_id, row
"""  # noqa: S608
_CHANGED = f"""
    SELECT message_id, row, prediction.code, label.code, counted.loss
    FROM labels AS label
         JOIN predictions AS prediction USING (message_id, row, dataset)
         JOIN quality_losses AS counted USING (message_id, row)
    WHERE dataset = %(dataset)s AND counted.test_id = %(id)s AND prediction.role = %(role)s
      AND label.received_at >= %(changed_at)s AND {IS_NEWEST}
"""  # noqa: S608
_WRITE = """
    INSERT INTO quality_losses (test_id, message_id, row, position, loss)
    SELECT %s, * FROM unnest(%s::text[], %s::integer[], %s::bigint[], %s::double precision[])
"""
_CORRECT = "UPDATE quality_losses SET loss = %s WHERE test_id = %s AND message_id = %s AND row = %s"

Loss = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Losses from 0 to 1 of predicted and true values, shape (rows,)."""


@dataclass(frozen=True, slots=True)
class StoredTest:
    """A test after the labels that it has counted."""

    id: int
    version: str
    reference: float
    state: EProcess
    started_at: datetime
    counted_at: datetime | None
    alarmed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Claim:
    """That a version of a data set has not fallen: why it is tested (the subject), and the bound, from the mean loss on its test set.

    `created` is when the version was: of one that is tested for the first time, answers count from then on. `chance` is that of a false
    alarm.
    """

    dataset: str
    subject: str
    version: str
    role: str
    created: datetime
    reference: float
    bound: float
    chance: float


class QualityTests(QualityStore):
    """Tests. Every method raises PredictionsUnavailable if the store does not answer."""

    def count(self, claim: Claim, loss: Loss, now: datetime) -> tuple[StoredTest, float]:
        """Count the labelled answers of a version that its test has not seen, and return it with the mean loss.

        A subject has one test that runs: another version ends it and begins a new one. Processes that count at the same time wait for each
        other. Another bound, or a corrected label, has the test computed anew, from what it has counted, in the same order.
        """
        with self._connection() as connection, connection.transaction():
            test = _running(connection, claim, now)
            about = {
                "id": test.id,
                "dataset": claim.dataset,
                "version": claim.version,
                "role": claim.role,
                "started_at": test.started_at,
                "received_at": test.started_at - _SLACK,
                "changed_at": test.counted_at - _SLACK if test.counted_at else now,
            }
            corrected = _correct(connection, about, loss)
            losses = _count(connection, about, loss, test.state.labels)
            before, alarmed = test.state, test.alarmed_at is not None
            if corrected or before.bound != claim.bound:
                before, alarmed, losses = begin(claim.bound), False, _all_losses(connection, test.id)
            state, alarmed = advance(before, losses), alarms(evidence(before, losses), claim.chance, alarmed=alarmed)
            alarmed_at = (test.alarmed_at or now) if alarmed else None
            connection.execute(
                "UPDATE quality_tests SET reference = %s, state = %s, counted_at = %s, alarmed_at = %s WHERE id = %s",
                (claim.reference, state.to_json().decode(), now, alarmed_at, test.id),
            )
            query = "SELECT avg(loss) FROM quality_losses WHERE test_id = %s"
            (mean,) = connection.cursor(row_factory=tuple_row).execute(query, [test.id]).fetchone() or (None,)
        stored = StoredTest(test.id, test.version, claim.reference, state, test.started_at, now, alarmed_at)
        return stored, float(mean or 0.0)

    def alarm(self, dataset: str, version: str) -> str:
        """Return what a running test of a version says if it alarms, in a sentence; else nothing."""
        query = """
            SELECT state::text, reference FROM quality_tests
            WHERE dataset = %s AND version = %s AND ended_at IS NULL AND alarmed_at IS NOT NULL ORDER BY id LIMIT 1
        """
        with self._reading(tuple_row) as cursor:
            found = cursor.execute(query, (dataset, version)).fetchone()
        if found is None:
            return ""
        state, reference = EProcess.from_json(found[0]), float(found[1])
        return (
            f"labels say that its answers are wrong more often than the tolerance allows: evidence {state.value:.3g} after {state.labels}"
            f" labels; {reference:.1%} were wrong on its test set, {state.bound:.1%} are allowed"
        )

    def end(self, dataset: str, subjects: list[str], now: datetime) -> None:
        """End the tests of subjects that are no more."""
        query = "UPDATE quality_tests SET ended_at = %s WHERE dataset = %s AND subject = ANY (%s) AND ended_at IS NULL"
        with self._connection() as connection:
            connection.execute(query, (now, dataset, subjects))


def _running(connection: Connection, claim: Claim, now: datetime) -> StoredTest:
    values = {
        "dataset": claim.dataset,
        "subject": claim.subject,
        "version": claim.version,
        "reference": claim.reference,
        "state": begin(claim.bound).to_json().decode(),
        "created": claim.created,
        "now": now,
    }
    while True:
        test = connection.cursor(row_factory=kwargs_row(_test)).execute(_RUNNING.encode(), values).fetchone()
        if test is not None and test.version == claim.version:
            return test
        if test is not None:
            connection.execute("UPDATE quality_tests SET ended_at = %s WHERE id = %s", (now, test.id))
        if test := connection.cursor(row_factory=kwargs_row(_test)).execute(_BEGIN.encode(), values).fetchone():
            return test  # else another process has begun it since we looked


def _test(state: str, **columns: object) -> StoredTest:
    return StoredTest(state=EProcess.from_json(state), **columns)  # type: ignore[arg-type]  # the table has these types


def _correct(connection: Connection, about: dict[str, object], loss: Loss) -> bool:
    """Write the losses of labels that have changed since they were counted; returns whether there was one."""
    found = connection.cursor(row_factory=tuple_row).execute(_CHANGED.encode(), about).fetchall()
    if not found:
        return False
    _, _, codes, truths, before = (np.array(values) for values in zip(*found, strict=True))
    now = loss(codes, truths)
    changed = np.flatnonzero(now != before)
    with connection.cursor() as cursor:
        cursor.executemany(_CORRECT, [(float(now[place]), about["id"], found[place][0], found[place][1]) for place in changed])
    return bool(len(changed))


def _count(connection: Connection, about: dict[str, object], loss: Loss, counted: int) -> np.ndarray:
    """Write down the losses of new labels, and return them in their order."""
    found = connection.cursor(row_factory=tuple_row).execute(_NEW.encode(), about).fetchall()
    if not found:
        return np.zeros(0)
    message_ids, rows, codes, truths = (list(values) for values in zip(*found, strict=True))
    losses = loss(np.array(codes), np.array(truths))
    positions = [counted + place for place in range(len(losses))]
    connection.execute(_WRITE, (about["id"], message_ids, rows, positions, losses.tolist()))
    return losses


def _all_losses(connection: Connection, test_id: int) -> np.ndarray:
    found = connection.execute("SELECT loss FROM quality_losses WHERE test_id = %s ORDER BY position", [test_id]).fetchall()
    return np.array([loss for (loss,) in found], dtype=np.float64)
