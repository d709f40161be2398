"""Objects as chunks of rows, nothing converted: text files and Parquet, packed or not, from any chunk on."""

import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hearth.batch.objects import SourceObject
from hearth.contracts import Contract
from hearth.contracts.numbers import PLAIN, AmbiguousNumbers, NumberFormat, find_number_format
from hearth.contracts.rules import NumberRule, rules_of
from hearth.contracts.texts import listed
from hearth.tables import (
    PARQUET,
    CsvForm,
    Place,
    Row,
    TextColumn,
    UnreadableTable,
    column_names,
    feature_places,
    find_form,
    is_number,
    open_rows,
    read_chunks,
    require_feature_types,
    require_features,
    unpack,
)

_GZIP = b"\x1f\x8b"
_SAMPLE_ROWS = 1_000  # that say how numbers are written
_PARQUET_BUFFER = 1 << 20  # bytes of a column
_MOST_BYTES = 256 << 20  # of a chunk of Parquet, whatever its rows
_LARGEST_UNPACKED = 1 << 36  # of a workbook or a zip archive, on disk


@dataclass(frozen=True)
class RawChunk:
    """Rows of an object.

    Attributes:
        features: in contract order: texts, or Parquet's numbers.
        lines: where each row starts, counted from 1: the line of a text file, the row of a Parquet file; shape (rows,).
        malformed: the reason for each row, by position, that has more or fewer cells than the header.
        kept: columns that go along unread.
        numbers: how numbers are written in texts.
        end: where the next chunk begins.
    """

    features: Mapping[str, TextColumn | pa.Array]
    lines: np.ndarray
    malformed: Mapping[int, str]
    kept: Mapping[str, pa.Array]
    numbers: NumberFormat
    end: Place

    def __len__(self) -> int:
        return len(self.lines)


class Table(Protocol):
    """An object, open to be read; `understood` says how."""

    @property
    def understood(self) -> str: ...

    def chunks(self, rows: int, start: Place | None) -> Iterator[RawChunk]:
        """Yield chunks of a number of rows from the end of an earlier chunk on; raises UnreadableTable."""


@contextmanager
def open_table(source: SourceObject, contract: Contract, keep: Sequence[str]) -> Iterator[Table]:
    """Open an object with the features of a contract, and the columns to keep.

    Raises:
        UnreadableTable: it is no table with these columns.
    """
    with source.open() as file:
        start = file.read(len(PARQUET))
        if not start:
            yield _EmptyTable()
            return
        file.seek(0)
        if start.startswith(_GZIP):
            with _unpacking(), gzip.GzipFile(fileobj=file) as unpacked:
                first = unpacked.read(len(PARQUET))
                if not first:
                    yield _EmptyTable()
                    return
                if first != PARQUET:
                    yield _TextTable(unpacked, "unpacked from gzip", contract, keep)  # type: ignore[arg-type]  # all that is used of a file
                    return
        if start == PARQUET:
            with source.open(by_ranges=True) as ranges:
                yield _ParquetTable(ranges, "", contract, keep)
            return
        packed = unpack(file, contract.file_format, _LARGEST_UNPACKED)
        note = ", ".join(packed.notes)
        if packed.file is file:
            yield _TextTable(file, note, contract, keep)
            return
        with packed.file:
            yield _TextTable(packed.file, note, contract, keep)


class _EmptyTable:
    understood = "empty"

    def chunks(self, rows: int, start: Place | None) -> Iterator[RawChunk]:  # noqa: ARG002 - as any table
        yield from ()


class _TextTable:
    def __init__(self, file: BinaryIO, note: str, contract: Contract, keep: Sequence[str]) -> None:
        self._file, self._contract, self._keep = file, contract, keep
        self._form, header = find_form(file, [*contract.feature_names, *keep], contract.file_format)
        require_features(header, contract)
        names = column_names(header)
        _require_kept(names, keep)
        self._features = feature_places(header, contract)
        self._kept = [names.index(name) for name in keep]
        self._numbers = self._number_format(self._form, header)
        self.understood = ", ".join(filter(None, [note, str(self._form), str(self._numbers)]))

    def chunks(self, rows: int, start: Place | None) -> Iterator[RawChunk]:
        selected = list(dict.fromkeys([*self._features, *self._kept]))
        for chunk in read_chunks(self._file, self._form, selected, rows, start):
            column = dict(zip(selected, chunk.columns, strict=True))
            features = {name: column[place] for name, place in zip(self._contract.feature_names, self._features, strict=True)}
            kept = {name: column[place].cells() for name, place in zip(self._keep, self._kept, strict=True)}
            yield RawChunk(features, chunk.lines, chunk.malformed, kept, self._numbers, chunk.end)

    def _number_format(self, form: CsvForm, header: Row) -> NumberFormat:
        rules = rules_of(self._contract)
        places = [place for name, place in zip(self._contract.feature_names, self._features, strict=True) if rules[name].holds_numbers]
        texts: set[str] = set()
        # A broken row among these is named when its chunk is read: rows before it are scored
        with suppress(UnreadableTable), open_rows(self._file, form) as (lines, reader):
            for row in islice(reader, _SAMPLE_ROWS):
                lines.row_start = lines.characters
                if row != header:
                    texts.update(row[place].strip() for place in places if place < len(row))
        try:
            return find_number_format(texts, self._contract.file_format)
        except AmbiguousNumbers as error:
            raise UnreadableTable(f"{error}.") from error


class _ParquetTable:
    def __init__(self, file: BinaryIO, note: str, contract: Contract, keep: Sequence[str]) -> None:
        self._contract, self._keep = contract, keep
        with _parquet():
            source = pa.PythonFile(file, mode="r")
            table = pq.ParquetFile(source, pre_buffer=False)
            texts = [path for path in _text_paths(table.schema) if path in contract.feature_names and path not in keep]
            self._table = pq.ParquetFile(  # a text that is repeated is read once
                source, metadata=table.metadata, buffer_size=_PARQUET_BUFFER, pre_buffer=False, read_dictionary=texts
            )
            schema = self._table.schema_arrow
        require_feature_types(schema, contract)
        _require_kept(schema.names, keep)
        groups = self._table.metadata.num_row_groups
        self.understood = ", ".join(filter(None, [note, f"a Parquet file of {groups} row groups, columns by name"]))

    def chunks(self, rows: int, start: Place | None) -> Iterator[RawChunk]:
        done = start.line if start else 0
        for batch in self._batches(min(rows, self._most_rows()), done):
            lines = np.arange(done + 1, done + batch.num_rows + 1)
            done += batch.num_rows
            with _parquet():
                features = {name: self._feature(name, batch.column(name)) for name in self._contract.feature_names}
            yield RawChunk(features, lines, {}, {name: batch.column(name) for name in self._keep}, PLAIN, Place(done, 0))

    def _most_rows(self) -> int:
        """Return how many rows memory may hold, by the largest that a row group has on average; the same for each chunk."""
        wanted = {*self._contract.feature_names, *self._keep}
        largest = 1
        for number in range(self._table.metadata.num_row_groups):
            group = self._table.metadata.row_group(number)
            columns = [group.column(place) for place in range(group.num_columns)]
            size = sum(column.total_uncompressed_size for column in columns if column.path_in_schema in wanted)
            largest = max(largest, size // max(group.num_rows, 1))
        return max(1, _MOST_BYTES // largest)

    def _feature(self, name: str, values: pa.Array) -> TextColumn | pa.Array:
        """Return a column of numbers as it is, any other as texts."""
        kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
        if isinstance(rules_of(self._contract)[name], NumberRule) and is_number(kind):
            return values.dictionary_decode() if kind is not values.type else values
        if not pa.types.is_dictionary(values.type):
            values = values.cast(pa.string()).dictionary_encode()
        texts = values.dictionary.cast(pa.string())
        texts.validate(full=True)  # a file may say of any bytes that they are UTF-8
        codes = values.indices.cast(pa.int32()).fill_null(len(texts))  # a missing one is the text behind the others
        return TextColumn.join([pa.DictionaryArray.from_arrays(codes, pa.concat_arrays([texts.fill_null(""), pa.array([""])]))])

    def _batches(self, rows: int, start: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows from `start` on, so many at a time, whatever the row groups of the file."""
        metadata = self._table.metadata
        ends = np.cumsum([metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)])
        first = int(np.searchsorted(ends, start, side="right"))
        left_out = start - (int(ends[first - 1]) if first else 0)
        columns = list(dict.fromkeys([*self._contract.feature_names, *self._keep]))
        waiting: list[pa.RecordBatch] = []
        with _parquet():
            groups = list(range(first, len(ends)))
            for read in self._table.iter_batches(batch_size=rows, row_groups=groups, columns=columns, use_threads=False):
                batch = read.slice(left_out)
                left_out = max(0, left_out - read.num_rows)
                while batch.num_rows:
                    part = batch.slice(0, rows - sum(each.num_rows for each in waiting))
                    batch = batch.slice(part.num_rows)
                    waiting.append(part)
                    if sum(each.num_rows for each in waiting) == rows:
                        yield _joined(waiting)
                        waiting = []
            if waiting:
                yield _joined(waiting)


def _text_paths(schema: pq.ParquetSchema) -> list[str]:
    columns = [schema.column(position) for position in range(len(schema))]
    return [column.path for column in columns if column.physical_type == "BYTE_ARRAY" and column.logical_type.type == "STRING"]


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _require_kept(names: Sequence[str], keep: Sequence[str]) -> None:
    if missing := [name for name in keep if name not in names]:
        raise UnreadableTable(f"Columns to keep are not there: {listed(missing)}. The table has: {listed(names)}.")


@contextmanager
def _parquet() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise UnreadableTable(f"The file is not Parquet, or broken: {error}.") from error


@contextmanager
def _unpacking() -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UnreadableTable(f"The file is a broken gzip archive: {error}.") from error
