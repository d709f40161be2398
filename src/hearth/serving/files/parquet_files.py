"""Parquet files, read and written by Arrow a thousand rows at a time.

As with CSV the whole file is read before anything is scored, so that a file that is broken anywhere is refused.
"""

import io
from collections.abc import Generator, Iterator
from typing import BinaryIO, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hearth.contracts import CategoryColumn, Contract
from hearth.contracts.rules import NumberRule, TextReader, rules_of
from hearth.contracts.texts import listed
from hearth.errors import InvalidFile
from hearth.serving.files.added_columns import AddedColumns, AddedValues, OnBatch, score_batch
from hearth.serving.files.row_batches import RowBatch, RowBatchBuilder
from hearth.serving.model_follower import LoadedModel

ROWS = 1_000
_GROUP_ROWS = 50_000  # of a row group of the answer
_GROUP_BYTES = 16_000_000
_BUFFER_BYTES = 1_000_000


class ParquetFile:
    """A Parquet file that has all features of a contract, and any other columns."""

    suffix = "parquet"
    media_type = "application/vnd.apache.parquet"

    def __init__(self, table: pq.ParquetFile, contract: Contract, added: AddedColumns) -> None:
        self._table = table
        self._contract = contract
        self._added = added
        self._readers = {name: TextReader(rules_of(contract)[name]) for name in contract.feature_names}
        self.rows = int(table.metadata.num_rows)
        self.refused = 0

    @classmethod
    def open(cls, file: BinaryIO, contract: Contract, added: AddedColumns) -> Self:
        """Check the schema of a file, which must be able to seek and has to stay open.

        Raises:
            InvalidFile: it is not Parquet, without rows, without a column that is a feature, or a feature has a type that cannot be read.
        """
        file.seek(0)
        try:
            table = pq.ParquetFile(pa.PythonFile(file, mode="r"), buffer_size=_BUFFER_BYTES, pre_buffer=False)
            schema = table.schema_arrow
        except (pa.ArrowException, OSError) as error:
            raise InvalidFile(f"The file is not Parquet: {error}.") from error
        _check_schema(schema, contract)
        added.check(schema.names)
        opened = cls(table, contract, added)
        if not opened.rows:
            raise InvalidFile("The file has no rows.")
        return opened

    def check(self) -> Generator[None]:
        """Check the rows, some of them at each step, and count those that are refused.

        Raises:
            InvalidFile: the file is broken.
        """
        self.refused = 0
        try:
            for batch in self._batches():
                self.refused += len(self._parse(batch).refusals)
                yield
        except (pa.ArrowException, OSError) as error:
            raise InvalidFile(f"The file is broken: {error}.") from error

    def scored(self, model: LoadedModel, on_batch: OnBatch) -> Generator[bytes]:
        """Score the file; each step scores one batch. Most parts are empty, as rows are written in large groups."""
        schema = _answer_schema(self._table.schema_arrow, self._added)
        sink = io.BytesIO()
        with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema) as writer:
            waiting: list[pa.RecordBatch] = []
            for batch in self._batches():
                waiting.append(_with_values(batch, score_batch(model, self._parse(batch), on_batch), schema))
                if sum(part.num_rows for part in waiting) >= _GROUP_ROWS or sum(part.nbytes for part in waiting) >= _GROUP_BYTES:
                    writer.write_table(pa.Table.from_batches(waiting))
                    waiting = []
                yield _drain(sink)
            if waiting:
                writer.write_table(pa.Table.from_batches(waiting))
        yield _drain(sink)  # with the footer, without which the file is incomplete

    def _batches(self) -> Iterator[pa.RecordBatch]:
        yield from self._table.iter_batches(batch_size=ROWS, use_threads=False)

    def _parse(self, rows: pa.RecordBatch) -> RowBatch:
        batch = RowBatchBuilder(self._contract, rows.num_rows)
        for name, reader in self._readers.items():
            values = rows.column(rows.schema.get_field_index(name))
            if pa.types.is_dictionary(values.type):
                values = values.dictionary_decode()
            if isinstance(reader.rule, NumberRule) and _is_number(values.type):
                _add_numbers(batch, name, reader.rule, values)
            else:
                batch.add_texts(name, reader, ["" if text is None else text for text in values.cast(pa.string()).to_pylist()])
        return batch.build()


def _drain(sink: io.BytesIO) -> bytes:
    """Return what the writer has written, and empty the sink; the writer counts its position itself."""
    content = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return content


def _add_numbers(batch: RowBatchBuilder, name: str, rule: NumberRule, values: pa.Array) -> None:
    """Check numbers at once; NaN is missing, as null is."""
    numbers = rule.read_numbers(pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    for row in np.flatnonzero(~rule.admits(numbers)).tolist():
        batch.refuse(row, name, rule, None if np.isnan(numbers[row]) else values[row].as_py())
    batch.add(rule, numbers)


def _check_schema(schema: pa.Schema, contract: Contract) -> None:
    if missing := [name for name in contract.feature_names if name not in schema.names]:
        had = listed(schema.names[:50])
        raise InvalidFile(f"The file lacks columns that {contract.name!r} needs: {listed(missing)}. It has: {had}. Nothing was scored.")
    for name, column in contract.feature_columns.items():
        if schema.names.count(name) > 1:
            raise InvalidFile(f"The file has the column {name!r} twice.")
        kind = schema.field(name).type
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        is_code = isinstance(column, CategoryColumn) and column.holds_numbers and _is_number(inner)
        is_number = not isinstance(column, CategoryColumn) and _is_number(inner)
        if not (is_code or is_number or _is_text(inner) or pa.types.is_null(inner)):
            raise InvalidFile(f"The column {name!r} has the type {kind}, expected {column.expected}.")


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _answer_schema(schema: pa.Schema, added: AddedColumns) -> pa.Schema:
    types = [
        pa.string() if added.predictions_are_texts else pa.int64(),
        pa.string(),
        *[pa.float64()] * (len(added.names) - 4),
        pa.string(),
        pa.string(),
    ]
    for name, kind in zip(added.names, types, strict=True):
        schema = schema.append(pa.field(name, kind))
    return schema


def _with_values(batch: pa.RecordBatch, values: AddedValues, schema: pa.Schema) -> pa.RecordBatch:
    own = batch.num_columns
    added = [pa.array(column, schema.field(own + place).type) for place, column in enumerate(values.columns)]
    return pa.RecordBatch.from_arrays([*batch.columns, *added], schema=schema)
