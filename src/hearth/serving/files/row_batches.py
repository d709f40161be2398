"""What a batch of rows says: checked features of the rows that keep the contract, and what is wrong with the others."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn
from hearth.contracts.column_types import Column
from hearth.contracts.record_parser import Columns
from hearth.serving.files.cell_parsers import CategoryCells, Cells, NumberCells

_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Reading:
    """A batch. `columns` holds the good rows alone; `good` says where they are among all; `refused` has a reason for each other row."""

    columns: Columns
    good: np.ndarray
    refused: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.good)


class Batch:
    """A batch that is being read, a column at a time."""

    def __init__(self, contract: Contract, rows: int) -> None:
        self._numbers = np.empty((rows, len(contract.numeric_features)))
        self._codes = np.empty((rows, len(contract.categorical_features)), np.intp)
        self._number, self._code = 0, 0
        self._reasons: defaultdict[int, list[str]] = defaultdict(list)
        self._whole: dict[int, str] = {}

    def refuse_row(self, row: int, reason: str) -> None:
        """Refuse a row for a reason that makes all others pointless."""
        self._whole[row] = reason

    def add_texts(self, name: str, column: Column, cells: Cells, texts: Sequence[str]) -> None:
        """Read the texts of the next feature."""
        values = [cells[text] for text in texts]
        if None in values:
            for row in (row for row, value in enumerate(values) if value is None):
                self.refuse(row, name, column, None if cells.is_missing(texts[row]) else texts[row])
            values = [0 if value is None else value for value in values]
        self.add(column, np.array(values, dtype=np.float64))

    def refuse(self, row: int, name: str, column: Column, value: object) -> None:
        """Say that a row is wrong in a column; None is a missing value."""
        given = "it is missing" if value is None else f"got {_short(value)}"
        self._reasons[row].append(f"{name}: {given}, expected {column.expected}{' or nothing' if column.nullable else ''}")

    def add(self, column: Column, values: np.ndarray) -> None:
        """Add the checked numbers or codes of the next feature; rows that are refused may hold any number."""
        if isinstance(column, CategoryColumn):
            self._codes[:, self._code] = values
            self._code += 1
        else:
            self._numbers[:, self._number] = values
            self._number += 1

    def reading(self) -> Reading:
        refused = {**{row: "; ".join(reasons) for row, reasons in self._reasons.items()}, **self._whole}
        good = np.ones(len(self._numbers), dtype=bool)
        good[list(refused)] = False
        if not refused:
            return Reading(Columns(self._numbers, self._codes), good, refused)
        return Reading(Columns(self._numbers[good], self._codes[good]), good, refused)


def cells_of(column: Column) -> Cells:
    """Make what reads the texts of a feature."""
    if isinstance(column, CategoryColumn):
        return CategoryCells(column)
    assert isinstance(column, NumberColumn | IntegerColumn)  # noqa: S101 - the contract lets no other kind be a feature
    return NumberCells(column)


def listed(names: Iterable[str]) -> str:
    """Show names in an error, however long they are."""
    return ", ".join(_short(name) for name in names)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
