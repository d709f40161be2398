from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Self
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import kwargs_row
from psycopg_pool import ConnectionPool, PoolTimeout
from pydantic_core import to_json

from hearth.errors import PredictionsUnavailable

CONNECT_SECONDS = 5
_FETCH_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one version said about one record.

    `row` is the record's place in its message. `version` is of the registered model that has the data set's name. `probabilities`
    follow the order of the contract's classes. `enqueued_at` is None where nobody knows it.
    """

    message_id: str
    row: int
    dataset: str
    alias: str
    version: str
    family: str
    code: int
    label: str
    probabilities: tuple[float, ...]
    record: dict[str, object]
    enqueued_at: datetime | None
    scored_at: datetime


_COLUMNS = ", ".join(field.name for field in fields(Prediction))
_ARRAYS = {
    "message_id": "text[]",
    "row": "int[]",
    "dataset": "text[]",
    "alias": "text[]",
    "version": "text[]",
    "family": "text[]",
    "code": "int[]",
    "label": "text[]",
    "probabilities": "text[]",  # unnest() would flatten arrays of arrays, so each travels as a text
    "record": "text[]",
    "enqueued_at": "timestamptz[]",
    "scored_at": "timestamptz[]",
}
_CASTS = {"probabilities": "::float8[]", "record": "::jsonb"}
_INSERT = (
    f"INSERT INTO predictions ({_COLUMNS}) SELECT {', '.join(name + _CASTS.get(name, '') for name in _ARRAYS)} "  # noqa: S608 - constants
    f"FROM unnest({', '.join(f'%({name})s::{type_}' for name, type_ in _ARRAYS.items())}) AS given ({', '.join(_ARRAYS)}) "
    "ON CONFLICT (message_id, row) DO NOTHING"
)
_SELECT = (
    f"SELECT {_COLUMNS} FROM predictions "  # noqa: S608 - constants
    "WHERE (%(dataset)s::text IS NULL OR dataset = %(dataset)s) AND (%(since)s::timestamptz IS NULL OR scored_at >= %(since)s)"
)


class PredictionStore:
    """The table `predictions`. Threads may share one store; it connects on first use, and again after the server was away."""

    def __init__(self, url: str, max_connections: int = 4) -> None:
        self._place = described(url)
        self._url = url
        self._pool = ConnectionPool(
            url,
            min_size=0,
            max_size=max_connections,
            open=False,
            timeout=CONNECT_SECONDS,
            reconnect_timeout=CONNECT_SECONDS,  # then the next caller begins anew: the pool's own tries come further and further apart
            check=ConnectionPool.check_connection,
            kwargs={"connect_timeout": CONNECT_SECONDS, "application_name": "hearth"},
        )

    def __enter__(self) -> Self:
        self._pool.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def put(self, predictions: Sequence[Prediction]) -> int:
        """Store all of them in one transaction and return how many were new: what is there already stays as it is.

        Raises:
            PredictionsUnavailable: nothing was stored, or nobody knows; putting the same again is safe.
        """
        if not predictions:
            return 0
        ordered = sorted(predictions, key=lambda given: (given.message_id, given.row))  # two writers of the same keys never deadlock
        values: dict[str, list[object]] = {name: [getattr(given, name) for given in ordered] for name in _ARRAYS}
        values["probabilities"] = ["{" + ",".join(map(repr, given.probabilities)) + "}" for given in ordered]
        values["record"] = [to_json(given.record).decode() for given in ordered]
        with self._connection() as connection:
            return connection.execute(_INSERT, values).rowcount

    def recent(self, limit: int = 20, dataset: str | None = None) -> list[Prediction]:
        """Return the latest predictions, newest first.

        Raises:
            PredictionsUnavailable: the store does not answer.
        """
        query = f"{_SELECT} ORDER BY scored_at DESC, message_id DESC, row DESC LIMIT %(limit)s"
        with self._connection() as connection, connection.cursor(row_factory=kwargs_row(_prediction)) as cursor:
            return cursor.execute(query, {"dataset": dataset, "since": None, "limit": limit}).fetchall()

    def since(self, moment: datetime | None = None, dataset: str | None = None) -> Iterator[Prediction]:
        """Yield predictions, oldest first, fetched bit by bit however many there are.

        Raises:
            PredictionsUnavailable: the store does not answer, or no longer does.
        """
        query = f"{_SELECT} ORDER BY scored_at, message_id, row"
        with self._connection() as connection, connection.cursor("export", row_factory=kwargs_row(_prediction)) as cursor:
            cursor.itersize = _FETCH_ROWS
            yield from cursor.execute(query, {"dataset": dataset, "since": moment})

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection]:
        try:
            with self._pool.connection() as connection:
                yield connection
        except psycopg.errors.UndefinedTable as error:
            raise PredictionsUnavailable(f"{self._place} has no predictions yet: run `python -m hearth.predictions migrate`.") from error
        except PoolTimeout as error:
            raise unavailable(self._place, self._why() or error) from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise unavailable(self._place, error) from error

    def _why(self) -> Exception | None:
        """Connect without the pool, which keeps the reason of a failure to itself."""
        try:
            psycopg.connect(self._url, connect_timeout=CONNECT_SECONDS).close()
        except psycopg.OperationalError as error:
            return error
        return None


def described(url: str) -> str:
    """Return where a PostgreSQL URL points to, without user and password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"


def unavailable(place: str, error: Exception) -> PredictionsUnavailable:
    """Return our error for one of the driver's."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return PredictionsUnavailable(f"The predictions store {place} does not answer: {reason}")


def _prediction(probabilities: list[float], **columns: object) -> Prediction:
    return Prediction(probabilities=tuple(probabilities), **columns)  # type: ignore[arg-type]  # the table has these types
