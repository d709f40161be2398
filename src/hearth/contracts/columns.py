"""Records as columns: the form in which they are checked and scored in bulk.

Checking a column at a time costs a fifth of checking a record at a time. It only tells whether all is well: as soon as anything is not,
the records are checked one by one (`records`), which names row, column, value and expectation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

import numpy as np
import pandas as pd

from hearth.contracts.kinds import CategoryColumn, Column, DateColumn, IntegerColumn, NumberColumn
from hearth.contracts.model import Contract
from hearth.contracts.records import ISO_DAY, check_records

_NONE = type(None)


@dataclass(frozen=True)
class Columns:
    """Checked features of n records.

    Attributes:
        numbers: (n, p) float64 in the order of `contract.numeric_features`, NaN where missing.
        codes: (n, c) intp in the order of `contract.categorical_features`: the position among the categories, one past the last where
            missing.
    """

    numbers: np.ndarray
    codes: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def rows(self, chosen: slice) -> "Columns":
        """Return some of the records."""
        return Columns(self.numbers[chosen], self.codes[chosen])


class _Unusual(Exception):
    """Something is not as the fast way expects it."""


class RecordParser:
    """Checks records against a contract, in bulk."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._columns = contract.columns
        self._features = frozenset(contract.feature_names)
        kinds = contract.feature_columns.items()
        self._numbers = {name: column for name, column in kinds if isinstance(column, NumberColumn | IntegerColumn)}
        self._categories = {name: _Codes(column) for name, column in kinds if isinstance(column, CategoryColumn)}

    def parse(self, records: Sequence[object]) -> Columns:
        """Return the features of the records as columns.

        Raises:
            InvalidRecords: with all that is wrong, if anything is.
        """
        columns = self._parse_at_once(records)
        return self.from_checked(check_records(self._contract, records)) if columns is None else columns

    def _parse_at_once(self, records: Sequence[object]) -> Columns | None:
        """Return the columns, or None if a record may be wrong or the records do not have the same keys."""
        rows = [record for record in records if type(record) is dict]
        if not rows or len(rows) != len(records):
            return None
        keys = rows[0].keys()
        if not (self._features <= keys <= self._columns.keys()) or any(row.keys() != keys for row in rows):
            return None
        try:
            for name in keys - self._features:
                _check_left_out(self._columns[name], [row[name] for row in rows if row[name] is not None])
            return self._pack(rows)
        except _Unusual:
            return None

    def from_checked(self, records: Sequence[Mapping[str, object]]) -> Columns:
        """Return the columns of records that have passed the check one by one."""
        return self._pack(records)

    def frame(self, columns: Columns) -> pd.DataFrame:
        """Return the raw features as a frame, as scikit-learn's pipelines take them."""
        made: dict[str, np.ndarray | pd.Series] = {name: columns.numbers[:, position] for position, name in enumerate(self._numbers)}
        for position, (name, codes) in enumerate(self._categories.items()):
            made[name] = pd.Series(codes.texts[columns.codes[:, position]], dtype="str")
        return pd.DataFrame(made)

    def _pack(self, rows: Sequence[Mapping[str, object]]) -> Columns:
        numbers = np.empty((len(rows), len(self._numbers)))
        for position, (name, column) in enumerate(self._numbers.items()):
            numbers[:, position] = _numbers(column, [row[name] for row in rows])
        codes = np.empty((len(rows), len(self._categories)), dtype=np.intp)
        for position, (name, known) in enumerate(self._categories.items()):
            codes[:, position] = known.of([row[name] for row in rows])
        return Columns(numbers, codes)


class _Codes:
    """The codes of a column's categories; missing has one too where it is allowed."""

    def __init__(self, column: CategoryColumn) -> None:
        texts: list[object] = [*column.categories]
        self._codes: dict[object, int] = {category: code for code, category in enumerate(texts)}
        if column.nullable:
            self._codes[None] = len(texts)
        self.texts = np.array([*texts, np.nan], dtype=object)

    def of(self, values: list[object]) -> list[int]:
        """Return the code of each value."""
        try:
            return [self._codes[value] for value in values]
        except (KeyError, TypeError):  # TypeError: a list or an object, which cannot be looked up
            raise _Unusual from None


def _check_left_out(column: Column, present: list[object]) -> None:
    """Check a column that may come along but is no feature; it may be missing whatever the contract says."""
    if isinstance(column, NumberColumn | IntegerColumn):
        _numbers(column, present)
    elif isinstance(column, CategoryColumn):
        _Codes(column).of(present)
    else:
        is_valid = partial(_is_day, column) if isinstance(column, DateColumn) else bool
        if not all(type(value) is str and is_valid(value) for value in present):
            raise _Unusual


def _numbers(column: NumberColumn | IntegerColumn, values: list[object]) -> np.ndarray:
    types = set(map(type, values))
    if not types <= {int, float, _NONE} or (_NONE in types and not column.nullable):
        raise _Unusual
    try:
        array = np.array(values, dtype=np.float64)
    except OverflowError:  # an integer of hundreds of digits
        raise _Unusual from None
    missing = values.count(None) if _NONE in types else 0
    # NaN fails both comparisons, so what is in range and what is missing must be all
    inside = (array >= column.minimum) & (array <= column.maximum)
    if np.count_nonzero(inside) + missing != len(array):
        raise _Unusual
    if isinstance(column, IntegerColumn) and not np.array_equal(np.trunc(array), array, equal_nan=missing > 0):
        raise _Unusual
    return array


def _is_day(column: DateColumn, text: str) -> bool:
    if not ISO_DAY.fullmatch(text):  # Python reads other forms too, and some with letters behind them
        return False
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return False
    return (column.minimum is None or day >= column.minimum) and (column.maximum is None or day <= column.maximum)
