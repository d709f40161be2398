"""The data database: any that SQLAlchemy reaches; PostgreSQL and MariaDB are tested."""

import csv
import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import URL, Connection, Engine, create_engine, delete, func, insert, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, InterfaceError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable, DropTable

from hearth.contracts import Contract
from hearth.data.ingest.batches import Batch, Row, texts_of, typed_rows
from hearth.data.ingest.tables import KEY, data_table, differences, marks_table, require_fit, require_ours
from hearth.errors import DataUnavailable, IngestError, InvalidRawData, InvalidSettings

_CONNECT_SECONDS = 5
_FETCH_ROWS = 5_000
_DIGITS = 16
_SPEAK_CONNECT_TIMEOUT = {"psycopg", "psycopg2", "pymysql"}


@dataclass(frozen=True)
class Cleared:
    """What `clear` has removed."""

    rows: int
    batches: int


@dataclass(frozen=True)
class Export:
    """All rows of a table as a CSV file, in the order of batch and row: the same rows give the same bytes."""

    content: bytes
    rows: int
    batches: int

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:_DIGITS]


class BatchTable:
    """The table of one data set, and the marks of the batches in it. Batches and their mark are written in one transaction.

    Every method raises DataUnavailable when the database does not answer, IngestError when it refuses.
    """

    def __init__(self, url: str, contract: Contract, name: str) -> None:
        parsed = _parsed(url)
        self.place = f"{parsed.host or parsed.get_backend_name()}/{parsed.database or ''}"
        self.name = name
        self._contract = contract
        self._rows = data_table(contract, name)
        self._marks = marks_table()
        self._engine = _engine(parsed)

    def store(self, batch: Batch, run: str) -> bool:
        """Store a batch, whole or not at all; `run` is who did it.

        Returns:
            False if a batch of this number and group is stored already: nothing is changed then, whatever its rows.

        Raises:
            InvalidBatch: too many of its rows break the contract.
            TableMismatch: the table is not the one that the contract makes.
        """
        rows = [self._values(batch, number, row) for number, row in enumerate(typed_rows(self._contract, batch))]
        mark = {
            "table_name": self.name,
            "group_number": batch.group,
            "batch_number": batch.number,
            "digest": batch.digest,
            "row_count": len(batch.rows),
            "dag_run": run,
            "stored_at": datetime.now(UTC).replace(tzinfo=None),
        }
        with self._errors():
            self._prepare()
            with self._engine.connect() as connection:
                self._require_fit(connection)
                if self._digest_of(connection, batch) is not None:
                    return False
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(self._marks), mark)  # first: it keeps another writer of the same batch waiting
                    connection.execute(insert(self._rows), rows)
            except IntegrityError:
                with self._engine.connect() as connection:
                    if self._digest_of(connection, batch) is None:
                        raise
                return False  # another writer was faster
        return True

    def differs(self, batch: Batch) -> bool:
        """Tell whether the batch of this number is stored with other rows than these."""
        with self._errors(), self._engine.connect() as connection:
            return self._digest_of(connection, batch) not in {None, batch.digest}

    def count(self, *, run: str | None = None, group: int | None = None) -> int:
        """Count the batches that are stored: all, or those of a run or of a group."""
        query = select(func.count()).select_from(self._marks).where(self._marks.c.table_name == self.name)
        if run is not None:
            query = query.where(self._marks.c.dag_run == run)
        if group is not None:
            query = query.where(self._marks.c.group_number == group)
        with self._errors(), self._engine.connect() as connection:
            return int(connection.scalar(query) or 0) if self._has(connection, self._marks.name) else 0

    def digests(self) -> set[str]:
        """Return the digests of the batches that are stored."""
        query = select(self._marks.c.digest).where(self._marks.c.table_name == self.name)
        with self._errors(), self._engine.connect() as connection:
            return set(connection.scalars(query)) if self._has(connection, self._marks.name) else set()

    def export(self) -> Export:
        """Read all rows in one transaction.

        Raises:
            InvalidRawData: there are none.
            TableMismatch: the table is not the one that the contract makes.
        """
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self._contract.columns)
        rows, batches = 0, set()
        with self._errors(), self._engine.connect() as connection:
            if not self._has(connection, self.name):
                raise self._empty()
            self._require_fit(connection)
            query = select(self._rows).order_by(*(self._rows.c[part] for part in KEY))
            for record in connection.execution_options(yield_per=_FETCH_ROWS).execute(query):
                group, number, _, *cells, raw = record
                writer.writerow(texts_of(Row(tuple(cells), raw)))
                batches.add((group, number))
                rows += 1
        if not rows:
            raise self._empty()
        return Export(text.getvalue().encode(), rows, len(batches))

    def clear(self) -> Cleared:
        """Remove all rows and marks of this table in one transaction; a table that does not fit the contract any more goes altogether.

        Raises:
            TableMismatch: the table is not one that `store` has made; it is left alone.
        """
        fits, rows, batches = True, 0, 0
        with self._errors(), self._engine.begin() as connection:
            if self._has(connection, self.name):
                actual = inspect(connection).get_columns(self.name)
                require_ours(self._contract, self._rows, actual, self.place)
                fits = not differences(self._rows, actual)
                rows = connection.execute(delete(self._rows)).rowcount
            if self._has(connection, self._marks.name):
                batches = connection.execute(delete(self._marks).where(self._marks.c.table_name == self.name)).rowcount
        if not fits:
            with self._errors(), self._engine.begin() as connection:  # not above: MySQL would commit what came before
                connection.execute(DropTable(self._rows))
        return Cleared(rows, batches)

    def _values(self, batch: Batch, number: int, row: Row) -> dict[str, object]:
        columns = [column.name for column in self._rows.columns]
        return dict(zip(columns, (batch.group, batch.number, number, *row.cells, row.raw), strict=True))

    def _digest_of(self, connection: Connection, batch: Batch) -> str | None:
        """Return the digest of the rows that are stored under the batch's number; None if none are."""
        marks = self._marks.c
        digest: str | None = connection.scalar(
            select(marks.digest).where(marks.table_name == self.name, marks.group_number == batch.group, marks.batch_number == batch.number)
        )
        return digest

    def _prepare(self) -> None:
        """Make the tables unless they are there."""
        with self._engine.connect() as connection:
            missing = [table for table in (self._marks, self._rows) if not self._has(connection, table.name)]
        for table in missing:
            try:
                with self._engine.begin() as connection:
                    connection.execute(CreateTable(table))
            except SQLAlchemyError:
                with self._engine.connect() as connection:
                    if not self._has(connection, table.name):  # else another process was faster
                        raise

    def _require_fit(self, connection: Connection) -> None:
        require_fit(self._contract, self._rows, inspect(connection).get_columns(self.name), self.place)

    @staticmethod
    def _has(connection: Connection, name: str) -> bool:
        return inspect(connection).has_table(name)

    def _empty(self) -> InvalidRawData:
        return InvalidRawData(f"{self.place}.{self.name} has no rows: run load_data first.")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError) as error:
            raise DataUnavailable(
                f"The data database {self.place} does not answer, or failed: {_reason(error)}. HEARTH_DATA_DB_URL says where it is."
            ) from error
        except SQLAlchemyError as error:
            raise IngestError(f"The data database {self.place} refused: {_reason(error)}") from error


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        raise InvalidSettings(
            "HEARTH_DATA_DB_URL is no URL of a database: expected dialect+driver://user:password@host/database."
        ) from None


def _engine(url: URL) -> Engine:
    try:
        driver = url.get_dialect().driver
        arguments = {"connect_timeout": _CONNECT_SECONDS} if driver in _SPEAK_CONNECT_TIMEOUT else {}
        # Tasks are short and far apart: nothing is gained by keeping connections. Parameters are rows of data, not for logs.
        return create_engine(url, poolclass=NullPool, connect_args=arguments, hide_parameters=True)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise InvalidSettings(
            f"HEARTH_DATA_DB_URL names {url.drivername!r}, whose driver is not installed ({error}): postgresql and mysql+pymysql are."
        ) from None


def _reason(error: SQLAlchemyError) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(str(cause).split()) or type(cause).__name__
