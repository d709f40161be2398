"""A text file cut into blocks of whole rows while it is read once from front to back; each block is parsed apart, in any process.

The cutting knows no more of a block than what a reader of bytes sees quickly, so one process cuts for several that parse.
"""

import csv
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa

from hearth.tables.csv_form import CsvForm
from hearth.tables.csv_rows import CountedLines, Row, RowLimit, batches_of_rows, not_text, open_rows, take_rows
from hearth.tables.plain_block import PlainBlock, row_columns
from hearth.tables.seekable_reader import SeekableReader
from hearth.tables.text_columns import UTF8, header_width, offset_after
from hearth.tables.unreadable import UnreadableTable

_BLOCK = 8 << 20  # bytes
_ROWS = 20_000  # of a block that the standard library reads


@dataclass(frozen=True)
class TextBlock:
    """Rows of a text file that are not parsed yet.

    Attributes:
        form: how the file is written.
        width: the number of cells of its header.
        line: the number of lines before the block.
        plain: the lines of the block; None where only the standard library could read them.
        rows: what that has read.
        lines: where each of these rows starts in the file, counted from 1.
    """

    form: CsvForm
    width: int
    line: int
    plain: PlainBlock | None = None
    rows: Sequence[Row] = ()
    lines: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def columns(self, selected: Sequence[int], unshared: Collection[int] = ()) -> "BlockColumns":
        """Parse the block.

        Args:
            selected: The positions of the columns to return.
            unshared: Those of columns whose texts nearly all differ: they are returned as they are, not as a dictionary.

        Raises:
            UnreadableTable: it is no text in the encoding of the form.
        """
        if self.plain is None or not len(self.plain.lines):
            columns, malformed = row_columns(self.rows, self.width, selected)
            return BlockColumns(columns, self.lines, malformed)
        try:
            columns, malformed = self.plain.columns(self.form.delimiter, self.width, selected, unshared)
        except UnicodeDecodeError as error:
            raise UnreadableTable(not_text(error, self.line, self.form.encoding)) from error
        return BlockColumns(columns, self.plain.lines + self.line + 1, malformed)


@dataclass(frozen=True)
class BlockColumns:
    """The rows of a block that are not blank, each as wide as the header.

    Attributes:
        columns: those that were selected: dictionaries of texts, or texts.
        lines: where each row starts in the file, counted from 1; shape (rows,).
        malformed: the reason for each row, by position, that has more or fewer cells than the header.
    """

    columns: Sequence[pa.Array]
    lines: np.ndarray
    malformed: dict[int, str]


def cut(file: BinaryIO, form: CsvForm, limit: RowLimit = RowLimit()) -> Iterator[TextBlock]:  # noqa: B008 - frozen
    """Yield the rows behind the header as blocks; the file is read on from its beginning, and stays open.

    Raises:
        UnreadableTable: it is no CSV, or not in the encoding of the form.
    """
    with open_rows(file, form, limit) as (source, reader):
        width = header_width(source, reader)
        line = source.count
    offset = offset_after(file, line) if form.encoding in UTF8 and form.delimiter.isascii() else None
    if offset is None:
        yield from _by_rows(file, form, limit, width)
        return
    ahead = _Ahead(file, offset)
    while ahead.fill(_BLOCK):
        content = ahead.whole_lines()
        block = PlainBlock.of(content, limit) if content else None
        if block is not None:
            ahead.consume(len(content))
            yield TextBlock(form, width, line, block)
            line += block.count
            continue
        with open_rows(cast("BinaryIO", ahead.again()), form, limit, ahead.offset, line) as (source, _):
            counted = CountedLines(source, form.encoding)
            rows, lines = take_rows(source, csv.reader(counted, delimiter=form.delimiter, strict=True), _ROWS, _BLOCK)
            line = source.count
        ahead.consume(counted.bytes)
        yield TextBlock(form, width, line, rows=rows, lines=lines)


def _by_rows(file: BinaryIO, form: CsvForm, limit: RowLimit, width: int) -> Iterator[TextBlock]:
    """Read a file whose bytes say nothing of lines."""
    with open_rows(file, form, limit) as (source, reader):
        header_width(source, reader)
        for rows, lines in batches_of_rows(source, reader, _ROWS, _BLOCK):
            yield TextBlock(form, width, source.count, rows=rows, lines=lines)


class _Ahead:
    """The bytes of a file from a place on that are read but not used."""

    def __init__(self, file: BinaryIO, offset: int) -> None:
        self._file, self._content, self._ended = file, b"", False
        self.offset = offset
        file.seek(offset)

    def fill(self, size: int) -> bool:
        """Read on until there are this many bytes; returns False at the end."""
        while len(self._content) < size and self.read_on(size - len(self._content)):
            pass
        return bool(self._content)

    def read_on(self, size: int) -> bool:
        """Read some bytes more; returns False at the end."""
        read = b"" if self._ended else self._file.read(size)
        self._ended = not read
        self._content += read
        return bool(read)

    def whole_lines(self) -> bytes:
        """Return the lines that are there whole; empty if there is none."""
        return self._content if self._ended else self._content[: self._content.rfind(b"\n") + 1]

    def consume(self, size: int) -> None:
        self._content, self.offset = self._content[size:], self.offset + size

    def again(self) -> "_Again":
        """Return a file of what is there and what follows, which takes nothing away."""
        return _Again(self)

    def slice(self, place: int, size: int) -> bytes:
        """Return bytes from a place on, counted from what is there; fewer at the end."""
        while len(self._content) < place + size and self.read_on(size):
            pass
        return self._content[place : place + size]


class _Again(SeekableReader):
    def __init__(self, ahead: _Ahead) -> None:
        super().__init__()
        self._ahead, self._place = ahead, 0

    def seek(self, offset: int, whence: int = 0, /) -> int:  # noqa: ARG002 - the text is read from a place of the file
        self._place = offset - self._ahead.offset
        return offset

    def tell(self) -> int:
        return self._ahead.offset + self._place

    def next_bytes(self, most: int) -> bytes:
        content = self._ahead.slice(self._place, most)
        self._place += len(content)
        return content

    def read1(self, size: int = -1, /) -> bytes:
        """What a text file asks for."""
        return self.read(size) or b""
