"""Erases what is stored of a record, and keeps it out for ever: `hearth predictions forget`."""

from dataclasses import dataclass

from psycopg.rows import class_row

from hearth.errors import UnknownMessage
from hearth.predictions.store import PredictionStore

EVERY_ROW = -1
# Whoever writes predictions or labels now is waited for, and whoever begins sees the forgotten record: nothing slips in between
_LOCK = "LOCK TABLE predictions, labels IN SHARE ROW EXCLUSIVE MODE"
_CHOSEN = "message_id = %(message_id)s AND (%(row)s = -1 OR row = %(row)s)"
_KNOWN = f"""
    SELECT dataset FROM predictions WHERE {_CHOSEN} UNION SELECT dataset FROM labels WHERE {_CHOSEN}
    UNION SELECT dataset FROM forgotten_records WHERE message_id = %(message_id)s AND row IN (-1, %(row)s)
    UNION SELECT dataset FROM retrains JOIN retrain_records ON retrain_id = id WHERE {_CHOSEN} LIMIT 1
"""  # noqa: S608 - constants
_REMEMBER = """
    INSERT INTO forgotten_records (message_id, row, dataset, forgotten_by) VALUES (%(message_id)s, %(row)s, %(dataset)s, %(by)s)
    ON CONFLICT DO NOTHING
"""
_TRAINED_ON = f"""
    SELECT id, state, digest, version FROM retrains
    WHERE EXISTS (SELECT FROM retrain_records WHERE retrain_id = id AND {_CHOSEN}) ORDER BY decided_at
"""  # noqa: S608 - constants


@dataclass(frozen=True)
class TrainedOn:
    """A retraining whose data hold a record: what became of it, its data and its version, as far as there are any."""

    id: str
    state: str
    digest: str | None
    version: str | None


@dataclass(frozen=True)
class Erasure:
    """What was erased of a record. `row` is None if it was the whole message; `trained_on` still holds it, the oldest first."""

    message_id: str
    row: int | None
    dataset: str
    predictions: int
    labels: int
    trained_on: tuple[TrainedOn, ...]


class ErasureStore(PredictionStore):
    """The table `forgotten_records`."""

    def forget(self, message_id: str, row: int | None, by: str) -> Erasure:
        """Erase the predictions and labels of a record, or of all of a message, and remember its key so that it is never stored again.

        May run again with the same result, except for the counts.

        Raises:
            UnknownMessage: nothing is stored under this id, and nothing was.
            PredictionsUnavailable: the store does not answer; all of it was erased, or nothing.
        """
        if "\0" in message_id:  # PostgreSQL stores no such text
            raise UnknownMessage(message_id)
        values = {"message_id": message_id, "row": EVERY_ROW if row is None else row, "by": by}
        with self._connection() as connection, connection.transaction():
            connection.execute(_LOCK)
            known = connection.execute(_KNOWN, values).fetchone()
            if known is None:
                raise UnknownMessage(message_id)
            connection.execute(_REMEMBER, {**values, "dataset": known[0]})
            predictions, labels = (
                connection.execute(f"DELETE FROM {table} WHERE {_CHOSEN}".encode(), values).rowcount  # noqa: S608 - constants
                for table in ("predictions", "labels")
            )
            with connection.cursor(row_factory=class_row(TrainedOn)) as cursor:
                found = cursor.execute(_TRAINED_ON, values).fetchall()
        return Erasure(message_id, row, known[0], predictions, labels, tuple(found))
