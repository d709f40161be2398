"""The texts of one column as numbers or codes, by the same rules as the ETL reads a raw file.

A table has few distinct texts, so each is read once and remembered.
"""

import re

import numpy as np

from hearth.contracts import CategoryColumn, IntegerColumn, NumberColumn
from hearth.contracts.texts import MISSING, NUMBER, WHOLE_CODE

_NUMBER, _WHOLE_CODE = re.compile(NUMBER), re.compile(WHOLE_CODE)
_REMEMBERED = 50_000


class Cells(dict[str, float | None]):
    """What each text of a column says: a number or the code of a category, NaN or one past the last code if missing; None if refused."""

    def __missing__(self, text: str) -> float | None:
        value = self._read(text.strip())
        if len(self) < _REMEMBERED:
            self[text] = value
        return value

    def _read(self, text: str) -> float | None:
        raise NotImplementedError

    def is_missing(self, text: str) -> bool:
        """Whether a text means a missing value."""
        return text.strip() in MISSING


class NumberCells(Cells):
    """Cells of a column of numbers or whole numbers."""

    def __init__(self, column: NumberColumn | IntegerColumn) -> None:
        super().__init__()
        self._column = column

    def _read(self, text: str) -> float | None:
        column = self._column
        if text in MISSING:
            return np.nan if column.nullable else None
        if not _NUMBER.fullmatch(text):
            return None
        value = float(text)
        is_whole = not isinstance(column, IntegerColumn) or value.is_integer()
        return value if column.minimum <= value <= column.maximum and is_whole else None


class CategoryCells(Cells):
    """Cells of a column of categories."""

    def __init__(self, column: CategoryColumn) -> None:
        super().__init__()
        self._codes: dict[str, int] = {text: code for code, text in enumerate(column.texts)}
        self._missing_code = len(column.texts) if column.nullable else None
        self._are_numbers = column.holds_numbers

    def _read(self, text: str) -> float | None:
        if self._are_numbers:
            text = _WHOLE_CODE.sub(r"\1", text)
        if text in self._codes:
            return self._codes[text]
        return self._missing_code if text in MISSING else None

    def is_missing(self, text: str) -> bool:
        return text.strip() in MISSING and text.strip() not in self._codes
