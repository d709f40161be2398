"""Parquet files, read and written by Arrow a thousand rows at a time.

As with CSV the whole file is read before anything is scored, so that a file that is broken anywhere is refused.

A Parquet file of some kilobytes can hold gigabytes: a text that a million rows repeat is stored once. So the footer is checked first, and
the first pass reads texts in their stored form, where a repeated one is there once; it measures the largest row. The second pass, which
needs the rows as they are, reads so many at a time that they fit into `_BATCH_BYTES`.
"""

import io
from collections.abc import Generator, Iterator
from typing import BinaryIO, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hearth.contracts import Contract
from hearth.contracts.rules import NumberRule, TextReader, rules_of
from hearth.contracts.texts import abridge
from hearth.errors import InvalidFile
from hearth.serving.files.added_columns import AddedColumns, AddedValues, ScoreBatch, score_batch
from hearth.serving.files.limits import FileLimits
from hearth.serving.files.row_batches import RowBatch, RowBatchBuilder
from hearth.tables import UnreadableTable, is_number, other_columns, require_feature_types

ROWS = 1_000
_GROUP_ROWS = 50_000  # of a row group of the answer
_GROUP_BYTES = 16_000_000
_BUFFER_BYTES = 1_000_000
_BATCH_BYTES = 16_000_000  # of the rows that are read at once
_CHUNK_BYTES = 128_000_000  # of a column in a row group when it is unpacked, which Arrow may do in one piece
_TEXT_TYPES = frozenset({"STRING", "NONE", "JSON", "BSON", "ENUM"})
_MAX_FOOTER_ITEMS, _MAX_FOOTER_TEXT = 200_000, 10_000_000
_ARROW_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


class ParquetFile:
    """A Parquet file that has all features of a contract, and any other columns."""

    suffix = "parquet"
    media_type = "application/vnd.apache.parquet"

    def __init__(self, file: BinaryIO, table: pq.ParquetFile, contract: Contract, added: AddedColumns, limits: FileLimits) -> None:
        self._file = file
        self._table = table
        self._contract = contract
        self._added = added
        self._limits = limits
        self._readers = {name: TextReader(rules_of(contract)[name]) for name in contract.feature_names}
        self._batch_rows = ROWS
        self.rows = int(table.metadata.num_rows)
        self.refused = 0

    @property
    def understood(self) -> tuple[str, ...]:
        """Sentences about how the file was read."""
        groups = f"{self._table.metadata.num_row_groups} row groups"
        return (f"a Parquet file of {groups}, columns by name", *other_columns(self._contract, self._table.schema_arrow.names))

    @classmethod
    def open(cls, file: BinaryIO, contract: Contract, added: AddedColumns, limits: FileLimits = FileLimits()) -> Self:  # noqa: B008 - frozen
        """Check the footer of a file, which must be able to seek and has to stay open.

        Raises:
            InvalidFile: it is not Parquet, without rows, without a column that is a feature, a column has a type that cannot be read, or
                the table is larger than the limits.
        """
        try:
            table = _table(file)
            schema = table.schema_arrow
        except (pa.ArrowException, OSError) as error:
            raise InvalidFile(f"The file is not Parquet: {error}.") from error
        limits.check_columns(len(schema.names))
        try:
            require_feature_types(schema, contract)
        except UnreadableTable as error:
            raise InvalidFile(str(error)) from error
        added.check(schema.names)
        opened = cls(file, table, contract, added, limits)
        if not opened.rows:
            raise InvalidFile("The file has no rows.")
        _check_footer(table, limits)
        return opened

    def check(self) -> Generator[None]:
        """Check the rows, some of them at each step, and count those that are refused.

        Raises:
            InvalidFile: the file is broken.
        """
        self.refused = 0
        largest = unpacked = 0
        try:
            for batch in _table(self._file, as_stored=True).iter_batches(batch_size=ROWS, use_threads=False):
                sizes = _row_sizes_of(batch)
                largest, unpacked = max(largest, int(sizes.max(initial=0))), unpacked + int(sizes.sum())
                self._limits.check_row(largest, "The file")
                self._limits.check_unpacked(unpacked)
                self.refused += len(self._parse(batch).refusals)
                yield
        except (pa.ArrowException, OSError) as error:
            raise InvalidFile(f"The file is broken: {error}.") from error
        self._batch_rows = max(1, min(ROWS, _BATCH_BYTES // max(1, largest)))

    def scored(self, score: ScoreBatch) -> Generator[bytes]:
        """Score the file; each step scores one batch. Most parts are empty, as rows are written in large groups."""
        schema = _answer_schema(self._table.schema_arrow, self._added)
        sink = io.BytesIO()
        with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema) as writer:
            waiting: list[pa.RecordBatch] = []
            for batch in self._batches():
                values = score_batch(self._parse(batch), score, self._added.include)
                waiting.append(_with_values(batch, values, schema))
                if sum(part.num_rows for part in waiting) >= _GROUP_ROWS or sum(part.nbytes for part in waiting) >= _GROUP_BYTES:
                    writer.write_table(pa.Table.from_batches(waiting))
                    waiting = []
                yield _drain(sink)
            if waiting:
                writer.write_table(pa.Table.from_batches(waiting))
        yield _drain(sink)  # with the footer, without which the file is incomplete

    def _batches(self) -> Iterator[pa.RecordBatch]:
        yield from self._table.iter_batches(batch_size=self._batch_rows, use_threads=False)

    def _parse(self, rows: pa.RecordBatch) -> RowBatch:
        batch = RowBatchBuilder(self._contract, rows.num_rows)
        for name, reader in self._readers.items():
            values = rows.column(rows.schema.get_field_index(name))
            kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
            if isinstance(reader.rule, NumberRule) and is_number(kind):
                _add_numbers(batch, name, reader.rule, values.dictionary_decode() if kind is not values.type else values)
            else:
                batch.add_texts(name, reader, _texts(values))
        return batch.build()


def _table(file: BinaryIO, *, as_stored: bool = False) -> pq.ParquetFile:
    """Open a table; with `as_stored` its texts are dictionaries, in which a repeated one is there once."""
    file.seek(0)
    source = pa.PythonFile(file, mode="r")
    limits = {"thrift_string_size_limit": _MAX_FOOTER_TEXT, "thrift_container_size_limit": _MAX_FOOTER_ITEMS}
    table = pq.ParquetFile(source, buffer_size=_BUFFER_BYTES, pre_buffer=False, **limits)
    if not as_stored:
        return table
    file.seek(0)
    return pq.ParquetFile(source, buffer_size=_BUFFER_BYTES, pre_buffer=False, read_dictionary=_text_paths(table.schema), **limits)


def _text_paths(schema: pq.ParquetSchema) -> list[str]:
    columns = [schema.column(position) for position in range(len(schema))]
    return [column.path for column in columns if column.physical_type == "BYTE_ARRAY" and column.logical_type.type in _TEXT_TYPES]


def _check_footer(table: pq.ParquetFile, limits: FileLimits) -> None:
    """Check what the footer says about rows, and about bytes when they are unpacked."""
    metadata = table.metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    limits.check_cells(max(metadata.num_rows, sum(group.num_rows for group in groups)), metadata.num_columns)
    for group in groups:
        for position in range(group.num_columns):
            column = group.column(position)
            is_list = table.schema.column(position).max_repetition_level > 0
            unpacked = max(column.total_uncompressed_size, 8 * column.num_values if is_list else 0)
            if unpacked > _CHUNK_BYTES:
                raise InvalidFile(
                    f"The column {abridge(column.path_in_schema)} has {unpacked} bytes in one row group, more than {_CHUNK_BYTES}: "
                    "write the file with smaller row groups."
                )


def _row_sizes(values: pa.Array) -> np.ndarray:
    """Return the bytes of each value, shape (n,); a text counts wherever it is repeated."""
    kind = values.type
    if pa.types.is_dictionary(kind) and not is_number(kind.value_type):
        lengths = pc.fill_null(pc.binary_length(values.dictionary), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        places = pc.fill_null(values.indices, 0).to_numpy(zero_copy_only=False)
        sizes: np.ndarray = np.append(lengths, 0)[places]
        return sizes
    if pa.types.is_struct(kind):
        return sum(map(_row_sizes, values.flatten()), np.zeros(len(values), np.int64))
    if pa.types.is_map(kind):
        return _sums(_row_sizes(values.values), np.diff(values.offsets.to_numpy()), int(values.offsets[0].as_py()))
    if pa.types.is_nested(kind):  # a list of any kind
        return _sums(_row_sizes(values.flatten()), pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False))
    return np.full(len(values), kind.byte_width if pa.types.is_fixed_size_binary(kind) else 8, np.int64)


def _sums(sizes: np.ndarray, counts: np.ndarray, start: int = 0) -> np.ndarray:
    """Return the sum of each run of sizes; `counts` are the lengths of the runs, shape (n,)."""
    ends = np.concatenate([[0], np.cumsum(sizes)])
    places = start + np.concatenate([[0], np.cumsum(counts)])
    sums: np.ndarray = np.diff(ends[places])
    return sums


def _row_sizes_of(batch: pa.RecordBatch) -> np.ndarray:
    """Return the bytes of each row, shape (n,)."""
    return sum(map(_row_sizes, batch.columns), np.zeros(batch.num_rows, np.int64))


def _texts(values: pa.Array) -> list[str]:
    """Return texts, "" for a missing one; rows that repeat a text share it."""
    if not pa.types.is_dictionary(values.type):
        return ["" if text is None else text for text in values.cast(pa.string()).to_pylist()]
    distinct = ["" if text is None else text for text in values.dictionary.cast(pa.string()).to_pylist()]
    return ["" if place is None else distinct[place] for place in values.indices.to_pylist()]


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


def _answer_schema(schema: pa.Schema, added: AddedColumns) -> pa.Schema:
    for name, type_ in added.types.items():
        schema = schema.append(pa.field(name, _ARROW_TYPES[type_]))
    return schema


def _with_values(batch: pa.RecordBatch, values: AddedValues, schema: pa.Schema) -> pa.RecordBatch:
    own = batch.num_columns
    added = [pa.array(column, schema.field(own + place).type) for place, column in enumerate(values.columns)]
    return pa.RecordBatch.from_arrays([*batch.columns, *added], schema=schema)
