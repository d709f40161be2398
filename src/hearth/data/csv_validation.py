"""Raw files against the contract: a CSV file becomes a frame of texts, and that becomes typed rows and rejected rows.

Only the ETL imports this module: pandera is not in the environment that serves.
"""

import csv
import io
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pandera.pandas as pa

from hearth.contracts.column_types import CategoryColumn, Column, DateColumn, IdentifierColumn, IntegerColumn
from hearth.contracts.model import Contract
from hearth.contracts.texts import MISSING, NUMBER, WHOLE_CODE
from hearth.errors import InvalidRawData

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_BINARY_FORMATS = {b"PK": "a zip archive or a spreadsheet", b"\x1f\x8b": "a gzip archive", b"PAR1": "a parquet file", b"%PDF": "a PDF"}
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Validated:
    """A raw frame, sorted out.

    `accepted` holds typed columns in contract order: texts for identifiers and categories, float64 for numbers and whole numbers,
    datetime64[us] for dates. `rejected` holds `line` (where the row starts in the file, counted from 1 in lines of the file, so a quoted
    line break counts), `reason` (all that is wrong, joined by "; ") and the raw texts.
    """

    accepted: pd.DataFrame
    rejected: pd.DataFrame


def frame_schema(contract: Contract) -> pa.DataFrameSchema:
    """Derive the schema of a typed frame: exactly the contract's columns, in its order."""
    return pa.DataFrameSchema({name: _schema_column(column) for name, column in contract.columns.items()}, strict=True, ordered=True)


def decode_raw(content: bytes, name: str) -> str:
    """Return the text of a raw file.

    Raises:
        InvalidRawData: the file is empty, binary, or not UTF-8 (a byte order mark is fine).
    """
    if not content.strip():
        raise InvalidRawData(f"{name} is empty ({len(content)} bytes): expected a CSV file.")
    if content.startswith(_UTF16_MARKS):
        raise InvalidRawData(f"{name} is UTF-16 text: save it as UTF-8.")
    for mark, kind in _BINARY_FORMATS.items():
        if content.startswith(mark):
            raise InvalidRawData(f"{name} is {kind}: expected a CSV file, as UTF-8 text.")
    if (offset := content.find(b"\0")) >= 0:
        raise InvalidRawData(f"{name} is a binary file (byte {offset} is zero): expected a CSV file, as UTF-8 text.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidRawData(f"{name} is not UTF-8 text (line {line}, byte 0x{content[error.start]:02x}): save it as UTF-8.") from error


def read_raw(contract: Contract, content: bytes, name: str) -> pd.DataFrame:
    """Read a CSV file into a frame of texts, nothing converted; `name` is what errors call the file.

    Columns may come in any order in the file and are in contract order here. The index, `line`, says where each row starts in the file.
    Blank lines are left out.

    Raises:
        InvalidRawData: the file is not a CSV table of the contract's columns; the message says what is wrong and where.
    """
    reader = csv.reader(io.StringIO(decode_raw(content, name), newline=""), strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    header: list[str] = []
    start = 1
    try:
        for row in reader:
            if not row:
                pass
            elif not header:
                header = _checked_header(contract, row, name)
            elif len(row) != len(header):
                raise InvalidRawData(f"{name}, line {start}: {len(row)} values, expected {len(header)}, one for each column of the header.")
            else:
                rows.append(row)
                lines.append(start)
            start = reader.line_num + 1
    except csv.Error as error:
        raise InvalidRawData(f"{name}, line {start}: not CSV: {error}.") from error
    if not rows:
        raise InvalidRawData(f"{name} has a header but no rows.")
    frame = pd.DataFrame(rows, columns=header, index=pd.Index(lines, name="line"), dtype="str")
    return frame[list(contract.columns)]


def validate(contract: Contract, raw: pd.DataFrame) -> Validated:
    """Convert and check every row of a frame from `read_raw`; a row that breaks the contract is set aside with all its reasons."""
    typed: dict[str, pd.Series] = {}
    failed: dict[str, np.ndarray] = {}
    for name, column in contract.columns.items():
        text = raw[name].str.strip().reset_index(drop=True)
        known = column.texts if isinstance(column, CategoryColumn) else ()
        text = text.mask(text.isin(MISSING.difference(known)))
        typed[name] = _convert(column, text)
        failed[name] = (text.notna() & typed[name].isna()).to_numpy(copy=True)
    frame = pd.DataFrame(typed)
    try:
        frame_schema(contract).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        for name, cases in error.failure_cases.groupby("column"):
            failed[str(name)][cases["index"].to_numpy(dtype=np.int64)] = True

    bad = np.logical_or.reduce(list(failed.values()))
    rejected = raw[bad].reset_index()
    rejected.insert(1, "reason", pd.Series(_reasons(contract, raw, failed), dtype="str"))
    return Validated(frame[~bad].reset_index(drop=True), rejected)


def _checked_header(contract: Contract, row: list[str], name: str) -> list[str]:
    header = [cell.strip() for cell in row]
    twice = sorted({cell for cell in header if header.count(cell) > 1})
    if twice:
        raise InvalidRawData(f"{name}: the header names a column twice: {_listed(twice)}.")
    missing = [column for column in contract.columns if column not in header]
    unknown = [cell for cell in header if cell not in contract.columns]
    if missing or unknown:
        parts = [f"columns are missing: {_listed(missing)}"] if missing else []
        parts += [f"columns are not in the contract: {_listed(unknown)}"] if unknown else []
        hint = " Are the values separated by something other than commas?" if len(header) == 1 else ""
        raise InvalidRawData(f"{name}: {'; '.join(parts)}.{hint}")
    return header


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name[:_LONGEST_SHOWN]) for name in names)


def _schema_column(column: Column) -> pa.Column:
    if isinstance(column, IdentifierColumn):
        return pa.Column(str, nullable=column.nullable)
    if isinstance(column, CategoryColumn):
        return pa.Column(str, pa.Check.isin(column.texts), nullable=column.nullable)
    if isinstance(column, DateColumn):
        checks = [pa.Check.ge(pd.Timestamp(column.minimum))] if column.minimum else []
        checks += [pa.Check.le(pd.Timestamp(column.maximum))] if column.maximum else []
        return pa.Column("datetime64[us]", checks, nullable=column.nullable)
    checks = [pa.Check.in_range(column.minimum, column.maximum)]
    if isinstance(column, IntegerColumn):
        checks.append(pa.Check(_is_whole, name="whole"))
    return pa.Column(float, checks, nullable=column.nullable)


def _is_whole(values: pd.Series) -> pd.Series:
    return values % 1 == 0


def _convert(column: Column, text: pd.Series) -> pd.Series:
    """Give the texts of one column their type; what cannot be read becomes missing."""
    if isinstance(column, CategoryColumn) and column.holds_numbers:
        return text.str.replace(WHOLE_CODE, r"\1", regex=True)
    if isinstance(column, IdentifierColumn | CategoryColumn):
        return text
    pattern = _DATE if isinstance(column, DateColumn) else NUMBER
    readable = text.where(text.str.fullmatch(pattern, na=False))
    if isinstance(column, DateColumn):
        return pd.to_datetime(readable, format="%Y-%m-%d", errors="coerce").astype("datetime64[us]")
    return pd.to_numeric(readable).astype("float64")


def _reasons(contract: Contract, raw: pd.DataFrame, failed: dict[str, np.ndarray]) -> list[str]:
    """Say what is wrong with each failing row, in the order of the rows."""
    reasons: dict[int, list[str]] = {}
    for name, mask in failed.items():
        column = contract.columns[name]
        known = column.texts if isinstance(column, CategoryColumn) else ()
        expected = column.expected + (" or nothing" if column.nullable else "")
        positions = np.flatnonzero(mask)
        for position, value in zip(positions.tolist(), raw[name].to_numpy()[positions], strict=True):
            is_missing = value.strip() in MISSING and value.strip() not in known
            given = "it is missing" if is_missing else f"got {value[:_LONGEST_SHOWN]!r}"
            reasons.setdefault(position, []).append(f"{name}: {given}, expected {expected}")
    return ["; ".join(reasons[position]) for position in sorted(reasons)]
