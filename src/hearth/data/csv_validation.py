"""Raw files against the contract: a CSV file becomes a table of texts, and that becomes typed rows and rejected rows."""

import csv
import io
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from hearth.contracts.model import Contract
from hearth.contracts.names import free_name
from hearth.contracts.rules import CategoryRule, DateRule, IdentifierRule, Rule, TextReader, rules_of
from hearth.contracts.texts import OTHER_FORMATS, fit_row, listed, wrong_width
from hearth.errors import InvalidRawData


@dataclass(frozen=True)
class RawTable:
    """The rows of a raw file.

    Attributes:
        cells: the texts, columns in contract order; the index, `line`, says where each row starts in the file, counted from 1 in lines of
            the file, so a quoted line break counts.
        malformed: the reason for each row, by position, that has more or fewer cells than the header.
    """

    cells: pd.DataFrame
    malformed: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.cells)


@dataclass(frozen=True)
class Validated:
    """The rows of a raw file, sorted out.

    Attributes:
        accepted: typed columns in contract order: texts for identifiers and categories, float64 for numbers and whole numbers,
            datetime64[us] for dates.
        rejected: in this order the line, the reason (all that is wrong, joined by "; ") and the raw texts. The first two are called `line`
            and `reason`, with a `_` more where the contract has such a column.
    """

    accepted: pd.DataFrame
    rejected: pd.DataFrame


def decode_raw(content: bytes, name: str) -> str:
    """Return the text of a raw file.

    Raises:
        InvalidRawData: the file is empty, binary, or not UTF-8 (a byte order mark is allowed).
    """
    if not content.strip():
        raise InvalidRawData(f"{name} is empty ({len(content)} bytes): expected a CSV file.")
    for mark, kind in OTHER_FORMATS.items():
        if content.startswith(mark):
            raise InvalidRawData(f"{name} is {kind}: expected a CSV file, as UTF-8 text.")
    if (offset := content.find(b"\0")) >= 0:
        raise InvalidRawData(f"{name} is a binary file (byte {offset} is zero): expected a CSV file, as UTF-8 text.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidRawData(f"{name} is not UTF-8 text (line {line}, byte 0x{content[error.start]:02x}): save it as UTF-8.") from error


def read_raw(contract: Contract, content: bytes, name: str) -> RawTable:
    """Read a CSV file into a table of texts, nothing converted; `name` is what errors call the file.

    Columns may have any order in the file. Blank lines are left out, and so are columns without name and values, which a comma at the end
    of each line makes.

    Raises:
        InvalidRawData: the file is not a CSV table of the contract's columns; the message says what is wrong and where.
    """
    reader = csv.reader(io.StringIO(decode_raw(content, name), newline=""), strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    malformed: dict[int, str] = {}
    header: list[str] = []
    start = 1
    try:
        for row in reader:
            if row and not header:
                header = _checked_header(contract, row, name)
            elif row:
                if len(row) != len(header):
                    malformed[len(rows)] = wrong_width(row, len(header))
                rows.append(fit_row(row, len(header)))
                lines.append(start)
            start = reader.line_num + 1
    except csv.Error as error:
        raise InvalidRawData(f"{name}, line {start}: not CSV: {error}.") from error
    if not rows:
        raise InvalidRawData(f"{name} has a header but no rows.")
    unnamed = [place for place, cell in enumerate(header) if not cell]
    for line, row in zip(lines, rows, strict=True):
        if any(row[place].strip() for place in unnamed):
            raise InvalidRawData(f"{name}: the header has a column without a name, but line {line} has a value in it: name the column.")
    frame = pd.DataFrame(rows, columns=header, index=pd.Index(lines, name="line"), dtype="str")
    return RawTable(frame[list(contract.columns)], malformed)


def validate(contract: Contract, raw: RawTable) -> Validated:
    """Convert and check every row; a row that breaks the contract is rejected with all its reasons."""
    typed: dict[str, pd.Series] = {}
    reasons: defaultdict[int, list[str]] = defaultdict(list)
    for name, rule in rules_of(contract).items():
        texts = raw.cells[name].tolist()
        cells, good = TextReader(rule).column(texts)
        typed[name] = _series(rule, cells)
        for row in np.flatnonzero(~good).tolist():
            reasons[row].append(rule.refusal(name, texts[row]))
    refusals = {**{row: "; ".join(wrong) for row, wrong in reasons.items()}, **raw.malformed}
    bad = np.zeros(len(raw), dtype=bool)
    bad[list(refusals)] = True
    line, reason = (free_name(name, contract.columns) for name in ("line", "reason"))
    rejected = raw.cells[bad].rename_axis(line).reset_index()
    rejected.insert(1, reason, pd.Series([refusals[row] for row in sorted(refusals)], dtype="str"))
    return Validated(pd.DataFrame(typed)[~bad].reset_index(drop=True), rejected)


def _checked_header(contract: Contract, row: list[str], name: str) -> list[str]:
    header = [cell.strip() for cell in row]
    twice = sorted({cell for cell in header if cell and header.count(cell) > 1})
    if twice:
        raise InvalidRawData(f"{name}: the header names a column twice: {listed(twice)}.")
    missing = [column for column in contract.columns if column not in header]
    unknown = [cell for cell in header if cell and cell not in contract.columns]
    if missing or unknown:
        parts = [f"columns are missing: {listed(missing)}"] if missing else []
        parts += [f"columns are not in the contract: {listed(unknown)}"] if unknown else []
        hint = " Are the values separated by something other than commas?" if len(header) == 1 else ""
        raise InvalidRawData(f"{name}: {'; '.join(parts)}.{hint}")
    return header


def _series(rule: Rule, cells: np.ndarray) -> pd.Series:
    if isinstance(rule, CategoryRule):
        return pd.Series(rule.texts[cells], dtype="str")
    if isinstance(rule, DateRule):
        return pd.Series(cells.astype("datetime64[us]"))
    return pd.Series(cells, dtype="str") if isinstance(rule, IdentifierRule) else pd.Series(cells)
