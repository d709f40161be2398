"""Raw files against the contract: a file becomes a table of texts, and that becomes typed rows and rejected rows."""

import io
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import pandas as pd

from hearth.contracts.model import Contract
from hearth.contracts.names import free_name
from hearth.contracts.numbers import PLAIN, AmbiguousNumbers, NumberFormat, find_number_format
from hearth.contracts.rules import CategoryRule, DateRule, IdentifierRule, Rule, TextReader, rules_of
from hearth.contracts.texts import fit_row, wrong_width
from hearth.errors import InvalidRawData
from hearth.tables import CsvForm, Row, UnreadableTable, find_columns, find_form, missing_words, open_rows, unpack

LARGEST_UNPACKED = 1 << 30
"""Bytes of a raw file once it is unpacked."""


@dataclass(frozen=True)
class RawTable:
    """The rows of a raw file.

    Attributes:
        cells: the texts, columns in contract order; the index, `line`, says where each row starts in the file, counted from 1 in lines of
            the file, so a quoted line break counts.
        malformed: the reason for each row, by position, that has more or fewer cells than the header.
        numbers: how numbers are written.
        understood: sentences about how the file was read.
        warnings: those that a person should read.
    """

    cells: pd.DataFrame
    malformed: Mapping[int, str] = field(default_factory=dict)
    numbers: NumberFormat = PLAIN
    understood: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.cells)


@dataclass(frozen=True)
class Validated:
    """The rows of a raw file, sorted out.

    Attributes:
        accepted: typed columns in contract order: texts for identifiers and categories, float64 for numbers and whole numbers,
            datetime64[us] for dates. A value of a dropped column that breaks its rule is missing.
        rejected: in this order the line, the reason (all that is wrong, joined by "; ") and the raw texts. The first two are called `line`
            and `reason`, with a `_` more where the contract has such a column.
        understood: sentences about words that were read as missing values.
        warnings: sentences about values of dropped columns that break their rules.
    """

    accepted: pd.DataFrame
    rejected: pd.DataFrame
    understood: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_raw(contract: Contract, content: bytes, name: str, max_bytes: int = LARGEST_UNPACKED) -> RawTable:
    """Read a raw file into a table of texts, nothing converted; `name` is what errors call the file.

    CSV of any delimiter, plain or packed by gzip or zip, Parquet and .xlsx are read. Columns may have any order in the file. Blank lines
    are left out, and so is a column without a name that is empty or numbers the rows.

    Raises:
        InvalidRawData: the file is not a table of the contract's columns, or larger than `max_bytes` once it is unpacked; the message says
            what is wrong and where.
    """
    if not content.strip():
        raise InvalidRawData(f"{name} is empty ({len(content)} bytes): expected a CSV file.")
    try:
        unpacked = unpack(io.BytesIO(content), contract.file_format, max_bytes)
        with unpacked.file as file:
            form, header = find_form(file, contract.columns, contract.file_format)
            rows, lines, malformed = _rows(file, form)
        table = pd.DataFrame(rows, columns=range(len(header)), index=pd.Index(lines, name="line"), dtype="str")
        found = find_columns(contract, header, lambda place: table[place].tolist(), lines.__getitem__)
        if not rows:
            raise UnreadableTable("a header but no rows.")  # noqa: TRY301 - named below
        cells = table[list(found.places)].set_axis(list(contract.columns), axis=1)
        numbers = _number_format(contract, cells)
    except (UnreadableTable, AmbiguousNumbers) as error:
        raise InvalidRawData(f"{name}: {error}") from error
    understood = (", ".join([*unpacked.notes, str(form), str(numbers)]), *found.notes)
    return RawTable(cells, malformed, numbers, understood, found.warnings)


def validate(contract: Contract, raw: RawTable) -> Validated:
    """Convert and check every row; a row that breaks the contract is rejected with all its reasons.

    A dropped column rejects no row: no model sees it, so what breaks its rule becomes a missing value and is a warning.
    """
    typed: dict[str, pd.Series] = {}
    reasons: defaultdict[int, list[str]] = defaultdict(list)
    understood: list[str] = []
    warnings: list[str] = []
    for name, rule in rules_of(contract).items():
        texts = raw.cells[name].tolist()
        cells, good = TextReader(rule, raw.numbers).column(texts)
        broken = [row for row in np.flatnonzero(~good).tolist() if row not in raw.malformed]  # which are rejected anyway
        if broken and name in contract.drop:
            cells = _without(cells, ~good)
            first = f"line {raw.cells.index[broken[0]]}: {rule.refusal(name, texts[broken[0]])}"
            warnings.append(f"{len(broken)} of {len(raw)} rows break the rule of a dropped column and lost that value: {first}")
            broken = []
        typed[name] = _series(rule, cells)
        for row in broken:
            reasons[row].append(rule.refusal(name, texts[row]))
        if own := contract.columns[name].missing:
            understood += missing_words(name, own, Counter(text.strip() for text in texts))
    refusals = {**{row: "; ".join(wrong) for row, wrong in reasons.items()}, **raw.malformed}
    bad = np.zeros(len(raw), dtype=bool)
    bad[list(refusals)] = True
    line, reason = (free_name(name, contract.columns) for name in ("line", "reason"))
    rejected = raw.cells[bad].rename_axis(line).reset_index()
    rejected.insert(1, reason, pd.Series([refusals[row] for row in sorted(refusals)], dtype="str"))
    return Validated(pd.DataFrame(typed)[~bad].reset_index(drop=True), rejected, tuple(understood), tuple(warnings))


def _rows(file: BinaryIO, form: CsvForm) -> tuple[list[Row], list[int], dict[int, str]]:
    """Return the rows that are not blank, each as wide as the header, the line of each, and what is wrong with those that were not."""
    rows: list[Row] = []
    lines: list[int] = []
    malformed: dict[int, str] = {}
    width = 0
    with open_rows(file, form) as (source, reader):
        start = source.count + 1
        for row in reader:
            source.row_start = source.characters
            if not width:
                width = len(row) if any(cell.strip() for cell in row) else 0
            elif row:
                if len(row) != width:
                    malformed[len(rows)] = wrong_width(row, width)
                    row = fit_row(row, width)  # noqa: PLW2901 - the same row
                rows.append(row)
                lines.append(start)
            start = source.count + 1
    return rows, lines, malformed


def _number_format(contract: Contract, cells: pd.DataFrame) -> NumberFormat:
    """Find out how the numbers of a file are written, from all columns of numbers."""
    texts: set[str] = set()
    for name, rule in rules_of(contract).items():
        if rule.holds_numbers:
            texts.update(cells[name].unique())
    return find_number_format({text.strip() for text in texts}, contract.file_format)


def _without(cells: np.ndarray, broken: np.ndarray) -> np.ndarray:
    """Return the cells, with a missing value in place of numbers that break the rule; other kinds have one there already."""
    return np.where(broken, np.nan, cells) if cells.dtype.kind == "f" else cells


def _series(rule: Rule, cells: np.ndarray) -> pd.Series:
    if isinstance(rule, CategoryRule):
        return pd.Series(rule.texts[cells], dtype="str")
    if isinstance(rule, DateRule):
        return pd.Series(cells.astype("datetime64[us]"))
    return pd.Series(cells, dtype="str") if isinstance(rule, IdentifierRule) else pd.Series(cells)
