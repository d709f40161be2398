"""The tables of the data database, derived from the contract.

A data set's table has a column for each of the contract's, under the name that it has in code (`Soil_Type` is `soil_type`), and beside them

| column | holds |
|---|---|
| `_group`, `_batch`, `_row` | which row of which batch it is: the key |
| `_raw` | the row as it came, as a JSON list, if it breaks the contract; its other columns are then NULL |

No column of a contract begins with an underscore in code, so none is called like these. Which batches are stored is in `hearth_batches`,
for all data sets.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Double,
    Float,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

from hearth.contracts import Column as ContractColumn
from hearth.contracts import Contract, DateColumn, IntegerColumn, NumberColumn
from hearth.contracts.names import BATCHES_TABLE, LONGEST_DATABASE_NAME, field_name
from hearth.errors import TableMismatch

KEY = ("_group", "_batch", "_row")
RAW = "_raw"

_WORDS: dict[type[TypeEngine[Any]], str] = {Integer: "whole numbers", Float: "numbers", Date: "dates", String: "texts"}


def marks_table() -> Table:
    """Return the table of the batches that are stored."""
    return _table(
        BATCHES_TABLE,
        Column("table_name", String(LONGEST_DATABASE_NAME), primary_key=True),
        Column("group_number", Integer, primary_key=True, autoincrement=False),
        Column("batch_number", Integer, primary_key=True, autoincrement=False),
        Column("digest", String(64), nullable=False),
        Column("row_count", Integer, nullable=False),
        Column("dag_run", String(250), nullable=False),
        Column("stored_at", DateTime, nullable=False, comment="UTC"),
    )


def data_table(contract: Contract, name: str) -> Table:
    """Return the table of a data set's rows."""
    return _table(
        name,
        *(Column(part, Integer, nullable=False, autoincrement=False) for part in KEY),
        *(Column(field_name(column), _type(kind)) for column, kind in contract.columns.items()),
        Column(RAW, _long_text()),
        PrimaryKeyConstraint(*KEY),
    )


def is_ours(actual: Sequence[ReflectedColumn]) -> bool:
    """Tell whether a table with these columns is one that `data_table` has made, for whatever contract."""
    return {*KEY, RAW} <= {column["name"] for column in actual}


def differences(table: Table, actual: Sequence[ReflectedColumn]) -> list[str]:
    """Say in what the table that is there differs from the one that the contract makes."""
    actual_types = {column["name"]: column["type"] for column in actual}
    expected = {column.name: column.type for column in table.columns}
    differences = [f"it has no {name}" for name in expected if name not in actual_types]
    differences += [f"it has {name}, which the contract has not" for name in actual_types if name not in expected]
    differences += [
        f"{name} holds {_word(actual_types[name])}, expected {_word(kind)}"
        for name, kind in expected.items()
        if name in actual_types and _word(actual_types[name]) != _word(kind)
    ]
    return differences


def require_ours(contract: Contract, table: Table, actual: Sequence[ReflectedColumn], place: str) -> None:
    """Raise TableMismatch, with what to do, if the table is somebody else's."""
    if not is_ours(actual):
        raise TableMismatch(
            f"{place}.{table.name} is there, but load_data has not made it: it has no {', '.join((*KEY, RAW))}. It was left alone. Name "
            f"another table in the contract of {contract.name!r} (source.table), or another database in HEARTH_DATA_DB_URL."
        )


def require_fit(contract: Contract, table: Table, actual: Sequence[ReflectedColumn], place: str) -> None:
    """Raise TableMismatch, with every difference and what to do, if the table is not the one that the contract makes."""
    require_ours(contract, table, actual, place)
    if wrong := differences(table, actual):
        raise TableMismatch(
            f"{place}.{table.name} does not fit the contract of {contract.name!r}: {'; '.join(wrong)}. "
            "The contract has changed since the table was made: clear_data removes it, and load_data makes it anew."
        )


def _table(name: str, *parts: SchemaItem) -> Table:
    # Transactions, and texts as they are: neither is a matter of course on a MySQL that was set up for something else.
    return Table(
        name,
        MetaData(),
        *parts,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mariadb_engine="InnoDB",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_bin",
    )


def _type(column: ContractColumn) -> TypeEngine[Any]:
    if isinstance(column, DateColumn):
        return Date()
    if isinstance(column, IntegerColumn) and column.minimum >= -(2**63) and column.maximum < 2**63:
        return BigInteger()
    if isinstance(column, IntegerColumn | NumberColumn):
        return Double()
    return _long_text()


def _long_text() -> TypeEngine[Any]:
    return Text().with_variant(LONGTEXT(), "mysql", "mariadb")  # a TEXT of MySQL ends at 64 KiB


def _word(kind: TypeEngine[Any]) -> str:
    """Name a type by what it holds; databases have many types for the same."""
    return next((word for base, word in _WORDS.items() if isinstance(kind, base)), str(kind))
