"""A text file in chunks of rows, in memory that does not grow with the file: each chunk is read from where the one before it has ended.

Rows are read as `text_columns` reads them. Where a chunk begins says all that is needed to read it, so that a reader that was stopped goes
on there, and finds the same chunks.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from hearth.tables.csv_form import CsvForm
from hearth.tables.csv_rows import CountedLines, Row, RowLimit, batches_of_rows, open_rows
from hearth.tables.plain_block import PlainBlock, row_columns
from hearth.tables.text_columns import UTF8, TextColumn, header_width, offset_after

_READ = 4 << 20  # bytes
_MOST_BYTES = 64 << 20  # of a chunk, whatever its rows
_NEWLINE, _RETURN = 10, 13


@dataclass(frozen=True)
class Place:
    """Where a chunk begins: after `line` lines; at a byte of the file, or -1 where lines are no lines for bytes."""

    line: int
    offset: int


@dataclass(frozen=True)
class TextChunk:
    """Rows of a text file that are not blank, each as wide as the header.

    Attributes:
        columns: those that were selected.
        lines: where each row starts in the file, counted from 1; shape (rows,).
        malformed: the reason for each row, by position, that has more or fewer cells than the header.
        end: where the next chunk begins.
    """

    columns: Sequence[TextColumn]
    lines: np.ndarray
    malformed: dict[int, str]
    end: Place


def read_chunks(  # noqa: PLR0913, PLR0917 - what of a file is read, and from where
    file: BinaryIO,
    form: CsvForm,
    selected: Sequence[int],
    rows: int,
    start: Place | None = None,
    limit: RowLimit = RowLimit(),  # noqa: B008 - frozen
) -> Iterator[TextChunk]:
    """Yield chunks of a number of rows, fewer where a row is very long and at the end, from a place on; the file stays open.

    Args:
        file: One that can seek.
        form: As `find_form` has found it.
        selected: The columns to return, by position in the header.
        rows: Of a chunk.
        start: The end of an earlier chunk; the first row without one.
        limit: Of a row.

    Raises:
        UnreadableTable: it is no CSV, or not in the encoding of the form.
    """
    reader = _ChunkReader(file, form, selected, rows, limit)
    place = start or reader.first
    if place.offset < 0:
        yield from reader.unplaced(place)
        return
    while chunk := reader.plain(place) or reader.careful(place):
        yield chunk
        place = chunk.end


class _ChunkReader:
    def __init__(self, file: BinaryIO, form: CsvForm, selected: Sequence[int], rows: int, limit: RowLimit) -> None:
        self._file, self._form, self._rows, self._limit = file, form, rows, limit
        self._selected = list(selected)
        with open_rows(file, form, limit) as (source, reader):
            self._width = header_width(source, reader)
            line = source.count
        has_bytes = not form.encoding.startswith("utf-16") and form.delimiter.isascii()
        offset = offset_after(file, line) if has_bytes else None
        self.first = Place(line, -1 if offset is None else offset)
        self._is_utf8 = form.encoding in UTF8
        self._ahead = _Ahead(file)

    def plain(self, place: Place) -> TextChunk | None:
        """Read the chunk at a place by pyarrow; None if only the standard library may read it, and at the end of the file."""
        if not self._is_utf8:
            return None
        content = self._ahead.rows(place.offset, self._rows)
        block = PlainBlock.of(content, self._limit) if content else None
        if block is None or not len(block.lines):
            return None
        try:
            columns, malformed = block.columns(self._form.delimiter, self._width, self._selected)
        except UnicodeDecodeError:
            return None  # the other reader names the line
        end = Place(place.line + block.count, place.offset + len(content))
        return TextChunk([TextColumn.join([column]) for column in columns], block.lines + place.line + 1, malformed, end)

    def careful(self, place: Place) -> TextChunk | None:
        """Read the chunk at a place by the standard library; None at the end of the file."""
        with open_rows(self._file, self._form, self._limit, place.offset, place.line) as (source, _):
            counted = CountedLines(source, self._form.encoding)
            lines_of_bytes = csv.reader(counted, delimiter=self._form.delimiter, strict=True)
            taken = next(batches_of_rows(source, lines_of_bytes, self._rows, _MOST_BYTES), None)
            end = Place(source.count, place.offset + counted.bytes)
        return self._chunk(*taken, end) if taken else None

    def unplaced(self, place: Place) -> Iterator[TextChunk]:
        """Read all chunks from a line on, in a file whose bytes say nothing of lines; the lines before it are read too."""
        with open_rows(self._file, self._form, self._limit) as (source, reader):
            while source.count < place.line and next(reader, None) is not None:
                source.row_start = source.characters
            for rows, lines in batches_of_rows(source, reader, self._rows, _MOST_BYTES):
                yield self._chunk(rows, lines, Place(source.count, -1))

    def _chunk(self, rows: Sequence[Row], lines: np.ndarray, end: Place) -> TextChunk:
        columns, malformed = row_columns(rows, self._width, self._selected)
        return TextChunk([TextColumn.join([column]) for column in columns], lines, malformed, end)


class _Ahead:
    """The bytes of a file from a place on, of which those that the next chunk needs stay in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._offset, self._content, self._ended = 0, b"", False

    def rows(self, offset: int, rows: int) -> bytes:
        """Return whole lines from a place on that hold this many rows, fewer at the end; empty where a line is longer than a chunk."""
        if not self._offset <= offset <= self._offset + len(self._content):
            self._content, self._ended = b"", False
        else:
            self._content = self._content[offset - self._offset :]
        self._offset, missing = offset, rows
        while True:
            self._read(missing)
            end, filled = self._count(rows)
            if filled >= rows or self._ended or len(self._content) >= _MOST_BYTES:
                return self._content[:end]
            missing = self._content.count(b"\n") + rows - filled

    def _read(self, lines: int) -> None:
        """Read on until there are this many lines."""
        parts, size, ends = [self._content], len(self._content), self._content.count(b"\n")
        self._file.seek(self._offset + size)
        while not self._ended and ends < lines and size < _MOST_BYTES:
            read = self._file.read(_READ)
            self._ended = not read
            parts.append(read)
            size, ends = size + len(read), ends + read.count(b"\n")
        self._content = b"".join(parts)

    def _count(self, rows: int) -> tuple[int, int]:
        """Return where this many rows end, or all whole lines that are there, and the number of rows."""
        array = np.frombuffer(self._content[:_MOST_BYTES], dtype=np.uint8)
        ends = np.flatnonzero(array == _NEWLINE)
        starts = np.concatenate([[0], ends + 1])
        if self._ended and len(self._content) == len(array) and starts[-1] < len(array):
            ends = np.append(ends, len(array))  # the last line has no end
        starts = starts[: len(ends)]
        if not len(ends):
            return 0, 0
        lengths = ends - starts
        filled = np.flatnonzero((lengths > 1) | ((lengths == 1) & (array[starts] != _RETURN)))
        if len(filled) < rows:
            return min(int(ends[-1]) + 1, len(array)), len(filled)
        return min(int(ends[filled[rows - 1]]) + 1, len(array)), rows
