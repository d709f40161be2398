"""Fit `Unusual` on a train set."""

import logging
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError
from sklearn.covariance import ledoit_wolf

from hearth.contracts import Contract
from hearth.contracts.record_parser import Columns, RecordParser
from hearth.data.cleaning import equal_rows
from hearth.data.stored_train import StoredTrain
from hearth.logs import about
from hearth.modelling.unusual import (
    ALARM_SHARE,
    MOST_PAIRED,
    SHARES,
    Dependence,
    SeenCategory,
    SeenColumn,
    SeenNumber,
    Unusual,
    category_bins,
    number_bins,
)

_LOGGER = logging.getLogger(__name__)
_MOST_ROWS = 50_000  # more say no more about shares, while a training waits
_FOLDS = 5
_INNER_BINS = 10
_OWN_BINS = 31  # the most frequent categories; the others share a bin
_BELIEF = 5.0  # rows' worth of belief that two columns are independent, which the table of a pair starts from
_HALF = 0.5  # a row in each bin that nothing was seen in (Jeffreys' prior)
_DIGITS = 5
_MOST_BYTES = 3_000_000  # as JSON; the file has room for more beside it
_ADAPTER = TypeAdapter(Unusual)


def fit_unusual(contract: Contract, frame: pd.DataFrame, seed: int = 0, stored: StoredTrain | None = None) -> Unusual:
    """Learn what records look like from the features of a train set, any number of rows from 2 on; ranges are those of all rows.

    With `stored` the frame is a sample of those rows, whose ranges these are.

    Raises:
        ValueError: there are fewer than two rows.
    """
    columns = RecordParser(contract).from_frame(frame)
    if len(columns) < 2:  # noqa: PLR2004 - one row has no other to be compared with
        raise ValueError(f"what is unusual cannot be learnt from {len(columns)} rows")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(columns))[:_MOST_ROWS]
    sample = _take(columns, order)
    groups = equal_rows(pd.DataFrame(np.column_stack([sample.numbers, sample.codes])))  # equal rows are held out together
    if not groups.any():  # all rows are equal, so that none is left to compare them with
        groups = np.arange(len(sample))
    fold = groups % _FOLDS
    raw = np.empty(len(sample))
    for number in np.unique(fold):
        held_out = fold == number
        raw[held_out] = _describe(contract, fitted := _take(sample, ~held_out), _extremes(fitted.numbers)).raw_scores(
            _take(sample, held_out)
        )
    raw.sort()
    described = _describe(contract, sample, _extremes(columns.numbers) if stored is None else stored.extremes(contract))
    return Unusual(
        described.columns,
        described.dependences,
        described.precision,
        quantiles=tuple(np.quantile(raw, SHARES).tolist()),
        threshold=float(raw[-max(1, int((len(raw) + 1) * ALARM_SHARE))]),
        rows=len(columns) if stored is None else len(stored),
    )


def fit_storable(contract: Contract, frame: pd.DataFrame, seed: int = 0, stored: StoredTrain | None = None) -> Unusual | None:
    """Fit as `fit_unusual` does; None, with a warning in the log, for data that are too few, or too wide for the file of a version."""
    try:
        unusual = fit_unusual(contract, frame, seed, stored)
        content = _ADAPTER.dump_json(unusual)
        _ADAPTER.validate_json(content, strict=True)
    except ValidationError as error:
        _LOGGER.warning("%s: versions cannot tell what is unusual: %s", contract.name, error.errors()[0]["msg"], extra=about(contract.name))
        return None
    except ValueError as error:
        _LOGGER.warning("%s: versions cannot tell what is unusual: %s", contract.name, error, extra=about(contract.name))
        return None
    if len(content) > _MOST_BYTES:
        _LOGGER.warning(
            "%s: versions cannot tell what is unusual: it takes %d bytes, at most %d",
            contract.name,
            len(content),
            _MOST_BYTES,
            extra=about(contract.name),
        )
        return None
    return unusual


def _describe(contract: Contract, sample: Columns, extremes: np.ndarray) -> Unusual:
    """Return the tables of a sample, with ranges of shape (2, numbers), without threshold and quantiles."""
    numbers = [_number(name, sample.numbers[:, place], *extremes[:, place]) for place, name in enumerate(contract.numeric_features)]
    categories = [
        _category(name, sample.codes[:, place], len(texts)) for place, (name, texts) in enumerate(contract.categorical_features.items())
    ]
    columns: list[SeenColumn] = [*numbers, *categories]
    bins = [number_bins(sample.numbers[:, place], number) for place, number in enumerate(numbers)]
    bins += [category_bins(sample.codes[:, place], category) for place, category in enumerate(categories)]
    is_paired = len(columns) <= MOST_PAIRED
    return Unusual(
        tuple(columns),
        _tree(bins, [column.bins for column in columns]) if is_paired else (),
        _precision(sample.numbers, numbers) if is_paired else (),
        quantiles=(0.0,) * len(SHARES),
        threshold=0.0,
        rows=len(sample),
    )


def _extremes(numbers: np.ndarray) -> np.ndarray:
    """Return the lowest and the highest value of each column, shape (2, columns); NaN for one without any."""
    return np.stack([np.fmin.reduce(numbers, axis=0), np.fmax.reduce(numbers, axis=0)])


def _number(name: str, values: np.ndarray, lowest: float, highest: float) -> SeenNumber:
    present = values[~np.isnan(values)]
    if not len(present):
        return SeenNumber("number", name, 0.0, 0.0, (), 0.0, 1.0, (0.0, 0.0, 0.0))
    distinct = np.unique(present)
    inner = distinct
    if len(distinct) > _INNER_BINS:
        inner = np.unique(np.quantile(present, np.linspace(0, 1, _INNER_BINS + 1)[1:-1], method="inverted_cdf"))
    low, high = float(lowest), float(highest)
    cuts = tuple(inner[inner < distinct[-1]].tolist())
    number = SeenNumber("number", name, low, high, cuts, float(present.mean()), float(present.std()) or 1.0, (0.0,) * (len(cuts) + 3))
    counts = np.bincount(number_bins(present, number), minlength=number.bins)
    return SeenNumber("number", name, low, high, cuts, number.mean, number.std, _surprise(counts))


def _category(name: str, codes: np.ndarray, categories: int) -> SeenCategory:
    counts = np.bincount(codes, minlength=categories + 1)[:categories]  # without missing values
    rank = np.empty(categories, np.intp)
    rank[np.argsort(-counts, kind="stable")] = np.arange(categories)
    shares = counts / max(1, counts.sum())
    return SeenCategory("category", name, tuple(shares.tolist()), tuple(np.minimum(rank, _OWN_BINS).tolist()), _surprise(counts))


def _surprise(counts: np.ndarray) -> tuple[float, ...]:
    shares = (counts + _HALF) / (counts.sum() + _HALF * len(counts))
    return _rounded(-np.log(shares))


def _tree(bins: Sequence[np.ndarray], sizes: Sequence[int]) -> tuple[Dependence, ...]:
    """Return the spanning tree of the greatest mutual information (Chow and Liu), by Prim's algorithm."""
    tables = {
        (first, second): _pair_table(bins[first], bins[second], sizes[first], sizes[second])
        for first, second in combinations(range(len(sizes)), 2)
    }
    joined, tree = {0}, []
    while len(joined) < len(sizes):
        pair = max((pair for pair in tables if (pair[0] in joined) != (pair[1] in joined)), key=lambda pair: tables[pair][0])
        joined |= set(pair)
        tree.append(Dependence(*pair, surprise=_rounded(-tables[pair][1].ravel())))
    return tuple(tree)


def _pair_table(first: np.ndarray, second: np.ndarray, rows: int, width: int) -> tuple[float, np.ndarray]:
    """Return the mutual information of two columns, and the logarithm of how much more frequent each pair of bins is than by chance."""
    known = (first >= 0) & (second >= 0)
    counts = np.bincount(first[known] * width + second[known], minlength=rows * width).reshape(rows, width)
    shares = [
        (np.bincount(bins[bins >= 0], minlength=size) + _HALF) / ((bins >= 0).sum() + _HALF * size)
        for bins, size in ((first, rows), (second, width))
    ]
    chance = np.outer(*shares)
    together = (counts + _BELIEF * chance) / (counts.sum() + _BELIEF)
    ratio = np.log(together / chance)
    return float((together * ratio).sum()), ratio


def _precision(values: np.ndarray, numbers: Sequence[SeenNumber]) -> tuple[float, ...]:
    if not numbers:
        return ()
    z = np.nan_to_num((values - [number.mean for number in numbers]) / [number.std for number in numbers], nan=0.0)
    covariance, _ = ledoit_wolf(z, assume_centered=True)
    return tuple(np.linalg.pinv(covariance, hermitian=True).ravel().tolist())


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(np.round(values, _DIGITS).tolist())


def _take(columns: Columns, rows: np.ndarray) -> Columns:
    return Columns(columns.numbers[rows], columns.codes[rows])
