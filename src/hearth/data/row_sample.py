"""A stratified sample of rows by a hash of their values: the same rows give the same sample, in whatever order they come. Pure.

Samples are nested: the rows of a smaller one are in each larger one, but for a row of a class where shares are rounded. Copies of a row are
drawn one by one, so that a sample has no fewer different rows than one by chance; which of them is drawn makes no difference.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from hearth.contracts import Contract
from hearth.data.row_keys import mixed, row_keys

_FEWEST = 10  # rows of a class that stay in a sample if there are so many: two for each of five folds
_STEP = np.uint64(0x9E3779B97F4A7C15)  # of splitmix64: the numbers of copies of a row are a stream of it, which the row's hash starts


def row_order(columns: Sequence[pa.Array], rows: int) -> np.ndarray:
    """Return a number for each row by its values, uint64 of shape (rows,): the rows with the lowest ones are a sample."""
    order: np.ndarray = row_keys(columns, rows)[0]
    return order


def frame_order(contract: Contract, X: pd.DataFrame) -> np.ndarray:
    """Return the same for the features of a frame."""
    numeric = set(contract.numeric_features)
    return row_order([_arrow(X[name], is_number=name in numeric) for name in contract.feature_names], len(X))


def sample_places(
    order: np.ndarray, codes: np.ndarray, size: int, *, copies_together: bool = False, most_of_rare: float = 1.0
) -> np.ndarray:
    """Draw a sample with equal shares of each class as all rows; a rare class keeps ten rows if it has them, which differ if they can.

    Args:
        order: What `row_order` says of each row, shape (rows,).
        codes: Their classes, shape (rows,).
        size: How many are drawn; all rows if there are no more.
        copies_together: Whether all copies of a row are drawn, or none, but for one row of each class where the sample ends.
        most_of_rare: The share of a rare class that these ten rows may be.

    Returns:
        The positions of the sample, rising.
    """
    if len(codes) <= size:
        return np.arange(len(codes))
    counts = np.bincount(codes)
    drawn = _quotas(counts, size, most_of_rare)
    chosen = []
    for code in np.flatnonzero(counts):
        rows = np.flatnonzero(codes == code)
        numbers = order[rows] if copies_together else _apart(order[rows])
        chosen.append(rows[np.argsort(numbers, kind="stable")[: drawn[code]]])
    return np.sort(np.concatenate(chosen))


def sample_frame(contract: Contract, X: pd.DataFrame, codes: np.ndarray, size: int) -> np.ndarray:
    """Draw a sample of the rows of a frame, shape (size,): their positions, rising."""
    return np.arange(len(X)) if len(X) <= size else sample_places(frame_order(contract, X), codes, size)


def _apart(order: np.ndarray) -> np.ndarray:
    """Return the numbers with others for the copies of a row but the first; ten different rows come before all else."""
    by_number = np.argsort(order, kind="stable")
    ranked = order[by_number]
    first = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    if len(first) == len(order):
        return order
    copy = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
    numbers = np.empty_like(order)
    numbers[by_number] = np.where(copy == 0, ranked, mixed(ranked + copy.astype(np.uint64) * _STEP))
    numbers[by_number[first[:_FEWEST]]] = np.arange(min(len(first), _FEWEST), dtype=np.uint64)
    return numbers


def _quotas(counts: np.ndarray, size: int, most_of_rare: float) -> np.ndarray:
    """Return how many rows of each class are drawn: shares by the largest remainder, a rare class at the expense of the largest."""
    exact = counts * (size / counts.sum())
    quotas = np.floor(exact).astype(np.int64)
    more = np.argsort(quotas - exact, kind="stable")[: size - int(quotas.sum())]
    quotas[more] += 1
    kept: np.ndarray = np.maximum(quotas, np.minimum(np.ceil(counts * most_of_rare).astype(np.int64), _FEWEST))
    largest = int(counts.argmax())
    kept[largest] = max(kept[largest] - int(kept.sum() - size), min(int(counts[largest]), _FEWEST))
    return kept


def _arrow(column: pd.Series, *, is_number: bool) -> pa.Array:
    if is_number:
        return pa.array(column.to_numpy(dtype=np.float64, na_value=np.nan))
    texts = pa.array(column, pa.large_string(), from_pandas=True)
    return (texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts).dictionary_encode()
