"""Predictions as a Parquet file with typed columns, written in groups of rows, in constant memory.

The common columns come first. For a single data set with a contract, a column for each class (`probability.<class>`) and each feature
(`record.<column>`) follows. For several data sets, whose records differ, `probabilities` is a list and `record` a JSON text.
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
from hearth.predictions.recorded_columns import recorded_columns

GROUP_ROWS = 20_000
_MOMENT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class _Field:
    """A column of the file and the function that reads its value from a prediction."""

    name: str
    type: pa.DataType
    value: Callable[[Prediction], object]
    column: Column | None = None


_COMMON = (
    _Field("timestamp", _MOMENT, lambda prediction: prediction.scored_at),
    _Field("dataset", pa.string(), lambda prediction: prediction.dataset),
    _Field("alias", pa.string(), lambda prediction: prediction.alias),
    _Field("version", pa.string(), lambda prediction: prediction.version),
    _Field("family", pa.string(), lambda prediction: prediction.family),
    _Field("prediction", pa.string(), lambda prediction: prediction.label),
    _Field("code", pa.int32(), lambda prediction: prediction.code),
    _Field("message_id", pa.string(), lambda prediction: prediction.message_id),
    _Field("row", pa.int32(), lambda prediction: prediction.row),
    _Field("source", pa.string(), lambda prediction: prediction.source),
    _Field("enqueued_at", _MOMENT, lambda prediction: prediction.enqueued_at),
    _Field("set", pa.list_(pa.string()), lambda prediction: prediction.label_set),
    _Field("unusual_score", pa.float64(), lambda prediction: prediction.unusual_score),
    _Field("unusual", pa.bool_(), lambda prediction: prediction.is_unusual),
    _Field("trace_id", pa.string(), lambda prediction: prediction.trace_id),
)
_ANY_DATASET = (
    _Field("probabilities", pa.list_(pa.float64()), lambda prediction: prediction.probabilities),
    _Field("record", pa.string(), lambda prediction: to_json(prediction.record).decode()),
)


def write_parquet(predictions: Iterable[Prediction], path: Path, contract: Contract | None = None) -> int:
    """Write predictions and return their number; with a contract, all have to be of its data set.

    Raises:
        InvalidRecords: a value does not fit the type of its column in the current contract.
    """
    fields = (*_COMMON, *(_dataset_fields(contract) if contract else _ANY_DATASET))
    schema = pa.schema([(field.name, field.type) for field in fields])
    remaining, count = iter(predictions), 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(islice(remaining, GROUP_ROWS)):
            writer.write_table(pa.Table.from_arrays([_array(field, group) for field in fields], schema=schema))
            count += len(group)
    return count


def _dataset_fields(contract: Contract) -> list[_Field]:
    classes = enumerate(contract.target.classes)
    fields = [_Field(f"probability.{label}", pa.float64(), _nth(position)) for position, label in classes]
    return fields + [_Field(f"record.{name}", _type(column), _cell(name), column) for name, column in recorded_columns(contract).items()]


def _nth(position: int) -> Callable[[Prediction], object]:
    return lambda prediction: prediction.probabilities[position] if position < len(prediction.probabilities) else None


def _cell(name: str) -> Callable[[Prediction], object]:
    return lambda prediction: prediction.record.get(name)


def _type(column: Column) -> pa.DataType:
    if column.personal == "hash":
        return pa.string()
    if isinstance(column, CategoryColumn):
        return pa.int64() if column.holds_numbers else pa.string()
    return pa.int64() if isinstance(column, IntegerColumn) else pa.float64()


def _array(field: _Field, group: Sequence[Prediction]) -> pa.Array:
    values = [field.value(prediction) for prediction in group]
    try:
        return _typed(values, field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        if field.column is None:
            raise
        raise InvalidRecords([_misfit(field, field.column, group)]) from None


def _typed(values: Sequence[object], type_: pa.DataType) -> pa.Array:
    if pa.types.is_integer(type_):  # records may hold whole numbers as floats
        values = [int(value) if isinstance(value, float) and value.is_integer() else value for value in values]
    return pa.array(values, type_)


def _misfit(field: _Field, column: Column, group: Sequence[Prediction]) -> Problem:
    """Return the problem of the first record that does not fit."""
    for prediction in group:
        try:
            _typed([field.value(prediction)], field.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            where = f"{column.expected}, by the current contract; export it without --dataset"
            return Problem(prediction.row, f"{field.name} of message {prediction.message_id}", field.value(prediction), where)
    raise AssertionError("one of them did not fit")
