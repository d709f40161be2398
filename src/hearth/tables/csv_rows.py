"""The rows of a text file, read by the standard library."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Protocol, Self

import numpy as np

from hearth.tables.unreadable import UnreadableTable

Row = list[str]

_MARK = "\ufeff"


@dataclass(frozen=True)
class RowLimit:
    """How long a row may be; `setting` is what it can be changed by."""

    characters: int = 1_000_000
    setting: str = ""


class TextForm(Protocol):
    """What has to be known of a file to read its rows."""

    @property
    def delimiter(self) -> str: ...
    @property
    def encoding(self) -> str: ...
    @property
    def first_line(self) -> str: ...


class Lines:
    """The lines of a text file, for csv. Counts their characters, so that a quote that is never closed reads no whole file."""

    def __init__(self, text: io.TextIOWrapper, limit: RowLimit, count: int = 0) -> None:
        self._text, self._limit = text, limit
        self.count = count
        self.last = ""
        self.characters = 0
        self.row_start = 0  # the reader of rows sets it to `characters` after each row

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._text.readline(self._limit.characters)
        if not line:
            raise StopIteration
        self.count += 1
        if self.count == 1:
            line = line.lstrip(_MARK) or "\n"  # a second mark, which a program has put before the first
        if "\0" in line:
            raise UnreadableTable(
                f"Line {self.count}: a zero byte, so the file is binary, or UTF-16 without a byte order mark: save it as UTF-8."
            )
        self.last = line
        self.characters += len(line)
        if self.characters - self.row_start >= self._limit.characters:
            setting = f" ({self._limit.setting})" if self._limit.setting else ""
            raise UnreadableTable(
                f"Line {self.count}: the row has {self._limit.characters} characters or more{setting}. Is it a CSV file, and is a quote "
                "before it not closed?"
            )
        return line


class CountedLines:
    """Lines, with the number of their bytes."""

    def __init__(self, source: Lines, encoding: str) -> None:
        self._source, self._encoding = source, encoding.removesuffix("-sig")
        self.bytes = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = next(self._source)
        self.bytes += len(line.encode(self._encoding))
        return line


def take_rows(source: Lines, reader: Iterator[Row], most: int, characters: int) -> tuple[list[Row], np.ndarray]:
    """Read on until there are `most` rows that are not blank, or this many characters; return the rows and the line that each begins in.

    Where these characters are all blank lines there is no row, and more may come.
    """
    rows: list[Row] = []
    lines: list[int] = []
    start, end = source.count + 1, source.characters + characters
    for row in reader:
        source.row_start = source.characters
        if row:
            rows.append(row)
            lines.append(start)
        start = source.count + 1
        if len(rows) == most or source.characters >= end:
            break
    return rows, np.array(lines, dtype=np.int64)


def batches_of_rows(source: Lines, reader: Iterator[Row], most: int, characters: int) -> Iterator[tuple[list[Row], np.ndarray]]:
    """Yield all rows to come, as `take_rows` takes them; no batch is empty."""
    while True:
        before = source.count
        rows, lines = take_rows(source, reader, most, characters)
        if rows:
            yield rows, lines
        elif source.count == before:
            return


@contextmanager
def open_rows(
    file: BinaryIO,
    form: TextForm,
    limit: RowLimit = RowLimit(),
    offset: int = 0,
    line: int = 0,
) -> Iterator[tuple[Lines, Iterator[Row]]]:
    """Read a file from a place on that has this many lines before it; at its beginning, a line that only names the delimiter is left out.

    The file stays open.

    Raises:
        UnreadableTable: it is no CSV, or not in the encoding of the form.
    """
    file.seek(offset)
    encoding = form.encoding.removesuffix("-sig") if offset else form.encoding  # a mark is one at the beginning only
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    lines = Lines(text, limit, line)
    try:
        if form.first_line and not offset:
            next(lines)
            lines.row_start = lines.characters
        yield lines, csv.reader(lines, delimiter=form.delimiter, strict=True)
    except csv.Error as error:
        raise UnreadableTable(f"Line {lines.count}: not CSV: {error}.") from error
    except UnicodeDecodeError as error:
        raise UnreadableTable(not_text(error, lines.count, form.encoding)) from error
    finally:
        text.detach()


def not_text(error: UnicodeDecodeError, line: int, encoding: str) -> str:
    """Return the sentence for bytes that are no text; `line` is the number of lines before those that were to be decoded."""
    line += 1 + error.object.count(b"\n", 0, error.start)
    return (
        f"Line {line}: not {encoding.removesuffix('-sig').upper()} text (byte 0x{error.object[error.start]:02x}): save the file as UTF-8, "
        "or name its encoding in the contract, such as windows-1252 (source.format.encoding)."
    )
