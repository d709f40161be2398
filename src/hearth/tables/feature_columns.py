"""Where the features of a data set are in a table to score: by name, in any order, beside any other columns."""

from collections.abc import Sequence

import pyarrow as pa

from hearth.contracts import Contract
from hearth.contracts.column_types import CategoryColumn
from hearth.contracts.texts import listed, normalized
from hearth.tables.csv_rows import Row
from hearth.tables.unreadable import UnreadableTable


def column_names(header: Row) -> list[str]:
    """Return the names in a header as they are compared."""
    return [normalized(name.strip()) for name in header]


def require_features(header: Row, contract: Contract) -> None:
    """Raise UnreadableTable for a header without a column that is a feature, or that names one twice."""
    present = column_names(header)
    if missing := [name for name in contract.feature_names if normalized(name) not in present]:
        raise UnreadableTable(
            f"The header lacks columns that {contract.name!r} needs: {listed(missing)}. It has: {listed(present[:50])}. Nothing was scored."
        )
    if twice := [name for name in contract.feature_names if present.count(normalized(name)) > 1]:
        raise UnreadableTable(f"The header names columns twice: {listed(twice)}.")


def feature_places(header: Row, contract: Contract) -> Sequence[int]:
    """Return the positions of the features in a header that has them, in contract order."""
    present = column_names(header)
    return [present.index(normalized(name)) for name in contract.feature_names]


def require_feature_types(schema: pa.Schema, contract: Contract) -> None:
    """Raise UnreadableTable for the schema of a Parquet file that lacks a feature, has one twice, or with a type that is not read."""
    if missing := [name for name in contract.feature_names if name not in schema.names]:
        had = listed(schema.names[:50])
        raise UnreadableTable(f"The file lacks columns that {contract.name!r} needs: {listed(missing)}. It has: {had}. Nothing was scored.")
    for name, column in contract.feature_columns.items():
        if schema.names.count(name) > 1:
            raise UnreadableTable(f"The file has the column {name!r} twice.")
        kind = schema.field(name).type
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        is_code = isinstance(column, CategoryColumn) and column.holds_numbers and is_number(inner)
        is_value = not isinstance(column, CategoryColumn) and is_number(inner)
        if not (is_code or is_value or _is_text(inner) or pa.types.is_null(inner)):
            raise UnreadableTable(f"The column {name!r} has the type {kind}, expected {column.expected}.")


def is_number(kind: pa.DataType) -> bool:
    """Whether values of a type are numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
