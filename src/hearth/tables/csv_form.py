"""How a text file is written: found out from its first bytes and its header, and from the words of the contract."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from hearth.contracts.file_format import FileFormat
from hearth.contracts.texts import listed, normalized
from hearth.tables.csv_rows import Row, RowLimit, open_rows
from hearth.tables.unreadable import UnreadableTable

_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_NAMES_DELIMITER = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


@dataclass(frozen=True)
class CsvForm:
    """How a text file is written.

    Attributes:
        delimiter: one character.
        line_end: what ends the line of the header.
        encoding: as Python calls it.
        has_mark: whether it begins with a byte order mark.
        first_line: the line `sep=;` before the header, empty without one.
    """

    delimiter: str
    line_end: str = "\n"
    encoding: str = "utf-8"
    has_mark: bool = False
    first_line: str = ""

    def __str__(self) -> str:
        name = next((f"{name}s" for name, sign in _DELIMITERS.items() if sign == self.delimiter), repr(self.delimiter))
        return f"{self.encoding.removesuffix('-sig').upper()} text, separated by {name}"


def find_form(
    file: BinaryIO,
    columns: Collection[str],
    words: FileFormat,
    limit: RowLimit = RowLimit(),  # noqa: B008 - frozen
) -> tuple[CsvForm, Row]:
    """Find the form of a file and its header; of all delimiters the one with which the header has most of the columns.

    Raises:
        UnreadableTable: it is blank or no text, or two delimiters do as well.
    """
    start = _beginning(file)
    encoding, has_mark = next(((name, True) for mark, name in _MARKS.items() if start.startswith(mark)), (words.encoding, False))
    first_line, named = _first_line(file, encoding, limit)
    delimiters = [_DELIMITERS[words.delimiter]] if words.delimiter != "auto" else [named] if named else list(_DELIMITERS.values())
    headers: dict[CsvForm, Row] = {}
    problem: UnreadableTable | None = None
    for delimiter in delimiters:
        form = CsvForm(delimiter, encoding=encoding, has_mark=has_mark, first_line=first_line)
        try:
            header, line_end = _header(file, form, limit)
        except UnreadableTable as error:
            problem = problem or error
            continue
        headers[CsvForm(delimiter, line_end, encoding, has_mark, first_line)] = header
    if not headers:
        raise problem or UnreadableTable("The file has no header.")
    return _best(headers, {normalized(name) for name in columns})


def _best(headers: Mapping[CsvForm, Row], columns: Collection[str]) -> tuple[CsvForm, Row]:
    hits = {form: sum(normalized(name.strip()) in columns for name in header) for form, header in headers.items()}
    best = max(headers, key=lambda form: (hits[form], len(headers[form])))
    for form, header in headers.items():
        if hits[form] == hits[best] > 0 and header != headers[best]:
            raise UnreadableTable(
                f"The header names as many columns with {form.delimiter!r} as with {best.delimiter!r} between them: say in the contract "
                f"which it is (source.format.delimiter: {', '.join(_DELIMITERS)}). It has: {listed(header[:10])}."
            )
    return best, headers[best]


def _beginning(file: BinaryIO) -> bytes:
    file.seek(0)
    start = file.read(4)
    if not start:
        raise UnreadableTable("The file is empty: expected CSV with a header.")
    return start


def _first_line(file: BinaryIO, encoding: str, limit: RowLimit) -> tuple[str, str]:
    """Return the line that names the delimiter, and the delimiter; empty texts if there is none."""
    with open_rows(file, CsvForm("\0", encoding=encoding), limit) as (lines, _):
        line = next(lines, "")
    match = _NAMES_DELIMITER.fullmatch(line)
    return (line.rstrip("\r\n"), match[1]) if match else ("", "")


def _header(file: BinaryIO, form: CsvForm, limit: RowLimit) -> tuple[Row, str]:
    """Return the first row that is not blank, and how its line ends."""
    with open_rows(file, form, limit) as (lines, reader):
        for row in reader:
            if any(cell.strip() for cell in row):
                return row, next((end for end in ("\r\n", "\n", "\r") if lines.last.endswith(end)), "\n")
    raise UnreadableTable("The file is blank: expected CSV with a header.")
