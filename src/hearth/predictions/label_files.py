"""Files of reports: CSV or Parquet, a line or row each, with the columns of a report of feedback.

`id` and `truth` are needed; `row`, `dataset`, `observed_at` and `reported_by` may be left out. Cells that are empty are too.
"""

import csv
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from hearth.errors import InvalidFile
from hearth.predictions.feedback import FIELDS

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".csv", ".parquet")
_NEEDED = ("id", "truth")
_BATCH_ROWS = 1_000
_LONGEST_HEADER = 100_000  # characters
_LONGEST_LINE = 1_000_000


class FileReport(NamedTuple):
    """A report and its place: the line of a CSV file, the header being line 1, or the row of a Parquet file, from 1.

    A report that is no object, such as a list of cells that do not fit the header, is refused like others that cannot be read.
    """

    place: int
    report: object


def read_reports(file: BinaryIO, name: str) -> Iterator[FileReport]:
    """Yield the reports of a file, unchecked, in constant memory; its name tells the format.

    Raises:
        InvalidFile: it cannot be read, here or after some reports.
    """
    if name.endswith(".parquet"):
        yield from _parquet_reports(file, name)
    elif name.endswith(".csv"):
        yield from _csv_reports(file, name)
    else:
        raise InvalidFile(f"{name}: expected a file whose name ends with {' or '.join(SUFFIXES)}.")


def in_batches(reports: Iterable[FileReport], size: int = _BATCH_ROWS) -> Iterator[list[FileReport]]:
    """Yield reports in lists of at most `size`."""
    iterator = iter(reports)
    while batch := list(islice(iterator, size)):
        yield batch


def _csv_reports(file: BinaryIO, name: str) -> Iterator[FileReport]:
    text = TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        first = text.readline(_LONGEST_HEADER)
        text.seek(0)
        lines = csv.reader(_lines(text), delimiter=";" if first.count(";") > first.count(",") else ",", strict=True)
        header = [cell.strip() for cell in next(lines, [])]
        _require_columns(header, name)
        place = lines.line_num
        for cells in lines:
            start, place = place + 1, lines.line_num
            if cells:
                yield FileReport(start, _report(header, cells))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidFile(f"{name}: it is not a CSV file in UTF-8: {error}") from error
    finally:
        text.detach()  # or it would close the file


def _lines(text: TextIOWrapper) -> Iterator[str]:
    """Yield lines; one that memory might not hold ends the file."""
    while line := text.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise csv.Error(f"a line has {_LONGEST_LINE:,} characters or more")
        yield line


def _report(header: list[str], cells: list[str]) -> object:
    if len(cells) != len(header):
        return cells
    report: dict[str, object] = {column: cell.strip() for column, cell in zip(header, cells, strict=True) if cell.strip()}
    row = report.get("row")
    if isinstance(row, str) and row.isascii() and row.isdigit() and len(row) <= 10:  # noqa: PLR2004 - digits of the largest row
        report["row"] = int(row)
    return report


def _parquet_reports(file: BinaryIO, name: str) -> Iterator[FileReport]:
    import pyarrow as pa  # noqa: PLC0415 - takes a quarter of a second, and CSV files do not need it
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        with pq.ParquetFile(file) as table:
            _require_columns(table.schema_arrow.names, name)
            place = 0
            for batch in table.iter_batches(_BATCH_ROWS):
                for fields in _rows(batch):
                    place += 1
                    yield FileReport(
                        place, {column: cell for column, value in fields.items() if (cell := _cell(column, value)) is not None}
                    )
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InvalidFile(f"{name}: it is not a Parquet file that can be read: {error}") from error


def _rows(batch: "pa.RecordBatch") -> list[dict[str, object]]:
    try:
        return list(batch.to_pylist())
    except (OverflowError, ValueError):  # a value that Python does not have costs no other row
        return [{name: _value(batch.column(name)[row]) for name in batch.schema.names} for row in range(batch.num_rows)]


def _value(scalar: "pa.Scalar") -> object:
    """Return a value, or a list, which is refused in every field, that says why there is none."""
    try:
        return scalar.as_py()
    except (OverflowError, ValueError) as error:
        return [f"{scalar.type} that cannot be read: {error}"]


def _cell(column: str, value: object) -> object:
    """Return a value; pandas writes whole numbers as floats once one is missing, and NaN for a missing one."""
    if isinstance(value, float):
        if value != value:  # noqa: PLR0124 - NaN differs from itself
            return None
        return int(value) if column == "row" and value.is_integer() else value
    return value


def _require_columns(columns: list[str], name: str) -> None:
    unknown = [column for column in columns if column not in FIELDS]
    missing = [column for column in _NEEDED if column not in columns]
    if unknown or missing or len(set(columns)) != len(columns):
        listed = ", ".join(columns)[:200]
        raise InvalidFile(
            f"{name}: its columns are {listed or 'none'}; expected {', '.join(_NEEDED)} and, if they are known, "
            f"{', '.join(field for field in FIELDS if field not in _NEEDED)}, each once."
        )
