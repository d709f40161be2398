"""Where a model fails most: conditions on one column or two whose rows are wrong more often than the others. Pure.

Every category and every quarter of a number makes a condition; conditions and pairs of them are tested at once. A slice stands out if it
has more errors than chance puts there (Fisher's exact test, one-sided), corrected for all that were tested (Bonferroni), so that on data
without a bad slice one is reported in at most 5 % of the trainings; `make bench-slices` measures that.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from hearth.contracts import CategoryColumn, Contract
from hearth.modelling.comparison import Interval, share

FEWEST_ROWS = 50
_MOST_COLUMNS = 20  # pairs grow with the square
_MOST_CATEGORIES = 30
_MOST_SLICES = 5
_ADDS = 0.01  # a second condition must be worth its place: the chance of as many errors within what one condition says
_QUARTERS = ("lowest quarter", "second quarter", "third quarter", "highest quarter")


@dataclass(frozen=True)
class Slice:
    """Rows that all conditions hold for; `error` is the share that is wrong, its interval corrected for all slices that were tested."""

    conditions: tuple[str, ...]
    rows: int
    errors: int
    error: Interval
    about: str = ""


@dataclass(frozen=True)
class SliceReport:
    """The slices that stand out, the worst first, of `rows` rows with `errors` errors; `tested` slices have at least `fewest` rows."""

    rows: int
    errors: int
    fewest: int
    tested: int
    level: float
    slices: tuple[Slice, ...]


def find_slices(  # noqa: PLR0913 - all but the first three are named
    contract: Contract,
    X: pd.DataFrame,
    wrong: np.ndarray,
    *,
    columns: Sequence[str] | None = None,
    level: float = 0.95,
    describe: Callable[[np.ndarray], str] = lambda _: "",
) -> SliceReport:
    """Find the slices that are wrong more often than the rest by more than chance.

    Args:
        contract: Says which columns there are; values of personal ones are not named.
        X: Raw features of the rows.
        wrong: Which rows the model gets wrong, shape (rows,).
        columns: Those to look at, the most important first, of which 20 are taken; all by default.
        level: Of all slices together: with 0.95 one is reported by chance in at most 5 % of the calls.
        describe: Says of a slice's rows, a mask of shape (rows,), what goes wrong there.
    """
    names = [name for name in columns or contract.feature_names if name in X][:_MOST_COLUMNS]
    conditions = [(name, text, rows) for name in names for text, rows in _conditions(contract, name, X[name]) if rows.sum() >= FEWEST_ROWS]
    total, errors = len(wrong), int(wrong.sum())
    if not conditions or not errors:
        return SliceReport(total, errors, FEWEST_ROWS, 0, level, ())
    tested = _Tested([name for name, _, _ in conditions], np.stack([rows for _, _, rows in conditions]), wrong.astype(bool))
    slices = []
    for members in tested.standing_out(1 - level):
        rows = tested.rows_of(members)
        interval = share(int((wrong & rows).sum()), int(rows.sum()), 1 - (1 - level) / tested.count)
        texts = tuple(conditions[member][1] for member in members)
        slices.append(Slice(texts, int(rows.sum()), int((wrong & rows).sum()), interval, describe(rows)))
    return SliceReport(total, errors, FEWEST_ROWS, tested.count, level, tuple(slices))


class _Tested:
    """All conditions and pairs of them that have enough rows, with their errors. Row i of `masks` says where condition i holds."""

    def __init__(self, names: Sequence[str], masks: np.ndarray, wrong: np.ndarray) -> None:
        self._masks, self._wrong = masks, wrong
        whole = masks.astype(np.float32)  # counts stay exact up to 2**24 rows
        self._rows = np.rint(whole @ whole.T).astype(np.int64)  # a condition with itself is the condition alone
        self._errors = np.rint((whole * wrong) @ whole.T).astype(np.int64)
        first, second = np.triu_indices(len(names))
        of_two_columns = np.array([names[a] != names[b] or a == b for a, b in zip(first.tolist(), second.tolist(), strict=True)])
        enough = of_two_columns & (self._rows[first, second] >= FEWEST_ROWS)
        self._first, self._second = first[enough], second[enough]
        self.count = int(enough.sum())

    def rows_of(self, members: Sequence[int]) -> np.ndarray:
        """Return where all these conditions hold, shape (rows,)."""
        return np.asarray(self._masks[list(members)].all(axis=0))

    def standing_out(self, alpha: float) -> list[tuple[int, ...]]:
        """Return the conditions of the slices that stand out, the highest lower bound of the share of errors first."""
        rows, errors = self._rows[self._first, self._second], self._errors[self._first, self._second]
        chance = hypergeom.sf(errors - 1, len(self._wrong), int(self._wrong.sum()), rows)
        found = np.flatnonzero(chance * self.count <= alpha)
        found = found[self._worth_its_conditions(found)]
        low = np.array([share(int(errors[at]), int(rows[at]), 1 - alpha / self.count).low for at in found])
        chosen: list[tuple[int, ...]] = []
        left = np.ones(len(self._wrong), dtype=bool)  # a slice that says the same as one before has no errors left of its own
        for at in found[np.argsort(-low, kind="stable")]:
            members = tuple(dict.fromkeys((int(self._first[at]), int(self._second[at]))))
            own = self.rows_of(members)
            if own[left].sum() >= FEWEST_ROWS and self._chance(own & left, left) * self.count <= alpha:
                chosen.append(members)
                left &= ~own
            if len(chosen) == _MOST_SLICES:
                break
        return chosen

    def _chance(self, rows: np.ndarray, among: np.ndarray) -> float:
        """Return the chance of as many errors in these rows if they were spread evenly among more."""
        errors, all_errors = int(self._wrong[rows].sum()), int(self._wrong[among].sum())
        return float(hypergeom.sf(errors - 1, int(among.sum()), all_errors, int(rows.sum())))

    def _worth_its_conditions(self, found: np.ndarray) -> np.ndarray:
        """Return of slices, shape (n,), whether they are of one condition, or each condition of the pair adds errors to the other's."""
        first, second = self._first[found], self._second[found]
        rows, errors = self._rows[first, second], self._errors[first, second]
        alone, alone_errors = np.diag(self._rows), np.diag(self._errors)
        adds = [hypergeom.sf(errors - 1, alone[one], alone_errors[one], rows) <= _ADDS for one in (first, second)]
        return np.asarray((first == second) | (adds[0] & adds[1]))


def _conditions(contract: Contract, name: str, column: pd.Series) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what can be said of a column's value, and for which rows it holds."""
    described, missing = contract.columns[name], column.isna().to_numpy()
    if isinstance(described, CategoryColumn):
        frequent = set(column.value_counts().index[:_MOST_CATEGORIES])
        for text, meaning in zip(described.texts, described.meanings or described.texts, strict=True):
            if text in frequent:
                shown = "(personal, a category that is not shown)" if described.personal else meaning
                yield f"{name}: {shown}", (column == text).to_numpy(dtype=bool)
    else:
        yield from _bands(name, column.to_numpy(dtype=np.float64), hidden=bool(described.personal))
    yield f"{name}: missing", missing


def _bands(name: str, values: np.ndarray, *, hidden: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Yield quarters of the present values; a number of few values has fewer bands, cut at values that occur."""
    present = values[~np.isnan(values)]
    if not len(present):
        return
    quartiles = np.quantile(present, [0.25, 0.5, 0.75], method="inverted_cdf")
    cuts = np.unique(quartiles[quartiles > present.min()])
    limits = [-np.inf, *cuts.tolist(), np.inf]
    for position, (low, high) in enumerate(pairwise(limits)):
        if hidden:
            text = _QUARTERS[position]
        elif low == -np.inf:
            text = f"below {high:g}" if high < np.inf else "present"
        else:
            text = f"{low:g} or more" if high == np.inf else f"{low:g} to below {high:g}"
        yield f"{name}: {text}", (values >= low) & (values < high)
