import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Self, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
from psycopg.rows import RowFactory, class_row, kwargs_row
from psycopg_pool import ConnectionPool, PoolTimeout

from hearth.errors import PredictionsUnavailable
from hearth.predictions.comparison import LABEL_PAIRS, LabelPair
from hearth.predictions.prediction import Cursor, Prediction
from hearth.predictions.rows import COLUMNS, line

Row = TypeVar("Row")

CONNECT_SECONDS = 5
_STATEMENT_SECONDS = 60.0
_ANSWER_SECONDS = 1.0  # in which the answer of a statement that the server ended arrives
_FETCH_ROWS = 2_000
_SILENCE_SECONDS = 15
# Errors of the server, its state or our permissions, which can be fixed there; read-only is an InternalError, for example
_SERVER_ERRORS = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError, psycopg.ProgrammingError)
_NAMES = ", ".join(COLUMNS)
_COPY = f"COPY predictions ({_NAMES}) FROM STDIN"
_COPY_INCOMING = f"COPY incoming ({_NAMES}) FROM STDIN"
_INSERT_NEW = f"INSERT INTO predictions ({_NAMES}) SELECT {_NAMES} FROM incoming ON CONFLICT (message_id, row, role) DO NOTHING"  # noqa: S608 - constants
_COUNT_REFUSED = """
    INSERT INTO refused_records AS known (dataset, at, records) VALUES (%s, date_trunc('second', clock_timestamp()), %s)
    ON CONFLICT (dataset, at) DO UPDATE SET records = known.records + EXCLUDED.records
"""
# Labels go with what they belong to
_DELETE_OLDEST = """
    WITH old AS (
        DELETE FROM predictions WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM predictions WHERE scored_at < %(moment)s ORDER BY scored_at LIMIT %(rows)s
        )) RETURNING message_id, row, dataset
    ), old_labels AS (
        DELETE FROM labels AS label USING old
        WHERE label.message_id = old.message_id AND label.row = old.row AND label.dataset = old.dataset
    )
    SELECT count(*) FROM old
"""
_DELETE_LOCK = 0x70727565  # any number that differs from the lock of the migration
_SELECT = f"SELECT {_NAMES} FROM predictions"  # noqa: S608 - constants


class PredictionStore:
    """The table `predictions`. Thread-safe; it connects on first use, and again after an outage of the server.

    The server ends a statement after `statement_seconds`. A server that stands still ends nothing: a read then gives its connection up, a
    little later. A connection has to be there within `connect_seconds` (at least 2, libpq's smallest). After a
    read that got none, further reads are refused for `refuse_seconds`: those that queue behind it would each wait as long again.
    """

    def __init__(
        self,
        url: str,
        max_connections: int = 4,
        statement_seconds: float = _STATEMENT_SECONDS,
        connect_seconds: int = CONNECT_SECONDS,
        refuse_seconds: float = 0.0,
    ) -> None:
        self.place = describe(url)
        self._read_seconds = statement_seconds + _ANSWER_SECONDS
        self._url, self._connect_seconds, self._refuse_seconds = url, connect_seconds, refuse_seconds
        self._no_connection: tuple[float, str] | None = None  # when a read last got none, and why
        self._pool = ConnectionPool(
            url,
            min_size=0,
            max_size=max_connections,
            num_workers=min(3, max_connections),  # threads that connect
            open=False,
            timeout=connect_seconds,
            reconnect_timeout=connect_seconds,  # then the next caller tries again: the pause between the pool's own retries grows
            check=self._check_connection,
            kwargs={
                "autocommit": True,  # saves two round trips for a single statement, which most calls are
                "connect_timeout": connect_seconds,
                "application_name": "hearth",
                "options": f"-c statement_timeout={round(statement_seconds * 1000)}",
                "tcp_user_timeout": _SILENCE_SECONDS * 1000,  # detects a server that vanished without closing the connection
                "keepalives_idle": _SILENCE_SECONDS,
            },
        )

    def __enter__(self) -> Self:
        self._pool.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def ping(self) -> None:
        """Check that the store answers and has its table.

        Raises:
            PredictionsUnavailable: it does not answer, or has no table.
        """
        with self._connection() as connection, _deadline(connection, self._read_seconds):
            connection.execute("SELECT 1 FROM predictions LIMIT 1")

    def put(self, predictions: Sequence[Prediction]) -> int:
        """Store predictions in one transaction and return how many were new; existing keys stay as they are.

        Raises:
            PredictionsUnavailable: the predictions may or may not be stored; retrying is safe.
        """
        return self.put_lines([line(prediction) for prediction in predictions])

    def put_lines(self, lines: Sequence[bytes]) -> int:
        """Store predictions in the form of lines, as `put` does.

        Raises:
            PredictionsUnavailable: the predictions may or may not be stored; retrying is safe.
        """
        if not lines:
            return 0
        ordered = sorted(lines)  # so that two writers of the same keys do not deadlock
        data = b"".join(ordered)
        with self._connection() as connection:
            try:
                return _copy(connection, data)
            except psycopg.errors.UniqueViolation:
                return _copy_new(connection, data)

    def count_refused(self, records: Mapping[str, int]) -> None:
        """Add to the numbers of records that were refused in this second, by data set; retrying may count them twice.

        Raises:
            PredictionsUnavailable: they may or may not be counted.
        """
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.executemany(_COUNT_REFUSED, sorted(records.items()))

    def recent(self, limit: int = 20, dataset: str | None = None) -> list[Prediction]:
        """Return the latest answers, newest first.

        Raises:
            PredictionsUnavailable: the store does not answer.
        """
        return self.page(limit, dataset=dataset)

    def page(  # noqa: PLR0913 - the filters
        self,
        limit: int,
        before: Cursor | None = None,
        *,
        dataset: str | None = None,
        alias: str | None = None,
        role: str = "answer",
        source: str | None = None,
    ) -> list[Prediction]:
        """Return at most `limit` predictions, newest first, that follow the cursor `before`.

        Raises:
            PredictionsUnavailable: the store does not answer.
        """
        filters = {"dataset": dataset, "alias": alias, "role": role, "source": source}
        conditions = [f"{name} = %({name})s" for name, value in filters.items() if value is not None]
        if before is not None:
            conditions.append("(scored_at, message_id, row) < (%(scored_at)s, %(message_id)s, %(before_row)s)")
        query = f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY scored_at DESC, message_id DESC, row DESC LIMIT %(limit)s"
        position = {"scored_at": before.scored_at, "message_id": before.message_id, "before_row": before.row} if before else {}
        with self._reading(kwargs_row(_prediction)) as cursor:
            return cursor.execute(query.encode(), {**filters, **position, "limit": limit}).fetchall()

    def of_message(self, message_id: str) -> list[Prediction]:
        """Return the predictions for one message or request, in the order of rows, with those of the challenger.

        Raises:
            PredictionsUnavailable: the store does not answer.
        """
        query = f"{_SELECT} WHERE message_id = %(message_id)s ORDER BY row, role"
        with self._reading(kwargs_row(_prediction)) as cursor:
            return cursor.execute(query.encode(), {"message_id": message_id}).fetchall()

    def since(self, moment: datetime | None = None, dataset: str | None = None, until: datetime | None = None) -> Iterator[Prediction]:
        """Yield the answers that were scored in since <= scored_at < until, oldest first, in constant memory.

        Raises:
            PredictionsUnavailable: the store does not answer, at the start or later.
        """
        conditions = ["role = 'answer'"]
        if dataset is not None:
            conditions.append("dataset = %(dataset)s")
        if moment is not None:
            conditions.append("scored_at >= %(since)s")
        if until is not None:
            conditions.append("scored_at < %(until)s")
        query = f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY scored_at, message_id, row"
        rows = kwargs_row(_prediction)
        with self._connection() as connection, connection.transaction(), connection.cursor("export", row_factory=rows) as cursor:
            cursor.itersize = _FETCH_ROWS
            yield from cursor.execute(query.encode(), {"dataset": dataset, "since": moment, "until": until})

    def label_pairs(self, dataset: str, since: datetime | None = None) -> list[LabelPair]:
        """Return the numbers of records by versions and labels of champion and challenger, ordered by version.

        Raises:
            PredictionsUnavailable: the store does not answer.
        """
        with self._reading(class_row(LabelPair)) as cursor:
            return cursor.execute(LABEL_PAIRS, {"dataset": dataset, "since": since}).fetchall()

    def delete_before(self, moment: datetime, rows: int) -> int:
        """Delete the oldest `rows` predictions that were scored before a moment, with their labels, and return how many predictions.

        None while another process does.

        Raises:
            PredictionsUnavailable: the rows may or may not be deleted.
        """
        with self._connection() as connection, connection.transaction():
            (is_locked,) = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [_DELETE_LOCK]).fetchone() or (False,)
            if not is_locked:
                return 0
            (deleted,) = connection.execute(_DELETE_OLDEST, {"moment": moment, "rows": rows}).fetchone() or (0,)
            return int(deleted)

    def size(self) -> int:
        """Return the bytes of the table and its indexes.

        Raises:
            PredictionsUnavailable: the store does not answer.
        """
        with self._connection() as connection:
            (size,) = connection.execute("SELECT pg_total_relation_size('predictions')").fetchone() or (0,)
            return int(size)

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
            raised = unavailable(self.place, self._connection_error() or error)
            self._no_connection = time.monotonic(), str(raised)
            raise raised from error
        except _SERVER_ERRORS as error:
            raise unavailable(self.place, error) from error

    @contextmanager
    def _reading(self, rows: RowFactory[Row]) -> Iterator[psycopg.Cursor[Row]]:
        if self._no_connection is not None and time.monotonic() - self._no_connection[0] < self._refuse_seconds:
            raise PredictionsUnavailable(self._no_connection[1])
        with self._connection() as connection, _deadline(connection, self._read_seconds), connection.cursor(row_factory=rows) as cursor:
            yield cursor

    def _check_connection(self, connection: psycopg.Connection) -> None:
        with _deadline(connection, self._connect_seconds):
            ConnectionPool.check_connection(connection)

    def _connection_error(self) -> Exception | None:
        """Return the error of a connection without the pool, which does not report the cause of a failure."""
        try:
            psycopg.connect(self._url, connect_timeout=self._connect_seconds).close()
        except psycopg.OperationalError as error:
            return error
        return None


@contextmanager
def _deadline(connection: psycopg.Connection, seconds: float) -> Iterator[None]:
    """Break a connection whose server has not answered after some seconds: psycopg itself waits for ever."""
    timer = threading.Timer(seconds, _break, [connection.fileno()])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _break(descriptor: int) -> None:
    with socket.socket(fileno=os.dup(descriptor)) as broken:
        broken.shutdown(socket.SHUT_RDWR)


def _copy(connection: psycopg.Connection, data: bytes) -> int:
    """Write into the table in one statement, the fastest way; fails if one of the keys exists."""
    with connection.cursor() as cursor:
        with cursor.copy(_COPY) as copy:
            copy.write(data)
        return cursor.rowcount


def _copy_new(connection: psycopg.Connection, data: bytes) -> int:
    """Write the rows whose keys do not exist: after a worker or a connection was lost, rows are written again."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE incoming (LIKE predictions) ON COMMIT DROP")
        with cursor.copy(_COPY_INCOMING) as copy:
            copy.write(data)
        return cursor.execute(_INSERT_NEW).rowcount


def describe(url: str) -> str:
    """Return host, port and database of a PostgreSQL URL, without user and password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"


def unavailable(place: str, error: Exception) -> PredictionsUnavailable:
    """Return the error to raise for an error of the driver."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return PredictionsUnavailable(f"The predictions store {place} cannot be used: {reason}")


def trace_text(trace_id: UUID | None) -> str | None:
    """Return the id of a trace as it goes in and out: the table has it as a uuid, in half the bytes."""
    return None if trace_id is None else trace_id.hex


def _prediction(probabilities: list[float], label_set: list[str] | None, trace_id: UUID | None, **columns: object) -> Prediction:
    return Prediction(
        probabilities=tuple(probabilities),
        label_set=None if label_set is None else tuple(label_set),
        trace_id=trace_text(trace_id),
        **columns,  # type: ignore[arg-type]  # the table has these types
    )
