"""Keys of 128 bits: rows with equal values have equal keys, and others do not, but by a chance of one in 10^20 for 10^9 rows. Pure.

They serve to find copies within one run, and to draw the same sample of the same rows in each (`row_sample`). They are stored nowhere.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

_SEEDS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], dtype=np.uint64)
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # of splitmix64 (Steele, Lea, Flood 2014)
_TEXT_KEYS = ("hearth-rows-of-0", "hearth-rows-of-1")  # of 16 bytes


def row_keys(columns: Sequence[pa.Array], rows: int, start: np.ndarray | None = None) -> np.ndarray:
    """Return a key for each row, uint64 of shape (2, rows).

    Args:
        columns: Texts, dictionaries of texts, numbers or times; null, and of numbers NaN, is a value as any other.
        rows: Their number.
        start: The keys of the same rows by other columns, to which these are added.
    """
    keys = np.zeros((2, rows), np.uint64) if start is None else start.copy()
    with np.errstate(over="ignore"):
        for column in columns:
            for lane, values in enumerate(_column_keys(column)):
                keys[lane] = mixed(keys[lane] * np.uint64(3) + values)
    return keys


def _column_keys(column: pa.Array) -> np.ndarray:
    if pa.types.is_floating(column.type):
        values = column.to_numpy(zero_copy_only=False).astype(np.float64) + 0.0  # -0.0 becomes 0.0
        values[np.isnan(values)] = np.nan  # one of the many bit patterns that mean "not a number"
        bits = values.view(np.uint64)
    elif pa.types.is_temporal(column.type):
        bits = column.to_numpy(zero_copy_only=False).astype("datetime64[us]").view(np.uint64)
    else:
        return _dictionary_keys(column) if pa.types.is_dictionary(column.type) else _text_keys(column)
    return np.stack([mixed(bits + seed) for seed in _SEEDS])


def _dictionary_keys(column: pa.DictionaryArray) -> np.ndarray:
    texts = column.dictionary
    table = np.concatenate([_text_keys(texts), np.zeros((2, 1), np.uint64)], axis=1)
    keys: np.ndarray = table[:, column.indices.fill_null(len(texts)).to_numpy()]
    return keys


def _text_keys(texts: pa.Array) -> np.ndarray:
    """Return SipHash of each text by two keys, 0 for null."""
    values = texts.fill_null("").to_numpy(zero_copy_only=False).astype(object)
    keys = np.stack([pd.util.hash_array(values, hash_key=key, categorize=False) for key in _TEXT_KEYS])
    if texts.null_count:
        keys[:, texts.is_null().to_numpy(zero_copy_only=False)] = 0
    return keys


def mixed(values: np.ndarray) -> np.ndarray:
    """Return numbers that look like chance for uint64 of any shape: different ones for different values."""
    for multiplier, shift in zip(_MULTIPLIERS, (30, 27), strict=True):
        values = (values ^ (values >> np.uint64(shift))) * np.uint64(multiplier)
    result: np.ndarray = values ^ (values >> np.uint64(31))
    return result
