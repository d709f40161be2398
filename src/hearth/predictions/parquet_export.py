"""Predictions as a Parquet file with typed columns, written group by group: the memory that it takes does not grow with it.

What every prediction has comes first. Of one data set whose contract is known follow a column for the probability of each class
(`probability.<class>`) and one for each feature (`record.<column>`). Of several data sets, whose records differ, `probabilities` is a list
and `record` a JSON text.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import to_json

from hearth.contracts import CategoryColumn, Column, Contract, IntegerColumn
from hearth.errors import InvalidRecords, Problem
from hearth.predictions.prediction import Prediction

GROUP_ROWS = 20_000
_MOMENT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class _Field:
    """A column of the file, and where its value is in a prediction."""

    name: str
    type: pa.DataType
    value: Callable[[Prediction], object]
    column: Column | None = None


_COMMON = (
    _Field("timestamp", _MOMENT, lambda given: given.scored_at),
    _Field("dataset", pa.string(), lambda given: given.dataset),
    _Field("alias", pa.string(), lambda given: given.alias),
    _Field("version", pa.string(), lambda given: given.version),
    _Field("family", pa.string(), lambda given: given.family),
    _Field("prediction", pa.string(), lambda given: given.label),
    _Field("code", pa.int32(), lambda given: given.code),
    _Field("message_id", pa.string(), lambda given: given.message_id),
    _Field("row", pa.int32(), lambda given: given.row),
    _Field("source", pa.string(), lambda given: given.source),
    _Field("enqueued_at", _MOMENT, lambda given: given.enqueued_at),
)
_OF_ANY = (
    _Field("probabilities", pa.list_(pa.float64()), lambda given: given.probabilities),
    _Field("record", pa.string(), lambda given: to_json(given.record).decode()),
)


def write_parquet(predictions: Iterable[Prediction], path: Path, contract: Contract | None = None) -> int:
    """Write all of them and return how many there are; with a contract, all have to be of its data set.

    Raises:
        InvalidRecords: a record holds what does not fit the type that its column has in the contract of today.
    """
    fields = (*_COMMON, *(_of(contract) if contract else _OF_ANY))
    schema = pa.schema([(field.name, field.type) for field in fields])
    rest, count = iter(predictions), 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(islice(rest, GROUP_ROWS)):
            writer.write_table(pa.Table.from_arrays([_array(field, group) for field in fields], schema=schema))
            count += len(group)
    return count


def _of(contract: Contract) -> list[_Field]:
    classes = enumerate(contract.target.classes)
    fields = [_Field(f"probability.{label}", pa.float64(), _nth(position)) for position, label in classes]
    return fields + [_Field(f"record.{name}", _type(column), _cell(name), column) for name, column in contract.feature_columns.items()]


def _nth(position: int) -> Callable[[Prediction], object]:
    return lambda given: given.probabilities[position] if position < len(given.probabilities) else None


def _cell(name: str) -> Callable[[Prediction], object]:
    return lambda given: given.record.get(name)


def _type(column: Column) -> pa.DataType:
    if isinstance(column, CategoryColumn):
        return pa.int64() if column.holds_numbers else pa.string()
    return pa.int64() if isinstance(column, IntegerColumn) else pa.float64()


def _array(field: _Field, group: Sequence[Prediction]) -> pa.Array:
    values = [field.value(given) for given in group]
    try:
        return _typed(values, field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        if field.column is None:
            raise
        raise InvalidRecords([_misfit(field, field.column, group)]) from None


def _typed(values: Sequence[object], type_: pa.DataType) -> pa.Array:
    if pa.types.is_integer(type_):  # records hold whole numbers as floats too
        values = [int(value) if isinstance(value, float) and value.is_integer() else value for value in values]
    return pa.array(values, type_)


def _misfit(field: _Field, column: Column, group: Sequence[Prediction]) -> Problem:
    """Find the first record that does not fit."""
    for given in group:
        try:
            _typed([field.value(given)], field.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            where = f"{column.expected}, as the contract says today; export it without --dataset"
            return Problem(given.row, f"{field.name} of message {given.message_id}", field.value(given), where)
    raise AssertionError("one of them did not fit")
