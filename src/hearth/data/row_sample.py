"""A stratified sample of rows by a hash of their values: the same rows give the same sample, in whatever order they come. Pure.

Samples are nested: the rows of a smaller one are in each larger one, but for a row of a class where shares are rounded.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from hearth.contracts import Contract
from hearth.data.row_keys import row_keys

_FEWEST = 10  # rows of a class that stay in a sample if there are so many: two for each of five folds


def row_order(columns: Sequence[pa.Array], rows: int) -> np.ndarray:
    """Return a number for each row by its values, uint64 of shape (rows,): the rows with the lowest ones are a sample."""
    order: np.ndarray = row_keys(columns, rows)[0]
    return order


def frame_order(contract: Contract, X: pd.DataFrame) -> np.ndarray:
    """Return the same for the features of a frame."""
    numeric = set(contract.numeric_features)
    return row_order([_arrow(X[name], is_number=name in numeric) for name in contract.feature_names], len(X))


def sample_places(order: np.ndarray, codes: np.ndarray, size: int) -> np.ndarray:
    """Draw a sample with equal shares of each class as all rows; a rare class keeps ten rows if it has them.

    Args:
        order: What `row_order` says of each row, shape (rows,).
        codes: Their classes, shape (rows,).
        size: How many are drawn; all rows if there are no more.

    Returns:
        The positions of the sample, rising.
    """
    if len(codes) <= size:
        return np.arange(len(codes))
    counts = np.bincount(codes)
    drawn = _quotas(counts, size)
    chosen = []
    for code in np.flatnonzero(counts):
        rows = np.flatnonzero(codes == code)
        chosen.append(rows[np.argsort(order[rows], kind="stable")[: drawn[code]]])
    return np.sort(np.concatenate(chosen))


def sample_frame(contract: Contract, X: pd.DataFrame, codes: np.ndarray, size: int) -> np.ndarray:
    """Draw a sample of the rows of a frame, shape (size,): their positions, rising."""
    return np.arange(len(X)) if len(X) <= size else sample_places(frame_order(contract, X), codes, size)


def _quotas(counts: np.ndarray, size: int) -> np.ndarray:
    """Return how many rows of each class are drawn: shares by the largest remainder, a rare class at the expense of the largest."""
    exact = counts * (size / counts.sum())
    quotas = np.floor(exact).astype(np.int64)
    more = np.argsort(quotas - exact, kind="stable")[: size - int(quotas.sum())]
    quotas[more] += 1
    kept: np.ndarray = np.maximum(quotas, np.minimum(counts, _FEWEST))
    largest = int(counts.argmax())
    kept[largest] = max(kept[largest] - int(kept.sum() - size), min(int(counts[largest]), _FEWEST))
    return kept


def _arrow(column: pd.Series, *, is_number: bool) -> pa.Array:
    if is_number:
        return pa.array(column.to_numpy(dtype=np.float64, na_value=np.nan))
    texts = pa.array(column, pa.large_string(), from_pandas=True)
    return (texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts).dictionary_encode()
