from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Self
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import class_row, kwargs_row
from psycopg_pool import ConnectionPool, PoolTimeout

from hearth.errors import PredictionsUnavailable
from hearth.predictions.comparison import COMPARED, Compared
from hearth.predictions.prediction import Cursor, Prediction
from hearth.predictions.rows import COLUMNS, line

CONNECT_SECONDS = 5
_FETCH_ROWS = 2_000
_SILENCE_SECONDS = 15
# What is wrong with the server, its state or our rights in it, and can be put right there: read-only is an InternalError, for example
_NOT_THE_DATA = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError, psycopg.ProgrammingError)
_NAMES = ", ".join(COLUMNS)
_COPY = f"COPY predictions ({_NAMES}) FROM STDIN"
_COPY_ASIDE = f"COPY given ({_NAMES}) FROM STDIN"
_INSERT_NEW = f"INSERT INTO predictions ({_NAMES}) SELECT {_NAMES} FROM given ON CONFLICT (message_id, row, role) DO NOTHING"  # noqa: S608 - constants
_DELETE_OLDEST = (
    "DELETE FROM predictions WHERE ctid = ANY (ARRAY("
    "SELECT ctid FROM predictions WHERE scored_at < %(moment)s ORDER BY scored_at LIMIT %(rows)s))"
)
_DELETING = 0x70727565  # any number that is ours, and not that of the migration
_SELECT = f"SELECT {_NAMES} FROM predictions"  # noqa: S608 - constants


class PredictionStore:
    """The table `predictions`. Threads may share one store; it connects on first use, and again after the server was away."""

    def __init__(self, url: str, max_connections: int = 4) -> None:
        self.place = described(url)
        self._url = url
        self._pool = ConnectionPool(
            url,
            min_size=0,
            max_size=max_connections,
            open=False,
            timeout=CONNECT_SECONDS,
            reconnect_timeout=CONNECT_SECONDS,  # then the next caller begins anew: the pool's own tries come further and further apart
            check=ConnectionPool.check_connection,
            kwargs={
                "autocommit": True,  # two fewer round trips for whatever is one statement, as nearly all is
                "connect_timeout": CONNECT_SECONDS,
                "application_name": "hearth",
                "tcp_user_timeout": _SILENCE_SECONDS * 1000,  # a server that vanished without a word is away too
                "keepalives_idle": _SILENCE_SECONDS,
            },
        )

    def __enter__(self) -> Self:
        self._pool.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def ping(self) -> None:
        """Return if the store answers and has its table.

        Raises:
            PredictionsUnavailable: it does not.
        """
        with self._connection() as connection:
            connection.execute("SELECT 1 FROM predictions LIMIT 1")

    def put(self, predictions: Sequence[Prediction]) -> int:
        """Store all of them in one transaction and return how many were new: what is there already stays as it is.

        Raises:
            PredictionsUnavailable: nothing was stored, or nobody knows; putting the same again is safe.
        """
        return self.put_lines([line(given) for given in predictions])

    def put_lines(self, lines: Sequence[bytes]) -> int:
        """Store predictions that are written as lines already; otherwise as `put` does.

        Raises:
            PredictionsUnavailable: nothing was stored, or nobody knows; putting the same again is safe.
        """
        if not lines:
            return 0
        ordered = sorted(lines)  # two writers of the same keys never deadlock
        data = b"".join(ordered)
        with self._connection() as connection:
            try:
                return _copy(connection, data)
            except psycopg.errors.UniqueViolation:
                return _copy_new(connection, data)

    def recent(self, limit: int = 20, dataset: str | None = None) -> list[Prediction]:
        """Return the latest answers, newest first.

        Raises:
            PredictionsUnavailable: the store does not answer.
        """
        return self.page(limit, dataset=dataset)

    def page(  # noqa: PLR0913 - what one may choose by
        self,
        limit: int,
        before: Cursor | None = None,
        *,
        dataset: str | None = None,
        alias: str | None = None,
        role: str = "answer",
        source: str | None = None,
    ) -> list[Prediction]:
        """Return a page of what was predicted, newest first; it begins behind `before`, the last prediction of the page before.

        Raises:
            PredictionsUnavailable: the store does not answer.
        """
        wanted = {"dataset": dataset, "alias": alias, "role": role, "source": source}
        conditions = [f"{name} = %({name})s" for name, value in wanted.items() if value is not None]
        if before is not None:
            conditions.append("(scored_at, message_id, row) < (%(scored_at)s, %(message_id)s, %(before_row)s)")
        query = f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY scored_at DESC, message_id DESC, row DESC LIMIT %(limit)s"
        place = {"scored_at": before.scored_at, "message_id": before.message_id, "before_row": before.row} if before else {}
        with self._connection() as connection, connection.cursor(row_factory=kwargs_row(_prediction)) as cursor:
            return cursor.execute(query.encode(), {**wanted, **place, "limit": limit}).fetchall()

    def of_message(self, message_id: str) -> list[Prediction]:
        """Return what was predicted for one message or request, answers and challenger's, by row.

        Raises:
            PredictionsUnavailable: the store does not answer.
        """
        query = f"{_SELECT} WHERE message_id = %(message_id)s ORDER BY row, role"
        with self._connection() as connection, connection.cursor(row_factory=kwargs_row(_prediction)) as cursor:
            return cursor.execute(query.encode(), {"message_id": message_id}).fetchall()

    def since(self, moment: datetime | None = None, dataset: str | None = None, until: datetime | None = None) -> Iterator[Prediction]:
        """Yield answers, oldest first, fetched bit by bit however many there are; `until` is the first moment that is too late.

        Raises:
            PredictionsUnavailable: the store does not answer, or no longer does.
        """
        conditions = ["role = 'answer'"]
        if dataset is not None:
            conditions.append("dataset = %(dataset)s")
        if moment is not None:
            conditions.append("scored_at >= %(since)s")
        if until is not None:
            conditions.append("scored_at < %(until)s")
        query = f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY scored_at, message_id, row"
        make = kwargs_row(_prediction)
        with self._connection() as connection, connection.transaction(), connection.cursor("export", row_factory=make) as cursor:
            cursor.itersize = _FETCH_ROWS
            yield from cursor.execute(query.encode(), {"dataset": dataset, "since": moment, "until": until})

    def compared(self, dataset: str, since: datetime | None = None) -> list[Compared]:
        """Return how often which versions said what of the same record, one as the answer and the other as the challenger.

        Raises:
            PredictionsUnavailable: the store does not answer.
        """
        with self._connection() as connection, connection.cursor(row_factory=class_row(Compared)) as cursor:
            return cursor.execute(COMPARED, {"dataset": dataset, "since": since}).fetchall()

    def delete_before(self, moment: datetime, rows: int) -> int:
        """Delete the oldest of what was scored before a moment, so many rows at most, and return how many; none, if others are about it.

        Raises:
            PredictionsUnavailable: nothing was deleted, or nobody knows.
        """
        with self._connection() as connection, connection.transaction():
            (mine,) = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [_DELETING]).fetchone() or (False,)
            return connection.execute(_DELETE_OLDEST, {"moment": moment, "rows": rows}).rowcount if mine else 0

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection]:
        try:
            with self._pool.connection() as connection:
                yield connection
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            raise PredictionsUnavailable(
                f"The predictions store {self.place} is not ready: run `python -m hearth store migrate`."
            ) from error
        except PoolTimeout as error:
            raise unavailable(self.place, self._why() or error) from error
        except _NOT_THE_DATA as error:
            raise unavailable(self.place, error) from error

    def _why(self) -> Exception | None:
        """Connect without the pool, which keeps the reason of a failure to itself."""
        try:
            psycopg.connect(self._url, connect_timeout=CONNECT_SECONDS).close()
        except psycopg.OperationalError as error:
            return error
        return None


def _copy(connection: psycopg.Connection, data: bytes) -> int:
    """Write straight into the table, in one statement: the fastest way, open as long as no key is there already."""
    with connection.cursor() as cursor:
        with cursor.copy(_COPY) as copy:
            copy.write(data)
        return cursor.rowcount


def _copy_new(connection: psycopg.Connection, data: bytes) -> int:
    """Write what is not there yet: what comes a second time, after a worker or a connection was lost."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE given (LIKE predictions) ON COMMIT DROP")
        with cursor.copy(_COPY_ASIDE) as copy:
            copy.write(data)
        return cursor.execute(_INSERT_NEW).rowcount


def described(url: str) -> str:
    """Return where a PostgreSQL URL points to, without user and password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"


def unavailable(place: str, error: Exception) -> PredictionsUnavailable:
    """Return our error for one of the driver's."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return PredictionsUnavailable(f"The predictions store {place} cannot be used: {reason}")


def _prediction(probabilities: list[float], **columns: object) -> Prediction:
    return Prediction(probabilities=tuple(probabilities), **columns)  # type: ignore[arg-type]  # the table has these types
