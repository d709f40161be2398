"""Raw files against the contract: a file becomes a table of texts, and that becomes typed rows and rejected rows."""

import io
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa

from hearth.contracts.model import Contract
from hearth.contracts.names import free_name
from hearth.contracts.numbers import PLAIN, AmbiguousNumbers, NumberFormat, find_number_format
from hearth.contracts.rules import CategoryRule, DateRule, IdentifierRule, Rule, TextReader, rules_of
from hearth.errors import InvalidRawData
from hearth.tables import (
    Row,
    TextColumn,
    Unnamed,
    UnnamedColumn,
    UnreadableTable,
    find_columns,
    find_form,
    missing_words,
    read_columns,
    unpack,
)

OTHER_WIDTH = "more or fewer values than the header"
LARGEST_UNPACKED = 1 << 30
"""Bytes of a raw file once it is unpacked."""
_MOST_BLANK = 1 << 16
_MOST_COLUMNS = 10_000


@dataclass(frozen=True)
class RawTable:
    """The rows of a raw file.

    Attributes:
        columns: those of the contract in its order.
        lines: where each row starts in the file, counted from 1 in lines of the file, so a quoted line break counts; shape (rows,).
        malformed: the reason for each row, by position, that has more or fewer cells than the header.
        numbers: how numbers are written.
        understood: sentences about how the file was read.
        warnings: those that a person should read.
    """

    columns: Mapping[str, TextColumn]
    lines: np.ndarray
    malformed: Mapping[int, str] = field(default_factory=dict)
    numbers: NumberFormat = PLAIN
    understood: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.lines)

    @classmethod
    def of(cls, contract: Contract, rows: Sequence[Sequence[str]]) -> "RawTable":
        """Make a table of rows in contract order that come from no file; they are counted from 0."""
        columns = zip(*rows, strict=True) if rows else [()] * len(contract.columns)
        return cls({name: TextColumn.of(cells) for name, cells in zip(contract.columns, columns, strict=True)}, np.arange(len(rows)))

    def cells(self, rows: np.ndarray | slice = slice(None)) -> pd.DataFrame:
        """Return the texts of rows, indexed by line."""
        texts = {name: pd.Series(column.cells(rows), dtype="str") for name, column in self.columns.items()}
        return pd.DataFrame(texts, copy=False).set_axis(pd.Index(self.lines[rows], name="line"))


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
        lines: where each accepted row starts in the file, counted from 1, int64 of shape (accepted rows,).
        reasons: how many rows were rejected for each reason, without their values; a row may have several.
    """

    accepted: pd.DataFrame
    rejected: pd.DataFrame
    understood: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    lines: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    reasons: Mapping[str, int] = field(default_factory=dict)


def read_raw(contract: Contract, content: bytes | BinaryIO, name: str, max_bytes: int = LARGEST_UNPACKED) -> RawTable:
    """Read a raw file, or its bytes, into a table of texts, nothing converted; `name` is what errors call the file.

    CSV of any delimiter, plain or packed by gzip or zip, Parquet and .xlsx are read. Columns may have any order in the file. Blank lines
    are left out, and so is a column without a name that is empty or numbers the rows.

    Raises:
        InvalidRawData: the file is not a table of the contract's columns, or larger than `max_bytes` once it is unpacked; the message says
            what is wrong and where.
    """
    raw = io.BytesIO(content) if isinstance(content, bytes) else content
    if (size := raw.seek(0, io.SEEK_END)) <= _MOST_BLANK and not _beginning(raw).strip():
        raise InvalidRawData(f"{name} is empty ({size} bytes): expected a CSV file.")
    try:
        unpacked = unpack(raw, contract.file_format, max_bytes)
        with nullcontext(raw) if unpacked.file is raw else unpacked.file as file:
            form, header = find_form(file, contract.columns, contract.file_format)
            _require_header(contract, header)
            table = read_columns(file, form)
        found = find_columns(contract, header, lambda place: _unnamed(table.columns[place], table.lines))
        if not len(table.lines):
            raise UnreadableTable("a header but no rows.")  # noqa: TRY301 - named below
        columns = {name: table.columns[place] for name, place in zip(contract.columns, found.places, strict=True)}
        numbers = _number_format(contract, columns)
    except (UnreadableTable, AmbiguousNumbers) as error:
        raise InvalidRawData(f"{name}: {error}") from error
    understood = (", ".join([*unpacked.notes, str(form), str(numbers)]), *found.notes)
    return RawTable(columns, table.lines, table.malformed, numbers, understood, found.warnings)


def validate(contract: Contract, raw: RawTable) -> Validated:
    """Convert and check every row; a row that breaks the contract is rejected with all its reasons.

    A column that no model sees, dropped or kept for groups, rejects no row: what breaks its rule becomes a missing value and is a warning.
    """
    typed: dict[str, pd.Series] = {}
    reasons: defaultdict[int, list[str]] = defaultdict(list)
    counts = Counter({OTHER_WIDTH: len(raw.malformed)} if raw.malformed else {})
    understood: list[str] = []
    warnings: list[str] = []
    for name, rule in rules_of(contract).items():
        column = _Judged(rule, raw.columns[name], raw.numbers)
        broken = [row for row in column.broken if row not in raw.malformed]  # which are rejected anyway
        if broken and (name in contract.drop or name in contract.group_columns):
            kind = "dropped" if name in contract.drop else "group"
            first = f"line {raw.lines[broken[0]]}: {rule.refusal(name, column.text(broken[0]))}"
            warnings.append(f"{len(broken)} of {len(raw)} rows break the rule of a {kind} column and lost that value: {first}")
            broken = []
        typed[name] = column.typed()
        for row in broken:
            reasons[row].append(rule.refusal(name, column.text(row)))
        if broken:
            counts[f"{name}: not {contract.columns[name].expected}"] = len(broken)
        if own := contract.columns[name].missing:
            understood += missing_words(name, own, column.counts())
    refusals = {**{row: "; ".join(wrong) for row, wrong in reasons.items()}, **raw.malformed}
    bad = np.zeros(len(raw), dtype=bool)
    bad[list(refusals)] = True
    line, reason = (free_name(name, contract.columns) for name in ("line", "reason"))
    rejected = raw.cells(bad).rename_axis(line).reset_index()
    rejected.insert(1, reason, pd.Series([refusals[row] for row in sorted(refusals)], dtype="str"))
    accepted = pd.DataFrame(typed, copy=False)
    if refusals:
        accepted = accepted[~bad].reset_index(drop=True)
    return Validated(accepted, rejected, tuple(understood), tuple(warnings), raw.lines[~bad], dict(counts))


def _require_header(contract: Contract, header: Row) -> None:
    """Raise UnreadableTable for a header that no rows can make good, before they are read: each would be as wide as it."""
    most = max(_MOST_COLUMNS, 2 * len(contract.columns))
    if len(header) > most:
        raise UnreadableTable(f"the header has {len(header):,} columns, at most {most:,} are read.")
    find_columns(contract, header, lambda _: Unnamed())


def _unnamed(column: TextColumn, lines: np.ndarray) -> Unnamed:
    found = UnnamedColumn()
    found.add(column.cells(), lines)
    return found.found()


def _beginning(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(_MOST_BLANK)


def _number_format(contract: Contract, columns: Mapping[str, TextColumn]) -> NumberFormat:
    """Find out how the numbers of a file are written, from all columns of numbers."""
    texts: set[str] = set()
    for name, rule in rules_of(contract).items():
        if rule.holds_numbers:
            texts.update(map(str.strip, columns[name].texts.to_pylist()))
    return find_number_format(texts, contract.file_format)


class _Judged:
    """A column of texts against its rule. A column has few distinct texts: each is read once."""

    def __init__(self, rule: Rule, column: TextColumn, numbers: NumberFormat) -> None:
        self._rule, self._column = rule, column
        self._cells, self._good = TextReader(rule, numbers).distinct(column.texts.to_pylist())

    @property
    def broken(self) -> list[int]:
        """The rows that break the rule."""
        return [] if self._good.all() else np.flatnonzero(~self._good[self._column.codes]).tolist()

    def text(self, row: int) -> str:
        return str(self._column.texts[self._column.codes[row]])

    def typed(self) -> pd.Series:
        """Return the cells of all rows; one that breaks the rule is missing."""
        cells, codes = self._cells, self._column.codes
        if isinstance(self._rule, CategoryRule):
            return _texts(pa.array(self._rule.texts, pa.large_string(), from_pandas=True), cells[codes] % len(self._rule.texts))
        if isinstance(self._rule, DateRule):
            return pd.Series(cells.astype("datetime64[us]")[codes])
        if isinstance(self._rule, IdentifierRule):
            return _texts(pa.array(cells, pa.large_string(), from_pandas=True), codes)
        return pd.Series(np.where(self._good, cells, np.nan)[codes])

    def counts(self) -> Counter[str]:
        """Return how often each text is there, without the blanks around it."""
        counts: Counter[str] = Counter()
        texts = self._column.texts.to_pylist()
        for text, count in zip(texts, np.bincount(self._column.codes, minlength=len(texts)).tolist(), strict=True):
            counts[text.strip()] += count
        return counts


def _texts(texts: pa.LargeStringArray, codes: np.ndarray) -> pd.Series:
    """Return the text at the position of each code; null is a missing value."""
    return pd.Series(texts.take(pa.array(codes)), dtype="str")
