"""Copies of PostgreSQL databases: what is in the tables, by COPY; ADR 0027 says why not by pg_dump.

The schema is not copied where the application makes it by migrations: the copy has the revision, and goes only into a database of the same
one. A database without revisions (that of the data, whose tables are derived from contracts) is copied with its tables' definitions.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Self

import psycopg
from psycopg import sql

from hearth.backup.archives import Archive
from hearth.errors import BackupError, BackupUnavailable

Connection = psycopg.Connection[tuple[Any, ...]]

BLOCK_BYTES = 4 << 20
SCHEMA = "schema.json"

_CONNECT_SECONDS = 10
# Alembic's tables have this one column, whatever they are called.
_REVISION_COLUMN = "version_num"
_TABLES = """
SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE a.attgenerated = ''),
    array_agg(format('%I %s%s', a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' NOT NULL' END)
        ORDER BY a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace GROUP BY c.relname ORDER BY c.relname
"""
_CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND contype = ANY(%s) ORDER BY contype DESC, conname
"""
_INDEXES = """
SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid) ORDER BY 1
"""
_SEQUENCES = "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1"


@dataclass(frozen=True)
class Table:
    """A table: the columns that are copied, and its definition."""

    name: str
    columns: tuple[str, ...]
    definition: tuple[str, ...]


@dataclass(frozen=True)
class Schema:
    """What a database looks like.

    Attributes:
        revisions: of each table of revisions; empty where the application has no migrations.
        sequences: name, last value, and whether that was handed out.
        statements: what makes constraints and indexes of a database without migrations.
    """

    server: str
    revisions: dict[str, list[str]]
    tables: tuple[Table, ...]
    sequences: tuple[tuple[str, int, bool], ...]
    statements: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        document = json.loads(content)
        tables = tuple(Table(t["name"], tuple(t["columns"]), tuple(t["definition"])) for t in document["tables"])
        sequences = tuple((str(name), int(value), bool(called)) for name, value, called in document["sequences"])
        return cls(**(document | {"tables": tables, "sequences": sequences, "statements": tuple(document["statements"])}))


@contextmanager
def connected(url: str, database: str, **options: Any) -> Iterator[Connection]:  # noqa: ANN401 - options of the driver
    """Connect to one database of the server.

    Raises:
        BackupUnavailable: the server does not answer, or not in time, or lets this user not in.
        BackupError: it refuses a statement.
    """
    try:
        with psycopg.connect(url, dbname=database, connect_timeout=_CONNECT_SECONDS, **options) as connection:
            yield connection
    except psycopg.errors.LockNotAvailable as error:
        raise BackupError(f"The database {database!r} is in use: stop what works with it, and try again. PostgreSQL: {error}") from error
    except psycopg.OperationalError as error:
        raise BackupUnavailable(f"The database {database!r} does not answer: {error}") from error
    except psycopg.Error as error:
        raise BackupError(f"The database {database!r} refused: {error}") from error


def open_snapshot(connection: Connection) -> None:
    """From here on the connection sees the database as it is now, whatever others write."""
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    connection.execute("SELECT 1 FROM pg_class LIMIT 1")


def read_schema(connection: Connection) -> Schema:
    """Describe the database of a connection."""
    found = [
        Table(name, tuple(columns or ()), tuple(definition)) for name, columns, definition in connection.execute(_TABLES, prepare=False)
    ]
    revisions = {table.name: _revisions(connection, table.name) for table in found if table.columns == (_REVISION_COLUMN,)}
    sequences = []
    for [name] in connection.execute(_SEQUENCES).fetchall():
        row = connection.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(name))).fetchone()
        sequences.append((name, *(row or (1, False))))
    statements = [] if revisions else [*_constraint_statements(connection), *(row[0] for row in connection.execute(_INDEXES))]
    server = connection.info.parameter_status("server_version") or ""
    return Schema(server, revisions, tuple(t for t in found if t.name not in revisions), tuple(sequences), tuple(statements))


def dump(connection: Connection, schema: Schema, archive: Archive) -> dict[str, int]:
    """Write the database to an archive; return the rows of each table."""
    archive.add(SCHEMA, schema.to_bytes())
    rows = {}
    for table in schema.tables:
        statement = sql.SQL("COPY {} ({}) TO STDOUT").format(sql.Identifier(table.name), _names(table.columns))
        number, block = 0, bytearray()
        with connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                for data in copy:
                    block += data
                    if len(block) >= BLOCK_BYTES:
                        archive.add(f"{table.name}/{number:06}", bytes(block))
                        number, block = number + 1, bytearray()
            if block:
                archive.add(f"{table.name}/{number:06}", bytes(block))
            rows[table.name] = cursor.rowcount
    return rows


def load(connection: Connection, members: Iterator[tuple[str, Any]], *, owner: bool = True) -> dict[str, int]:
    """Replace the content of the database by that of an archive, in the transaction of the connection; return the rows of each table.

    Tables that the archive has not are left alone. With `owner` everything is done as the database's owner.

    Raises:
        BackupError: the database has another schema.
    """
    name, file = next(members)
    schema = Schema.from_bytes(file.read())
    if name != SCHEMA:
        raise BackupError(f"The copy begins with {name}, expected {SCHEMA}.")
    connection.execute("SET LOCAL lock_timeout = '15s'")
    if owner:
        row = connection.execute("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()").fetchone()
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier((row or ("",))[0])))
    there = read_schema(connection)
    require_fit(schema, there, connection.info.dbname)
    if not schema.revisions:
        _make_tables(connection, schema, there)
    # A table may refer to another that is filled later, and only a superuser could tell PostgreSQL not to look; so links are made anew.
    links = connection.execute(_CONSTRAINTS, (["f"],)).fetchall() if schema.revisions else []
    for table, constraint, _ in links:
        connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(_trusted(table), sql.Identifier(constraint)))
    # What they did is in the copy, and that of the audit trail would refuse to empty it
    _switch_triggers(connection, schema.tables, "DISABLE")
    if schema.revisions and schema.tables:
        connection.execute(sql.SQL("TRUNCATE {}").format(_names([table.name for table in schema.tables])))
    rows = _fill(connection, {table.name: table for table in schema.tables}, members)
    _switch_triggers(connection, schema.tables, "ENABLE")
    for table, constraint, definition in links:
        connection.execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(_trusted(table), sql.Identifier(constraint), _trusted(definition))
        )
    for statement in schema.statements:
        connection.execute(_trusted(statement))
    for sequence, value, is_called in schema.sequences:
        connection.execute("SELECT setval(%s::regclass, %s, %s)", (f'public."{sequence}"', value, is_called))
    return rows


def require_fit(schema: Schema, there: Schema, database: str) -> None:
    """Check that a copy can go into a database.

    Raises:
        BackupError: the message says which revisions or tables differ, and what to do.
    """
    for table, revisions in schema.revisions.items():
        if there.revisions.get(table) != revisions:
            found = ", ".join(there.revisions.get(table, [])) or "no schema yet"
            raise BackupError(
                f"The database {database!r} has {found}, the backup {', '.join(revisions)} ({table}): start the application once in the "
                "version that the backup is from, so that it makes its tables, restore, and upgrade it then."
            )
    if not schema.revisions:
        return
    columns = {table.name: set(table.columns) for table in there.tables}
    for wanted in schema.tables:
        if not set(wanted.columns) <= columns.get(wanted.name, set()):
            raise BackupError(f"The database {database!r} has no table {wanted.name!r} as the backup has it: {', '.join(wanted.columns)}.")


def rows_of(connection: Connection, tables: Sequence[str]) -> list[str]:
    """Return those of the tables that are there and hold a row."""
    there = {table.name for table in read_schema(connection).tables}
    return [
        name
        for name in tables
        if name in there and connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(sql.Identifier(name))).rowcount
    ]


def _fill(connection: Connection, tables: dict[str, Table], members: Iterator[tuple[str, Any]]) -> dict[str, int]:
    rows = dict.fromkeys(tables, 0)
    for name, file in members:
        table = tables[name.rpartition("/")[0]]
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), _names(table.columns))
        with connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                while data := file.read(1 << 20):
                    copy.write(data)
            rows[table.name] += cursor.rowcount
    return rows


def _switch_triggers(connection: Connection, tables: Sequence[Table], word: str) -> None:
    for table in tables:
        connection.execute(sql.SQL("ALTER TABLE {} {} TRIGGER USER").format(sql.Identifier(table.name), _trusted(word)))


def _make_tables(connection: Connection, schema: Schema, there: Schema) -> None:
    for name in (table.name for table in there.tables):
        connection.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.Identifier(name)))
    for sequence, _, _ in schema.sequences:
        connection.execute(sql.SQL("CREATE SEQUENCE IF NOT EXISTS {}").format(sql.Identifier(sequence)))
    for table in schema.tables:
        columns = sql.SQL(", ").join(_trusted(column) for column in table.definition)
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(table.name), columns))


def _constraint_statements(connection: Connection) -> list[str]:
    rows = connection.execute(_CONSTRAINTS, (["p", "u", "c", "f"],)).fetchall()
    return [f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}' for table, name, definition in rows]


def _revisions(connection: Connection, table: str) -> list[str]:
    statement = sql.SQL("SELECT {} FROM {} ORDER BY 1").format(sql.Identifier(_REVISION_COLUMN), sql.Identifier(table))
    return [row[0] for row in connection.execute(statement)]


def _names(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _trusted(text: str) -> sql.SQL:
    """Mark what PostgreSQL itself wrote, in this database or in an authenticated backup, as a part of a statement."""
    return sql.SQL(text)
