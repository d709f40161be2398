"""The columns of a text file, each distinct text kept once: a cell of a file of millions of rows takes four bytes.

Most files are read by pyarrow, block by block. It judges quotes, lone carriage returns and bytes that are no text otherwise than the
standard library does, and rows are to be read alike whatever the size of their file. So a block of uneven rows is read by the standard
library, and so is all that follows from the first block with one of the others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from hearth.tables.csv_form import CsvForm
from hearth.tables.csv_rows import Lines, Row, RowLimit, batches_of_rows, open_rows
from hearth.tables.plain_block import TEXTS, PlainBlock, row_columns

_BLOCK = 8 << 20  # bytes
_BATCH_ROWS = 20_000
UTF8 = {"utf-8", "utf-8-sig"}


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
        column = pa.chunked_array(parts, TEXTS).unify_dictionaries()
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


class _Collected:
    """The columns of the rows that were read so far."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._parts: list[list[pa.Array]] = [[] for _ in range(width)]
        self._lines: list[np.ndarray] = []
        self._malformed: dict[int, str] = {}
        self._count = 0

    def add_block(self, block: PlainBlock, form: CsvForm, line: int) -> bool:
        """Add a block that begins after a line of the file; returns False, and adds nothing, if it is no UTF-8."""
        if len(block.lines):
            try:
                columns, malformed = block.columns(form.delimiter, self._width)
            except UnicodeDecodeError:
                return False
            self._add(columns, block.lines + line + 1, malformed)
        return True

    def add_all(self, source: Lines, reader: Iterator[Row]) -> None:
        """Add all that a reader has to come."""
        for rows, lines in batches_of_rows(source, reader, _BATCH_ROWS, _BLOCK):
            columns, malformed = row_columns(rows, self._width, range(self._width))
            self._add(columns, lines, malformed)

    def result(self) -> TextColumns:
        """Return all columns; nothing may be added after that."""
        columns: list[TextColumn] = []
        while self._parts:  # one after the other, so that only one is in memory twice
            columns.append(TextColumn.join(self._parts.pop()))
        lines = np.concatenate(self._lines) if self._lines else np.empty(0, dtype=np.int64)
        return TextColumns(columns[::-1], lines, self._malformed)

    def _add(self, columns: Iterable[pa.DictionaryArray], lines: np.ndarray, malformed: Mapping[int, str]) -> None:
        for parts, column in zip(self._parts, columns, strict=True):
            parts.append(column)
        self._malformed |= {self._count + position: reason for position, reason in malformed.items()}
        self._lines.append(lines)
        self._count += len(lines)


def header_width(source: Lines, reader: Iterator[Row]) -> int:
    """Read the header, and return the number of its cells."""
    for row in reader:
        source.row_start = source.characters
        if any(cell.strip() for cell in row):
            return len(row)
    return 0


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
