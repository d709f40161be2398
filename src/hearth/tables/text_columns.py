"""The columns of a text file, each distinct text kept once: a cell of a file of millions of rows takes four bytes.

Most files are read by pyarrow, block by block. It judges quotes, lone carriage returns and bytes that are no text otherwise than the
standard library does, and rows are to be read alike whatever the size of their file. So a block of uneven rows is read by the standard
library, and so is all that follows from the first block with one of the others.
"""

import csv
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from hearth.contracts.texts import fit_row, wrong_width
from hearth.tables.csv_form import CsvForm
from hearth.tables.csv_rows import Lines, Row, RowLimit, open_rows

_BLOCK = 8 << 20  # bytes
_BATCH_ROWS = 20_000
UTF8 = {"utf-8", "utf-8-sig"}
_TEXTS = pa.dictionary(pa.int32(), pa.string())
_NEWLINE, _RETURN = 10, 13


@dataclass(frozen=True)
class TextColumn:
    """The cells of a column: row i holds the text at position `codes[i]`, shape (rows,), of the distinct `texts`."""

    codes: np.ndarray
    texts: pa.StringArray

    def __len__(self) -> int:
        return len(self.codes)

    def cells(self, rows: np.ndarray | slice = slice(None)) -> pa.StringArray:
        """Return the texts of rows."""
        return self.texts.take(pa.array(self.codes[rows]))

    @classmethod
    def of(cls, cells: Iterable[str]) -> "TextColumn":
        """Make a column of its cells."""
        return cls.join([pa.array(cells, pa.string()).dictionary_encode()])

    @classmethod
    def join(cls, parts: Sequence[pa.DictionaryArray]) -> "TextColumn":
        """Make a column of its parts; the codes have as few bytes as they can."""
        column = pa.chunked_array(parts, _TEXTS).unify_dictionaries()
        texts = column.chunk(0).dictionary if column.num_chunks else pa.array([], pa.string())
        kind = np.min_scalar_type(-max(len(texts), 1))
        codes = [chunk.indices.to_numpy().astype(kind) for chunk in column.chunks]
        return cls(np.concatenate(codes) if codes else np.empty(0, kind), texts)


@dataclass(frozen=True)
class TextColumns:
    """The rows of a text file that are not blank, each as wide as the header.

    Attributes:
        columns: those of the header in its order.
        lines: where each row starts in the file, counted from 1 in lines of the file, so a quoted line break counts; shape (rows,).
        malformed: the reason for each row, by position, that has more or fewer cells than the header.
    """

    columns: Sequence[TextColumn]
    lines: np.ndarray
    malformed: dict[int, str]


def read_columns(file: BinaryIO, form: CsvForm, limit: RowLimit = RowLimit()) -> TextColumns:  # noqa: B008 - frozen
    """Read a file whose form `find_form` has found; the file stays open.

    Raises:
        UnreadableTable: it is no CSV, or not in the encoding of the form.
    """
    with open_rows(file, form, limit) as (source, reader):
        collected = _Collected(header_width(source, reader))
        line = source.count
    offset = offset_after(file, line)
    if offset is None or form.encoding not in UTF8 or not form.delimiter.isascii():
        with open_rows(file, form, limit) as (source, reader):
            header_width(source, reader)
            collected.add_all(source, reader)
        return collected.result()
    for block in _blocks(file, offset):
        rows = PlainBlock.of(block, limit)
        if rows is None or not collected.add_block(rows, form, line):
            break
        offset, line = offset + len(block), line + rows.count
    with open_rows(file, form, limit, offset, line) as (source, reader):
        collected.add_all(source, reader)
    return collected.result()


@dataclass(frozen=True)
class PlainBlock:
    """Whole lines of a file, without anything that two readers would judge differently but uneven rows.

    Attributes:
        content: the bytes.
        count: the number of lines.
        lines: those that are not blank, counted from 0.
    """

    content: bytes
    count: int
    lines: np.ndarray

    @classmethod
    def of(cls, content: bytes, limit: RowLimit) -> "PlainBlock | None":
        """Return None for a block that only the standard library may read."""
        if b'"' in content or b"\0" in content or content.startswith(BOM_UTF8) or content.count(b"\r") != content.count(b"\r\n"):
            return None
        array = np.frombuffer(content, dtype=np.uint8)
        ends = np.flatnonzero(array == _NEWLINE)
        if not len(ends) or ends[-1] != len(array) - 1:
            ends = np.append(ends, len(array))
        starts = np.concatenate([[0], ends[:-1] + 1])
        lengths = ends - starts
        if lengths.max() >= min(limit.characters, csv.field_size_limit()):
            return None
        blank = (lengths == 0) | ((lengths == 1) & (array[starts.clip(max=len(array) - 1)] == _RETURN))
        return cls(content, len(ends), np.flatnonzero(~blank))


class _Collected:
    """The columns of the rows that were read so far."""

    def __init__(self, width: int) -> None:
        self._names = [str(place) for place in range(width)]
        self._parts: list[list[pa.Array]] = [[] for _ in self._names]
        self._lines: list[np.ndarray] = []
        self._malformed: dict[int, str] = {}
        self._count = 0

    def add_block(self, block: PlainBlock, form: CsvForm, line: int) -> bool:
        """Add a block that begins after a line of the file; returns False, and adds nothing, if it is no UTF-8."""
        lines = block.lines + line + 1
        options = arrow_csv.ReadOptions(use_threads=False, column_names=self._names, block_size=len(block.content) + 1)
        parsing = arrow_csv.ParseOptions(delimiter=form.delimiter, quote_char=False, newlines_in_values=False)
        converting = arrow_csv.ConvertOptions(column_types=dict.fromkeys(self._names, _TEXTS))
        try:
            if len(lines):
                table = arrow_csv.read_csv(pa.BufferReader(block.content), options, parsing, converting)
                self._add((column.combine_chunks() for column in table.columns), lines)
        except pa.ArrowInvalid:  # uneven rows, or no UTF-8
            try:
                text = StringIO(block.content.decode(), newline="")
            except UnicodeDecodeError:
                return False
            reader = csv.reader(text, delimiter=form.delimiter, strict=True)
            self._add_rows([(row, start) for row, start in zip(filter(None, reader), lines.tolist(), strict=True)])
        return True

    def add_all(self, source: Lines, reader: Iterator[Row]) -> None:
        """Add all that a reader has to come."""
        rows = _numbered(source, reader)
        while batch := list(islice(rows, _BATCH_ROWS)):
            self._add_rows(batch)

    def result(self) -> TextColumns:
        """Return all columns; nothing may be added after that."""
        columns: list[TextColumn] = []
        while self._parts:  # one after the other, so that only one is in memory twice
            columns.append(TextColumn.join(self._parts.pop()))
        lines = np.concatenate(self._lines) if self._lines else np.empty(0, dtype=np.int64)
        return TextColumns(columns[::-1], lines, self._malformed)

    def _add_rows(self, rows: Sequence[tuple[Row, int]]) -> None:
        """Add rows of any width, each with its line."""
        width = len(self._names)
        for position, (row, _) in enumerate(rows):
            if len(row) != width:
                self._malformed[self._count + position] = wrong_width(row, width)
        columns = zip(*(fit_row(row, width) for row, _ in rows), strict=True)
        self._add((pa.array(column, pa.string()).dictionary_encode() for column in columns), np.array([line for _, line in rows]))

    def _add(self, columns: Iterable[pa.DictionaryArray], lines: np.ndarray) -> None:
        for parts, column in zip(self._parts, columns, strict=True):
            parts.append(column)
        self._lines.append(lines)
        self._count += len(lines)


def header_width(source: Lines, reader: Iterator[Row]) -> int:
    """Read the header, and return the number of its cells."""
    for row in reader:
        source.row_start = source.characters
        if any(cell.strip() for cell in row):
            return len(row)
    return 0


def _numbered(source: Lines, reader: Iterator[Row]) -> Iterator[tuple[Row, int]]:
    """Yield the rows that are not blank, and the line that each begins in."""
    start = source.count + 1
    for row in reader:
        source.row_start = source.characters
        if row:
            yield row, start
        start = source.count + 1


def offset_after(file: BinaryIO, lines: int) -> int | None:
    """Return where the file goes on after a number of lines; None if one ends with a carriage return alone, which is no end for bytes."""
    file.seek(0)
    before = b"".join(islice(file, lines))
    return len(before) if before.count(b"\r") == before.count(b"\r\n") else None


def _blocks(file: BinaryIO, offset: int) -> Iterator[bytes]:
    """Yield the file from a place on in blocks of whole lines; what has no end of a line for a whole block is left out."""
    file.seek(offset)
    rest = b""
    while read := file.read(_BLOCK):
        end = read.rfind(b"\n") + 1
        if not end and len(rest) + len(read) >= _BLOCK:
            return
        if end:
            yield rest + read[:end]
            rest = read[end:]
        else:
            rest += read
    if rest:
        yield rest
