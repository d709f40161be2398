"""CSV files: read and written by the standard library, whatever stands in their cells.

The file is read twice. The first time everything is checked, so that a file that is no table is refused whole before anything is scored,
and the rows that will be refused are counted; the second time it is scored.
"""

import csv
import io
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Self

from hearth.contracts import Contract
from hearth.errors import InvalidFile
from hearth.serving.files.added_columns import AddedColumns, Seen, answer
from hearth.serving.files.row_batches import Batch, Reading, cells_of, listed
from hearth.serving.model_follower import LoadedModel

ROWS = 1_000
_CHARACTERS = 4_000_000  # of a batch
_LONGEST_ROW = 1_000_000  # characters
_DELIMITERS = (",", ";", "\t", "|")
_BOM = b"\xef\xbb\xbf"
_OTHER_KINDS = {
    b"PK": "a zip archive or a spreadsheet",
    b"\x1f\x8b": "a gzip archive",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}

Row = list[str]


@dataclass(frozen=True)
class _Form:
    """How a file is written."""

    delimiter: str
    line_end: str
    has_bom: bool


class CsvFile:
    """A CSV file that has all features of a contract, and any other columns."""

    suffix = "csv"
    media_type = "text/csv; charset=utf-8"

    def __init__(self, file: BinaryIO, contract: Contract, added: AddedColumns, form: _Form, header: Row) -> None:
        self._file = file
        self._added = added
        self._form = form
        self._header = header
        self._contract = contract
        names = [name.strip() for name in header]
        self._places = [names.index(name) for name in contract.feature_names]
        self._cells = {name: cells_of(column) for name, column in contract.feature_columns.items()}
        self.rows = 0
        self.refused = 0

    @classmethod
    def open(cls, file: BinaryIO, contract: Contract, added: AddedColumns) -> Self:
        """Check the header of a file, which must be able to seek and has to stay open.

        Raises:
            InvalidFile: it is not CSV, or without a column that is a feature.
        """
        start = _beginning(file)
        form, header = _find_form(file, contract, has_bom=start.startswith(_BOM))
        added.check([name.strip() for name in header])
        return cls(file, contract, added, form, header)

    def check(self) -> Generator[None]:
        """Check and count the rows, some of them at each step.

        Raises:
            InvalidFile: the file is not CSV, not text in UTF-8, or has no rows.
        """
        self.rows = self.refused = 0
        for rows in self._batches():
            self.rows += len(rows)
            self.refused += len(self._read(rows).refused)
            yield
        if not self.rows:
            raise InvalidFile("The file has a header but no rows.")

    def scored(self, model: LoadedModel, seen: Seen) -> Generator[bytes]:
        """Score the file; each part of it is made when it is asked for."""
        text = _Text(self._form.line_end)
        writer = csv.writer(text, delimiter=self._form.delimiter, lineterminator=_Text.LINE_END)
        writer.writerow([*self._header, *self._added.names])
        if self._form.has_bom:
            yield _BOM
        width = len(self._header)
        for rows in self._batches():
            answers = answer(model, self._read(rows), seen)
            for row, added in zip(rows, zip(*answers.columns, strict=True), strict=True):
                writer.writerow([*_fitted(row, width), *added])
            yield text.taken()

    def _batches(self) -> Iterator[list[Row]]:
        batches = _batches(self._file, self._form.delimiter)
        first = next(batches)
        yield first[1:]  # without the header
        yield from batches

    def _read(self, rows: Sequence[Row]) -> Reading:
        width = len(self._header)
        batch = Batch(self._contract, len(rows))
        whole: Sequence[Row] = rows
        if any(len(row) != width for row in rows):
            for number, row in enumerate(rows):
                if len(row) != width:
                    batch.refuse_row(number, _wrong_width(row, width))
            whole = [_fitted(row, width) for row in rows]
        columns = list(zip(*whole, strict=True)) or [()] * width
        for (name, column), place in zip(self._contract.feature_columns.items(), self._places, strict=True):
            batch.add_texts(name, column, self._cells[name], columns[place])
        return batch.reading()


class _Text:
    """Where csv writes rows. It quotes only the line ends that it is told to write: it is told both, and rows get theirs here."""

    LINE_END = "\r\n"

    def __init__(self, line_end: str) -> None:
        self._line_end = line_end
        self._rows: list[str] = []

    def write(self, row: str) -> None:
        self._rows.append(row.removesuffix(self.LINE_END))

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        content = self._line_end.join([*self._rows, ""]).encode()
        self._rows.clear()
        return content


class _Lines:
    """The lines of a text file, for csv. Counts what one row takes, so that a quote that is never closed does not take it all."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.read = 0  # lines
        self.last = ""
        self.taken = 0  # characters since whoever uses this has set it to 0
        self.passed = 0  # characters

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._text.readline(_LONGEST_ROW)
        if not line:
            raise StopIteration
        self.read += 1
        self.last = line
        self.taken += len(line)
        self.passed += len(line)
        if self.taken >= _LONGEST_ROW:
            raise InvalidFile(
                f"Line {self.read}: the row has {_LONGEST_ROW} characters or more. Is it a CSV file, and is a quote before it not closed?"
            )
        return line


@contextmanager
def _reading(file: BinaryIO, delimiter: str) -> Iterator[tuple[_Lines, Iterator[Row]]]:
    """Read a file from its beginning; it stays open. What is wrong with it is an InvalidFile."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    lines = _Lines(text)
    try:
        yield lines, csv.reader(lines, delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise InvalidFile(f"Line {lines.read}: not CSV: {error}.") from error
    except UnicodeDecodeError as error:
        line = lines.read + 1 + error.object.count(b"\n", 0, error.start)
        raise InvalidFile(f"Line {line}: not UTF-8 text (byte 0x{error.object[error.start]:02x}): save the file as UTF-8.") from error
    finally:
        text.detach()


def _batches(file: BinaryIO, delimiter: str) -> Iterator[list[Row]]:
    """Read the rows of a file, the header as the first; blank lines are left out."""
    batch: list[Row] = []
    with _reading(file, delimiter) as (lines, reader):
        for row in reader:
            lines.taken = 0
            if row:
                batch.append(row)
            if len(batch) == ROWS or lines.passed > _CHARACTERS:
                yield batch
                batch, lines.passed = [], 0
        if batch:
            yield batch


def _beginning(file: BinaryIO) -> bytes:
    file.seek(0)
    start = file.read(8)
    if not start:
        raise InvalidFile("The file is empty: expected CSV with a header.")
    for mark, kind in _OTHER_KINDS.items():
        if start.startswith(mark):
            raise InvalidFile(f"The file is {kind}: expected CSV, as UTF-8 text.")
    return start


def _find_form(file: BinaryIO, contract: Contract, *, has_bom: bool) -> tuple[_Form, Row]:
    """Find the delimiter: the one with which the header has most of the features."""
    features = set(contract.feature_names)
    found: list[tuple[int, int, _Form, Row]] = []
    problem: InvalidFile | None = None
    for delimiter in _DELIMITERS:
        try:
            header, line_end = _header(file, delimiter)
        except InvalidFile as error:
            problem = problem or error
            continue
        found.append((len(features & {name.strip() for name in header}), len(header), _Form(delimiter, line_end, has_bom), header))
    if not found:
        raise problem or InvalidFile("The file has no header.")
    _, _, form, header = max(found, key=lambda each: each[:2])
    _check_header([name.strip() for name in header], contract)
    return form, header


def _header(file: BinaryIO, delimiter: str) -> tuple[Row, str]:
    """Return the first row that is not blank, and how its line ends."""
    with _reading(file, delimiter) as (lines, reader):
        for row in reader:
            if row:
                return row, next((end for end in ("\r\n", "\n", "\r") if lines.last.endswith(end)), "\n")
    raise InvalidFile("The file is blank: expected CSV with a header.")


def _check_header(header: Row, contract: Contract) -> None:
    names = contract.feature_names
    if missing := [name for name in names if name not in header]:
        raise InvalidFile(
            f"The header lacks columns that {contract.name!r} needs: {listed(missing)}. It has: {listed(header[:50])}. Nothing was scored."
        )
    if twice := [name for name in names if header.count(name) > 1]:
        raise InvalidFile(f"The header names columns twice: {listed(twice)}.")


def _fitted(row: Row, width: int) -> Row:
    return row if len(row) == width else (row + [""] * width)[:width]


def _wrong_width(row: Row, width: int) -> str:
    more = f"; left out of this row: {listed(row[width:])}" if len(row) > width else ""
    return f"the row has {len(row)} cells, expected {width}, one for each column of the header{more}"
