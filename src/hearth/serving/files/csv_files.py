"""CSV files, read and written by the standard library.

The file is read twice. The first pass checks everything, so that a file that is no table is refused before anything is scored, and counts
the rows that are refused; the second pass scores.
"""

import csv
import io
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Self

from hearth.contracts import Contract
from hearth.contracts.rules import TextReader, rules_of
from hearth.contracts.texts import OTHER_FORMATS, fit_row, listed, wrong_width
from hearth.errors import InvalidFile
from hearth.serving.files.added_columns import AddedColumns, OnBatch, score_batch
from hearth.serving.files.limits import FileLimits
from hearth.serving.files.row_batches import RowBatch, RowBatchBuilder
from hearth.serving.model_follower import LoadedModel

ROWS = 1_000
_CHARACTERS = 4_000_000  # of a batch
_DELIMITERS = (",", ";", "\t", "|")
_BOM = b"\xef\xbb\xbf"
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

    def __init__(  # noqa: PLR0913, PLR0917 - what `open` has found
        self, file: BinaryIO, contract: Contract, added: AddedColumns, limits: FileLimits, form: _Form, header: Row
    ) -> None:
        self._file = file
        self._added = added
        self._limits = limits
        self._form = form
        self._header = header
        self._contract = contract
        names = [name.strip() for name in header]
        self._places = [names.index(name) for name in contract.feature_names]
        self._readers = {name: TextReader(rules_of(contract)[name]) for name in contract.feature_names}
        self.rows = 0
        self.refused = 0

    @classmethod
    def open(cls, file: BinaryIO, contract: Contract, added: AddedColumns, limits: FileLimits = FileLimits()) -> Self:  # noqa: B008 - frozen
        """Check the header of a file, which must be able to seek and has to stay open.

        Raises:
            InvalidFile: it is not CSV, without a column that is a feature, or with more columns than the limit.
        """
        start = _beginning(file)
        form, header = _find_form(file, contract, limits, has_bom=start.startswith(_BOM))
        limits.check_columns(len(header))
        added.check([name.strip() for name in header])
        return cls(file, contract, added, limits, form, header)

    def check(self) -> Generator[None]:
        """Check and count the rows, some of them at each step.

        Raises:
            InvalidFile: the file is not CSV, not text in UTF-8, has no rows, or has more cells than the limit.
        """
        self.rows = self.refused = 0
        width, padding = len(self._header), 0
        for rows in self._batches():
            self.rows += len(rows)
            padding += sum(max(0, width - len(row)) for row in rows)
            self._limits.check_cells(self.rows, width)
            self._limits.check_padding(padding)
            self.refused += len(self._parse(rows).refusals)
            yield
        if not self.rows:
            raise InvalidFile("The file has a header but no rows.")

    def scored(self, model: LoadedModel, on_batch: OnBatch) -> Generator[bytes]:
        """Score the file; each step scores and yields one batch."""
        text = _TextBuffer(self._form.line_end)
        writer = csv.writer(text, delimiter=self._form.delimiter, lineterminator=_TextBuffer.LINE_END)
        writer.writerow([*self._header, *self._added.names])
        if self._form.has_bom:
            yield _BOM
        width = len(self._header)
        for rows in self._batches():
            values = score_batch(model, self._parse(rows), on_batch)
            for row, added in zip(rows, zip(*values.columns, strict=True), strict=True):
                writer.writerow([*fit_row(row, width), *added])
            yield text.flush()

    def _batches(self) -> Iterator[list[Row]]:
        batches = _batches(self._file, self._form.delimiter, self._limits)
        first = next(batches)
        yield first[1:]  # without the header
        yield from batches

    def _parse(self, rows: Sequence[Row]) -> RowBatch:
        width = len(self._header)
        batch = RowBatchBuilder(self._contract, len(rows))
        whole: Sequence[Row] = rows
        if any(len(row) != width for row in rows):
            for number, row in enumerate(rows):
                if len(row) != width:
                    batch.refuse_row(number, wrong_width(row, width))
            whole = [fit_row(row, width) for row in rows]
        columns = list(zip(*whole, strict=True)) or [()] * width
        for (name, reader), place in zip(self._readers.items(), self._places, strict=True):
            batch.add_texts(name, reader, columns[place])
        return batch.build()


class _TextBuffer:
    """What csv writes rows to. csv quotes only the line ends that it writes itself: it writes both, which are replaced here."""

    LINE_END = "\r\n"

    def __init__(self, line_end: str) -> None:
        self._line_end = line_end
        self._rows: list[str] = []

    def write(self, row: str) -> None:
        self._rows.append(row.removesuffix(self.LINE_END))

    def flush(self) -> bytes:
        """Return what was written since the last call."""
        content = self._line_end.join([*self._rows, ""]).encode()
        self._rows.clear()
        return content


class _Lines:
    """The lines of a text file, for csv. Counts the characters of a row, so that a quote that is never closed reads no whole file."""

    def __init__(self, text: io.TextIOWrapper, longest_row: int) -> None:
        self._text = text
        self._longest_row = longest_row
        self.count = 0
        self.last = ""
        self.row_characters = 0  # the reader of rows sets it to 0 after each row
        self.batch_characters = 0  # and this one after each batch

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._text.readline(self._longest_row)
        if not line:
            raise StopIteration
        self.count += 1
        self.last = line
        self.row_characters += len(line)
        self.batch_characters += len(line)
        if self.row_characters >= self._longest_row:
            raise InvalidFile(
                f"Line {self.count}: the row has {self._longest_row} characters or more (HEARTH_API_MAX_ROW_BYTES). Is it a CSV file, and "
                "is a quote before it not closed?"
            )
        return line


@contextmanager
def _open_rows(file: BinaryIO, delimiter: str, limits: FileLimits) -> Iterator[tuple[_Lines, Iterator[Row]]]:
    """Read a file from its beginning; it stays open. Raises InvalidFile for what is no CSV in UTF-8."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    lines = _Lines(text, limits.row_bytes)
    try:
        yield lines, csv.reader(lines, delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise InvalidFile(f"Line {lines.count}: not CSV: {error}.") from error
    except UnicodeDecodeError as error:
        line = lines.count + 1 + error.object.count(b"\n", 0, error.start)
        raise InvalidFile(f"Line {line}: not UTF-8 text (byte 0x{error.object[error.start]:02x}): save the file as UTF-8.") from error
    finally:
        text.detach()


def _batches(file: BinaryIO, delimiter: str, limits: FileLimits) -> Iterator[list[Row]]:
    """Read the rows of a file, the header as the first; blank lines are left out."""
    batch: list[Row] = []
    with _open_rows(file, delimiter, limits) as (lines, reader):
        for row in reader:
            lines.row_characters = 0
            if row:
                batch.append(row)
            if len(batch) == ROWS or lines.batch_characters > _CHARACTERS:
                yield batch
                batch, lines.batch_characters = [], 0
        if batch:
            yield batch


def _beginning(file: BinaryIO) -> bytes:
    file.seek(0)
    start = file.read(8)
    if not start:
        raise InvalidFile("The file is empty: expected CSV with a header.")
    for mark, kind in OTHER_FORMATS.items():
        if start.startswith(mark):
            raise InvalidFile(f"The file is {kind}: expected CSV, as UTF-8 text.")
    return start


def _find_form(file: BinaryIO, contract: Contract, limits: FileLimits, *, has_bom: bool) -> tuple[_Form, Row]:
    """Find the delimiter: the one with which the header has most of the features."""
    features = set(contract.feature_names)
    candidates: list[tuple[int, int, _Form, Row]] = []
    problem: InvalidFile | None = None
    for delimiter in _DELIMITERS:
        try:
            header, line_end = _header(file, delimiter, limits)
        except InvalidFile as error:
            problem = problem or error
            continue
        candidates.append((len(features & {name.strip() for name in header}), len(header), _Form(delimiter, line_end, has_bom), header))
    if not candidates:
        raise problem or InvalidFile("The file has no header.")
    _, _, form, header = max(candidates, key=lambda candidate: candidate[:2])
    _check_header([name.strip() for name in header], contract)
    return form, header


def _header(file: BinaryIO, delimiter: str, limits: FileLimits) -> tuple[Row, str]:
    """Return the first row that is not blank, and how its line ends."""
    with _open_rows(file, delimiter, limits) as (lines, reader):
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
