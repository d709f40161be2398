"""CSV files, read and written by the standard library.

The file is read twice. The first pass checks everything, so that a file that is no table is refused before anything is scored, and counts
the rows that are refused; the second pass scores.
"""

import csv
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, Self
from weakref import finalize

from hearth.contracts import Contract
from hearth.contracts.numbers import AmbiguousNumbers, NumberFormat, find_number_format
from hearth.contracts.rules import TextReader, rules_of
from hearth.contracts.texts import fit_row, wrong_width
from hearth.errors import InvalidFile
from hearth.serving.files.added_columns import AddedColumns, ScoreBatch, score_batch
from hearth.serving.files.limits import FileLimits
from hearth.serving.files.row_batches import RowBatch, RowBatchBuilder
from hearth.tables import (
    PARQUET,
    CsvForm,
    MissingWords,
    Row,
    RowLimit,
    Unpacked,
    UnreadableTable,
    column_names,
    feature_places,
    find_form,
    open_rows,
    other_columns,
    require_features,
    unpack,
)

ROWS = 1_000
_CHARACTERS = 4_000_000  # of a batch
_BOM = b"\xef\xbb\xbf"


class CsvFile:
    """A CSV file that has all features of a contract, and any other columns."""

    suffix = "csv"
    media_type = "text/csv; charset=utf-8"

    def __init__(  # noqa: PLR0913, PLR0917 - what `open` has found
        self, unpacked: Unpacked, contract: Contract, added: AddedColumns, limits: FileLimits, form: CsvForm, header: Row
    ) -> None:
        self._file = unpacked.file
        self._added = added
        self._limits = limits
        self._form = form
        self._header = header
        self._contract = contract
        self._places = feature_places(header, contract)
        with _refusing():
            numbers = self._number_format()
        rules = rules_of(contract)
        self._readers = {name: TextReader(rules[name], numbers) for name in contract.feature_names}
        self.rows = 0
        self.refused = 0
        self._read_as = ", ".join([*unpacked.notes, str(form), str(numbers)])
        self._missing, self._blank_lines = MissingWords(contract), 0

    @property
    def understood(self) -> tuple[str, ...]:
        """Sentences about how the file was read; those about rows are there when it is checked."""
        blank = [f"{self._blank_lines} blank lines were left out"] if self._blank_lines else []
        return (self._read_as, *blank, *self._missing.sentences(), *other_columns(self._contract, self._header))

    @classmethod
    def open(cls, file: BinaryIO, contract: Contract, added: AddedColumns, limits: FileLimits = FileLimits()) -> Self:  # noqa: B008 - frozen
        """Check the header of a file, which must be able to seek and has to stay open; it may be packed, or a workbook.

        Raises:
            InvalidFile: it is not CSV, without a column that is a feature, its numbers can be read in two ways, or it has more columns or
                more unpacked bytes than the limits.
        """
        with _refusing():
            unpacked = _text_file(file, contract, limits)
            text = unpacked.file
        try:
            with _refusing():
                form, header = find_form(text, contract.feature_names, contract.file_format, _row_limit(limits))
            with _refusing():
                require_features(header, contract)
            limits.check_columns(len(header))
            added.check(column_names(header))
            opened = cls(unpacked, contract, added, limits, form, header)
        except BaseException:
            if text is not file:
                text.close()
            raise
        if text is not file:
            finalize(opened, text.close)
        return opened

    def check(self) -> Generator[None]:
        """Check and count the rows, some of them at each step.

        Raises:
            InvalidFile: the file is not CSV, not text in its encoding, has no rows, or has more cells than the limit.
        """
        self.rows = self.refused = self._blank_lines = 0
        self._missing = MissingWords(self._contract)
        width, padding = len(self._header), 0
        for rows in self._batches(self._count_blank):
            self.rows += len(rows)
            for name in self._missing.columns:
                place = self._places[self._contract.feature_names.index(name)]
                self._missing.count(name, [row[place] for row in rows if place < len(row)])
            padding += sum(max(0, width - len(row)) for row in rows)
            self._limits.check_cells(self.rows, width)
            self._limits.check_padding(padding)
            self.refused += len(self._parse(rows).refusals)
            yield
        if not self.rows:
            raise InvalidFile("The file has a header but no rows.")

    def scored(self, score: ScoreBatch) -> Generator[bytes]:
        """Score the file; each step scores and yields one batch."""
        text = _TextBuffer(self._form.line_end)
        writer = csv.writer(text, delimiter=self._form.delimiter, lineterminator=_TextBuffer.LINE_END)
        writer.writerow([*self._header, *self._added.names])
        if self._form.has_mark:
            yield _BOM
        if self._form.first_line:
            yield f"{self._form.first_line}{self._form.line_end}".encode()
        width = len(self._header)
        for rows in self._batches():
            values = score_batch(self._parse(rows), score, self._added.include)
            for row, added in zip(rows, zip(*values.columns, strict=True), strict=True):
                writer.writerow([*fit_row(row, width), *added])
            yield text.flush()

    def _count_blank(self) -> None:
        self._blank_lines += 1

    def _batches(self, on_blank: Callable[[], None] = lambda: None) -> Iterator[list[Row]]:
        batches = _batches(self._file, self._form, self._limits, on_blank)
        first = next(batches)
        header = next(place for place, row in enumerate(first) if any(cell.strip() for cell in row))
        yield first[header + 1 :]
        yield from batches

    def _number_format(self) -> NumberFormat:
        """Find out how numbers are written, from the first batch."""
        rules = rules_of(self._contract)
        places = [place for name, place in zip(self._contract.feature_names, self._places, strict=True) if rules[name].holds_numbers]
        texts = {row[place].strip() for row in next(self._batches()) for place in places if place < len(row)}
        return find_number_format(texts, self._contract.file_format)

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


@contextmanager
def _refusing() -> Iterator[None]:
    """Raise InvalidFile for a file that is no table."""
    try:
        yield
    except (UnreadableTable, AmbiguousNumbers) as error:
        raise InvalidFile(str(error)) from error


def _batches(file: BinaryIO, form: CsvForm, limits: FileLimits, on_blank: Callable[[], None]) -> Iterator[list[Row]]:
    """Read the rows of a file, the header as the first; blank lines are left out, and `on_blank` is called for each."""
    batch: list[Row] = []
    start = 0
    with _refusing(), open_rows(file, form, _row_limit(limits)) as (lines, reader):
        for row in reader:
            lines.row_start = lines.characters
            if row:
                batch.append(row)
            else:
                on_blank()
            if len(batch) == ROWS or lines.characters - start > _CHARACTERS:
                yield batch
                batch, start = [], lines.characters
        if batch:
            yield batch


def _row_limit(limits: FileLimits) -> RowLimit:
    return RowLimit(limits.row_bytes, "HEARTH_API_MAX_ROW_BYTES")


def _text_file(file: BinaryIO, contract: Contract, limits: FileLimits) -> Unpacked:
    """Return the file as text; raises UnreadableTable."""
    file.seek(0)
    if file.read(len(PARQUET)) == PARQUET:
        raise UnreadableTable("The file is a Parquet file: send it to /predict/parquet.")
    return unpack(file, contract.file_format, limits.unpacked_bytes)
