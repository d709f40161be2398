"""Rows that are there more than once, exactly or nearly, and rows that contradict each other.

Near copies are equal in all columns but one at most, numbers being rounded to a twentieth of their spread. Columns of few values make such
pairs by chance, so they are compared with the number that independent columns with the shares of each class would make.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from hearth.data.checks.quick_model import accuracy_of_splits
from hearth.data.checks.report import Finding, Level, first_lines
from hearth.data.checks.table import CheckedRows
from hearth.data.cleaning import compared_columns

_MANY, _NEAR = 0.05, 0.01  # shares of rows
_BEYOND_CHANCE = 10.0
_ROUNDED_TO = 0.05  # of a column's standard deviation
_EFFECT_ROWS, _EFFECT_REPEATS, _SMALL = 2_000, 5, 500
_FEWEST_FEATURES, _FEWEST_DISTINCT = 3, 20


def find_duplicates(rows: CheckedRows) -> Iterator[Finding]:
    """Yield a finding about rows that are copies of earlier ones, and what they would do if they were on both sides of a split."""
    contract = rows.contract
    keys = rows.frame.groupby(compared_columns(contract), dropna=False, sort=False).ngroup().to_numpy()
    copies = np.flatnonzero(pd.Series(keys).duplicated().to_numpy())
    if not len(copies):
        return
    share = len(copies) / len(rows)
    figures = {"copies": float(len(copies)), "share": share, "distinct": float(len(rows) - len(copies))}
    kept = (
        ""
        if contract.cleaning.drop_duplicates
        else " They are kept (cleaning.drop_duplicates: false), each group on one side of the split."
    )
    what = f"{len(copies):,} of {len(rows):,} rows are copies of earlier ones, {len(rows) - len(copies):,} are distinct.{kept}"
    if share >= _MANY:
        effect = _effect(rows, keys)
        figures |= effect
        what += _effect_words(effect, "copies")
    advice = (
        "Ask why they are there; the cleaning leaves them out."
        if contract.cleaning.drop_duplicates
        else "Set cleaning.drop_duplicates: true."
    )
    level: Level = "warn" if share >= _MANY else "info"
    yield Finding("duplicates", level, what, advice, (), figures, len(copies), first_lines(rows.lines[copies]))


def find_near_duplicates(rows: CheckedRows) -> Iterator[Finding]:
    """Yield a finding about rows that are nearly copies, many more than chance makes."""
    rows = rows.take(np.sort(rows.distinct))
    if len(rows.features) < _FEWEST_FEATURES:
        return
    rounded = np.column_stack([_rounded(values, rows.is_number[name]) for name, values in rows.features.items()])
    twin = _twins(rounded)
    is_near = twin != np.arange(len(rows))
    near = np.flatnonzero(is_near)
    share, expected = len(near) / max(len(rows), 1), _expected(rounded, rows.codes)
    if share < _NEAR or len(near) < _BEYOND_CHANCE * expected:
        return
    effect = _effect(rows, twin)
    figures = {"near_copies": float(len(near)), "share": share, "by_chance": expected, **effect}
    what = (
        f"{len(near):,} of {len(rows):,} distinct rows equal an earlier one in all columns but one at most, numbers rounded; "
        f"by chance it would be about {expected:.0f}.{_effect_words(effect, 'near copies')}"
    )
    advice = "One record entered twice, or one person measured again? Leave one, or split by the person."
    yield Finding("near_duplicates", "warn", what, advice, (), figures, len(near), first_lines(rows.lines[near]))


def find_contradictions(rows: CheckedRows) -> Iterator[Finding]:
    """Yield a finding about rows with equal features and different classes."""
    names = list(rows.contract.feature_names)
    groups = rows.frame.groupby(names, dropna=False, sort=False).ngroup()
    frame = pd.DataFrame({"group": groups, "code": rows.codes})
    several = frame.groupby("group")["code"].transform("nunique") > 1
    found = np.flatnonzero(several.to_numpy())
    if not len(found):
        return
    share = len(found) / len(rows)
    what = f"{len(found):,} rows ({share:.1%}) equal others in all features and have another class: no model can get all of them right."
    level: Level = "warn" if share >= _MANY else "info"
    yield Finding(
        "contradictions",
        level,
        what,
        "A feature is missing that tells them apart, or a label is wrong.",
        (),
        {"share": share},
        len(found),
        first_lines(rows.lines[found]),
    )


def _effect(rows: CheckedRows, keys: np.ndarray) -> dict[str, float]:
    """Measure what copies across a split do: the accuracy where they are on both sides, and where each row is there once."""
    chosen = np.flatnonzero(np.isin(keys, _sampled(keys)))
    part, groups = rows.take(chosen), keys[chosen]
    repeats = _EFFECT_REPEATS if len(part) <= _SMALL * _EFFECT_REPEATS / 2 else 2
    first = np.unique(groups, return_index=True)[1]
    if len(first) < _FEWEST_DISTINCT:
        return {}
    return {
        "accuracy_across": accuracy_of_splits(part.matrix, part.codes, np.arange(len(part)), repeats),
        "accuracy_apart": accuracy_of_splits(part.matrix[first], part.codes[first], np.arange(len(first)), repeats),
    }


def _sampled(keys: np.ndarray) -> np.ndarray:
    """Return the groups that an effect is measured on: as many as there are rows for, whole groups."""
    groups, counts = np.unique(keys, return_counts=True)
    order = np.random.default_rng(len(keys)).permutation(len(groups))
    return groups[order][np.cumsum(counts[order]) <= _EFFECT_ROWS]


def _effect_words(effect: dict[str, float], name: str) -> str:
    if not effect:
        return ""
    return (
        f" A forest scores {effect['accuracy_across']:.1%} accuracy on test rows where {name} may be in the train set, "
        f"{effect['accuracy_apart']:.1%} where each row is there once."
    )


def _rounded(values: np.ndarray, is_number: bool) -> np.ndarray:
    """Return whole numbers, equal for values that are nearly equal; missing values have one of their own."""
    spread = float(np.nanstd(values)) if is_number and not np.isnan(values).all() else 0.0
    scaled = values / (_ROUNDED_TO * spread) if spread else values
    return np.where(np.isnan(scaled), -(1 << 40), np.rint(np.nan_to_num(scaled))).astype(np.int64)


def _twins(rounded: np.ndarray) -> np.ndarray:
    """Return for each row the first row that equals it in all columns but one at most, itself if there is none, shape (rows,).

    A row's hash is the sum of its cells' hashes, so that leaving a column out is a subtraction.
    """
    rows, columns = rounded.shape
    hashes = np.column_stack([pd.util.hash_array(rounded[:, column] * columns + column) for column in range(columns)])
    total = hashes.sum(axis=1, dtype=np.uint64)
    first = np.arange(rows)
    for column in range(columns):
        _, earliest, inverse = np.unique(total - hashes[:, column], return_index=True, return_inverse=True)
        first = np.minimum(first, earliest[inverse])
    return first


def _expected(rounded: np.ndarray, codes: np.ndarray) -> float:
    """Return how many rows would have a near copy if columns were independent within each class, at most all."""
    expected = 0.0
    for code in np.unique(codes):
        part = rounded[codes == code]
        same = np.array([np.sum((np.unique(column, return_counts=True)[1] / len(part)) ** 2) for column in part.T])
        pairs = len(part) * (len(part) - 1) / 2
        expected += min(float(len(part)), pairs * float(np.prod(same) * np.sum(1 / same)))
    return expected
