"""Read a CSV or Parquet file that has no contract yet into a table of texts, and note where it is not plain CSV, as a draft's copy is."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from hearth.contracts.texts import MISSING, NUMBER
from hearth.errors import InvalidRawData

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SAMPLE_LINES = 200
_LISTED = 3
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})


@dataclass(frozen=True)
class RawTable:
    """Texts under the names of a file, unchanged; `notes` say in sentences what differs from plain CSV."""

    frame: pd.DataFrame
    file: str = "a frame"
    notes: tuple[str, ...] = ()
    decimal_comma: bool = False


def read_raw_table(path: Path) -> RawTable:
    """Read a file by its suffix: Parquet, or else CSV.

    Raises:
        InvalidRawData: it is no table; the message says why.
        OSError: it cannot be read.
    """
    return _read_parquet(path) if path.suffix.lower() in PARQUET_SUFFIXES else parse_csv(path.read_bytes(), path.name)


def parse_csv(content: bytes, name: str) -> RawTable:
    """Return the table of a CSV file; encoding, delimiter and a missing header are recognised, rows of another length are left out."""
    text, notes = _decode(content, name)
    delimiter = _delimiter(text)
    if delimiter != ",":
        notes.append(f"The values are separated by {_DELIMITERS[delimiter]}; the copy has commas.")
    rows = _rows(text, delimiter, name)
    header = [cell.strip() for cell in rows[0][1]]
    if all(cell in {"?", *MISSING} or pd.Series([cell]).str.fullmatch(NUMBER).all() for cell in header):
        notes.append("The first line holds only values: the file has no header, so the columns are numbered.")
        header = [f"column_{position}" for position in range(1, len(header) + 1)]
    else:
        rows = rows[1:]
    whole = [cells for _, cells in rows if len(cells) == len(header)]
    ragged = [line for line, cells in rows if len(cells) != len(header)]
    if ragged:
        lines = ", ".join(map(str, ragged[:_LISTED])) + (" and others" if len(ragged) > _LISTED else "")
        notes.append(
            f"Rows with another number of values than the header, which has {len(header)}, are left out: {len(ragged)}, in line {lines}."
        )
    if not whole:
        raise InvalidRawData(f"{name} has a header but no rows.")
    return RawTable(pd.DataFrame(whole, columns=pd.Index(header, dtype="object"), dtype="str"), name, tuple(notes), delimiter != ",")


def _read_parquet(path: Path) -> RawTable:
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidRawData(f"{path.name} is no Parquet file: {error}") from error
    if nested := [field.name for field in table.schema if pa.types.is_nested(field.type) or pa.types.is_binary(field.type)]:
        raise InvalidRawData(f"{path.name}: lists, structures and bytes cannot be columns of a data set: {', '.join(map(repr, nested))}.")
    if not table.num_rows:
        raise InvalidRawData(f"{path.name} has no rows.")
    return RawTable(texts(table.to_pandas()), path.name, ("The file is Parquet; the copy is CSV.",))


def csv_content(rows: pd.DataFrame) -> bytes:
    """Return rows of texts as a CSV file that the ETL reads."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(rows.columns)
    writer.writerows(rows.itertuples(index=False, name=None))
    return text.getvalue().encode()


def texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of any types as the texts that a CSV file would hold; missing values are empty."""
    columns = [_texts(frame.iloc[:, position]) for position in range(frame.shape[1])]
    table = pd.concat(columns, axis=1) if columns else pd.DataFrame()
    table.columns = pd.Index([str(name).strip() for name in frame.columns], dtype="object")
    return table.reset_index(drop=True)


def _texts(column: pd.Series) -> pd.Series:
    def text(value: object) -> str:
        if isinstance(value, float):
            return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
        if isinstance(value, pd.Timestamp):
            return value.isoformat(sep=" ").removesuffix(" 00:00:00")
        return str(value)

    values = ["" if missing else text(value) for value, missing in zip(column.tolist(), column.isna().tolist(), strict=True)]
    return pd.Series(values, dtype="str")


def _decode(content: bytes, name: str) -> tuple[str, list[str]]:
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            notes = [] if encoding == "utf-8-sig" else ["The file is UTF-16; the copy is UTF-8."]
            return _required(content.decode(encoding), name), notes
    if b"\0" in content:
        raise InvalidRawData(f"{name} is a binary file: expected CSV, or a name that ends with .parquet.")
    try:
        return _required(content.decode("utf-8"), name), []
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        note = f"The file is not UTF-8 (line {line}) and was read as Windows-1252: check letters with accents. The copy is UTF-8."
        return content.decode("cp1252", errors="replace"), [note]


def _required(text: str, name: str) -> str:
    if not text.strip():
        raise InvalidRawData(f"{name} is empty.")
    return text


def _delimiter(text: str) -> str:
    """Return the delimiter that cuts most of the first lines into as many values as the header, and into most."""

    def quality(delimiter: str) -> tuple[int, int]:
        lengths = [len(row) for row in _sample(text, delimiter)]
        fitting = sum(length == lengths[0] for length in lengths) if lengths else 0
        return (0, 0) if not lengths or lengths[0] == 1 else (2 * fitting > len(lengths), lengths[0])

    return max(_DELIMITERS, key=quality)


def _sample(text: str, delimiter: str) -> Sequence[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) >= _SAMPLE_LINES:
                break
    except csv.Error:
        return []
    return rows


def _rows(text: str, delimiter: str, name: str) -> list[tuple[int, list[str]]]:
    """Return the rows that are not blank, each with the line on which it starts."""
    rows: list[tuple[int, list[str]]] = []
    start = 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if row:
                rows.append((start, row))
            start = reader.line_num + 1
    except csv.Error as error:
        raise InvalidRawData(f"{name}, line {start}: not CSV: {error}.") from error
    return rows
