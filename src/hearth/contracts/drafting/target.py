"""Which column is predicted, into which classes, and which other columns give it away."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hearth.contracts.drafting.columns import ColumnDraft, as_codes, number_text
from hearth.contracts.drafting.names import class_names
from hearth.errors import InvalidRawData

MOST_CLASSES = 20
_NAMES = ("target", "class", "label", "y", "outcome", "diagnosis", "survived", "churn", "default", "species", "income", "quality")
_CUTS = (1 / 3, 2 / 3)
_CUT_CLASSES = {1: ("Low", "High"), 2: ("Low", "Medium", "High")}
_BIN_ROWS, _MOST_BINS = 10, 40
_ENOUGH_ROWS = 50  # fewer do not show that a column gives the target away
_LEAK_SHARE = 0.95  # the share of the error of always predicting the most frequent class that a single column removes


@dataclass(frozen=True)
class TargetDraft:
    """The column that is predicted: one class a category, or `cuts` of a number. `positions` has each row's class, -1 where missing."""

    column: ColumnDraft
    classes: tuple[str, ...]
    positions: np.ndarray
    cuts: tuple[float, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each class."""
        numbers = np.bincount(self.positions[self.positions >= 0], minlength=len(self.classes))
        return dict(zip(self.classes, numbers.tolist(), strict=True))


def draft_target(columns: Sequence[ColumnDraft], name: str | None) -> TargetDraft:
    """Return the target of this name; without a name the last column with a usual name for one, or the last that can be one.

    Raises:
        InvalidRawData: there is no such column, or it cannot be predicted.
    """
    if name is not None:
        named = [column for column in columns if column.name == name]
        if not named:
            raise InvalidRawData(f"There is no column {name!r}; there are: {', '.join(column.name for column in columns)}.")
        target = _classes(named[0])
        if isinstance(target, str):
            raise InvalidRawData(f"The column {name!r} cannot be the target: {target}.")
        return target
    for column in (*_usual(columns), *reversed(columns)):
        if not isinstance(target := _classes(column), str):
            return target
    raise InvalidRawData("No column can be the target: each holds one value, days, or more texts than classes can be.")


def gives_target_away(column: ColumnDraft, target: TargetDraft) -> bool:
    """Whether the column alone predicts the class of nearly every row: by its category, or by the part of its range."""
    has_class = target.positions >= 0
    positions = target.positions[has_class]
    groups = _groups(column)[has_class]
    others = len(positions) - np.bincount(positions).max(initial=0)
    if len(positions) < _ENOUGH_ROWS or others < _BIN_ROWS or len(np.unique(groups)) > len(positions) / 2:
        return False
    if column.numbers is not None and _changes(column.numbers.to_numpy()[has_class], positions) < 2 * len(target.classes):
        return True
    errors = len(positions) - pd.crosstab(groups, positions).to_numpy().max(axis=1).sum()
    return bool(1 - errors / others >= _LEAK_SHARE)


def _changes(numbers: np.ndarray, positions: np.ndarray) -> int:
    """Return how often the class changes along the numbers in rising order."""
    ordered = positions[np.lexsort((positions, numbers))]
    return int(np.count_nonzero(np.diff(ordered)))


def _usual(columns: Sequence[ColumnDraft]) -> list[ColumnDraft]:
    return [column for column in reversed(columns) if column.name.lower() in _NAMES]


def _classes(column: ColumnDraft) -> TargetDraft | str:
    """Return the target that a column makes, or why it makes none."""
    if column.kind == "date":
        return "it holds days"
    if column.distinct < 2:  # noqa: PLR2004 - classes
        return column.drop or "it holds one value only"
    if column.kind == "integer" and column.distinct <= MOST_CLASSES and not any("no number" in note for note in column.notes):
        as_codes(column)
    if column.kind == "category":
        categories = tuple(map(str, column.categories))
        return TargetDraft(column, class_names(categories), pd.Index(categories).get_indexer(pd.Index(column.texts)))
    if column.numbers is None:
        return f"it is an identifier ({column.drop})" if column.drop else f"it holds {column.distinct} different texts"
    return _cut(column)


def _cut(column: ColumnDraft) -> TargetDraft:
    """Cut a number into parts of about the same size."""
    assert column.numbers is not None  # noqa: S101 - of numeric kinds
    present = column.numbers.dropna()
    smallest = present.min()
    quantiles = [float(present.quantile(share, interpolation="higher")) for share in _CUTS]
    cuts = tuple(sorted({cut for cut in quantiles if cut > smallest})) or (float(present[present > smallest].min()),)
    positions = np.where(column.numbers.isna(), -1, np.digitize(column.numbers.fillna(smallest), cuts))
    column.drop = ""
    column.decisions.append(f"Hearth predicts classes: choose the cuts and name the classes; these are {_parts(cuts)}")
    return TargetDraft(column, _CUT_CLASSES[len(cuts)], positions, cuts)


def _parts(cuts: Sequence[float]) -> str:
    return "the thirds of the rows" if len(cuts) == len(_CUTS) else f"the rows below {number_text(cuts[0])} and the others"


def _groups(column: ColumnDraft) -> np.ndarray:
    """Return the group of each row: its category, or the part of the numbers that it lies in."""
    if column.numbers is None:
        return np.asarray(pd.factorize(column.texts)[0])
    bins = min(_MOST_BINS, len(column.numbers) // _BIN_ROWS)
    ranks = column.numbers.rank(pct=True, method="average")
    return np.where(column.numbers.isna(), -1, np.ceil(ranks.fillna(0) * bins)).astype(np.int64)
