"""Rows of a raw file against the contract: a pure function of a part of the file, and what the parts of a file amount to."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa

from hearth.contracts.model import Contract
from hearth.contracts.names import free_name
from hearth.contracts.numbers import NumberFormat
from hearth.contracts.rules import rules_of
from hearth.data.judged_column import JudgedColumn
from hearth.tables import missing_words

OTHER_WIDTH = "more or fewer values than the header"


@dataclass(frozen=True)
class ValidatedPart:
    """The rows of a part of a raw file, sorted out.

    Attributes:
        rows: their number.
        accepted: typed columns in contract order.
        lines: where each accepted row starts in the file, counted from 1.
        rejected: the line, the reason and the raw texts of the others.
        reasons: how many rows were rejected for each reason.
        lost: for columns that no model sees, how many values break the rule, and a sentence about the first.
        words: how often each of a column's own words for a missing value is there.
        is_marked: whether there is a number that may be written in another way than plainly.
    """

    rows: int
    accepted: pa.Table
    lines: np.ndarray
    rejected: pd.DataFrame
    reasons: Counter[str]
    lost: Mapping[str, tuple[int, str]]
    words: Mapping[str, Counter[str]]
    is_marked: bool


def validate_part(
    contract: Contract,
    columns: Mapping[str, pa.Array],
    lines: np.ndarray,
    malformed: Mapping[int, str],
    numbers: NumberFormat,
) -> ValidatedPart:
    """Convert and check rows.

    Args:
        contract: What they have to keep.
        columns: Texts, as `JudgedColumn` takes them, in contract order.
        lines: Where each row starts in the file.
        malformed: The reason for each row, by position, that has more or fewer cells than the header.
        numbers: How numbers are written.
    """
    typed: dict[str, pa.Array] = {}
    refusals: defaultdict[int, list[str]] = defaultdict(list)
    reasons = Counter({OTHER_WIDTH: len(malformed)} if malformed else {})
    lost: dict[str, tuple[int, str]] = {}
    words: dict[str, Counter[str]] = {}
    is_marked = False
    for name, rule in rules_of(contract).items():
        column = JudgedColumn(rule, columns[name], numbers)
        typed[name] = column.typed()
        is_marked = is_marked or (rule.holds_numbers and column.is_marked)
        if own := contract.columns[name].missing:
            words[name] = column.words(own)
        if column.good.all():
            continue
        broken = [row for row in np.flatnonzero(~column.good).tolist() if row not in malformed]  # which are rejected anyway
        if broken and (name in contract.drop or name in contract.group_columns):
            lost[name] = (len(broken), f"line {lines[broken[0]]}: {rule.refusal(name, column.text(broken[0]))}")
        elif broken:
            texts = columns[name].take(pa.array(broken)).to_pylist()
            for row, text in zip(broken, texts, strict=True):
                refusals[row].append(rule.refusal(name, text))
            reasons[f"{name}: not {contract.columns[name].expected}"] = len(broken)
    accepted = pa.table(typed)
    why = {**{row: "; ".join(wrong) for row, wrong in refusals.items()}, **malformed}
    bad = np.zeros(len(lines), dtype=bool)
    bad[list(why)] = True
    rejected = _rejected(contract, columns, lines, why)
    if why:
        accepted = accepted.filter(pa.array(~bad))
    return ValidatedPart(len(lines), accepted, lines[~bad], rejected, reasons, lost, words, is_marked)


def rejected_header(contract: Contract) -> list[str]:
    """Return the names of the columns of rejected rows."""
    return [*(free_name(name, contract.columns) for name in ("line", "reason")), *contract.columns]


def _rejected(contract: Contract, columns: Mapping[str, pa.Array], lines: np.ndarray, why: Mapping[int, str]) -> pd.DataFrame:
    rows = sorted(why)
    line, reason = rejected_header(contract)[:2]
    places = pa.array(rows, pa.int64())
    texts = {name: pd.Series(column.take(places).cast(pa.string()), dtype="str") for name, column in columns.items()}
    frame = pd.DataFrame({line: lines[rows], reason: pd.Series([why[row] for row in rows], dtype="str"), **texts}, copy=False)
    return frame.astype({line: np.int64})


@dataclass
class ValidationTotals:
    """What the parts of a file amount to, which are added in their order."""

    contract: Contract
    rows: int = 0
    rejected: int = 0
    _reasons: Counter[str] = field(default_factory=Counter)
    _lost: dict[str, tuple[int, str]] = field(default_factory=dict)
    _words: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, part: ValidatedPart) -> None:
        self.rows += part.rows
        self.rejected += len(part.rejected)
        self._reasons += part.reasons
        for name, (count, first) in part.lost.items():
            before = self._lost.get(name, (0, first))
            self._lost[name] = (before[0] + count, before[1])
        for name, counts in part.words.items():
            self._words[name] += counts

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows were rejected for each reason: their width first, then columns in contract order."""
        order = [OTHER_WIDTH, *(f"{name}: not {column.expected}" for name, column in self.contract.columns.items())]
        return {reason: self._reasons[reason] for reason in order if reason in self._reasons}

    @property
    def understood(self) -> tuple[str, ...]:
        """Sentences about words that were read as missing values."""
        columns = self.contract.columns.items()
        return tuple(sentence for name, column in columns for sentence in missing_words(name, column.missing, self._words[name]))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about values of columns that no model sees."""
        return tuple(self._warning(name) for name in self.contract.columns if name in self._lost)

    def _warning(self, name: str) -> str:
        (count, first), kind = self._lost[name], "dropped" if name in self.contract.drop else "group"
        return f"{count} of {self.rows} rows break the rule of a {kind} column and lost that value: {first}"


def as_frame(contract: Contract, parts: Sequence[pa.Table]) -> pd.DataFrame:
    """Return typed columns as a frame: texts as `str`, numbers as float64, dates as datetime64[us]."""
    table = pa.concat_tables(parts)
    columns: dict[str, pd.Series] = {}
    for name in contract.columns:
        column = table.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(pa.string())
        if pa.types.is_string(column.type):
            columns[name] = pd.Series(column.cast(pa.large_string()).combine_chunks(), dtype="str")
        else:
            columns[name] = pd.Series(column.to_numpy())
    return pd.DataFrame(columns, copy=False)
