"""Batches of rows: the checked features of the rows that keep the contract, and what is wrong with the others."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hearth.contracts import Contract
from hearth.contracts.record_parser import Columns
from hearth.contracts.rules import CategoryRule, Rule, TextReader


@dataclass(frozen=True)
class RowBatch:
    """Rows of a file, checked.

    Attributes:
        columns: the features of the good rows alone.
        good: bool, shape (rows,): which rows these are.
        refusals: the reason for each other row, by its position.
    """

    columns: Columns
    good: np.ndarray
    refusals: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.good)


class RowBatchBuilder:
    """Takes a batch a feature at a time, in contract order."""

    def __init__(self, contract: Contract, rows: int) -> None:
        self._numbers = np.empty((rows, len(contract.numeric_features)))
        self._codes = np.empty((rows, len(contract.categorical_features)), np.intp)
        self._number, self._code = 0, 0
        self._reasons: defaultdict[int, list[str]] = defaultdict(list)
        self._malformed: dict[int, str] = {}

    def refuse_row(self, row: int, reason: str) -> None:
        """Refuse a row for a reason that makes all others pointless."""
        self._malformed[row] = reason

    def add_texts(self, name: str, reader: TextReader, texts: Sequence[str]) -> None:
        """Add the texts of the next feature."""
        cells, good = reader.column(texts)
        for row in np.flatnonzero(~good).tolist():
            self.refuse(row, name, reader.rule, texts[row])
        self.add(reader.rule, cells)

    def refuse(self, row: int, name: str, rule: Rule, value: object) -> None:
        """Refuse a row for its value in a column; None is a missing value."""
        self._reasons[row].append(rule.refusal(name, value))

    def add(self, rule: Rule, cells: np.ndarray) -> None:
        """Add the checked cells of the next feature, shape (rows,); rows that are refused may hold any."""
        if isinstance(rule, CategoryRule):
            self._codes[:, self._code] = cells
            self._code += 1
        else:
            self._numbers[:, self._number] = cells
            self._number += 1

    def build(self) -> RowBatch:
        refusals = {**{row: "; ".join(reasons) for row, reasons in self._reasons.items()}, **self._malformed}
        good = np.ones(len(self._numbers), dtype=bool)
        good[list(refusals)] = False
        if not refusals:
            return RowBatch(Columns(self._numbers, self._codes), good, refusals)
        return RowBatch(Columns(self._numbers[good], self._codes[good]), good, refusals)
