"""Records unlike those that a model has learnt from: values outside the range seen, rare values, and rare combinations of values.

The score of a record is the negative logarithm of a density, in nats, as the sum of two parts:

* a tree of dependences (Chow and Liu 1968, "Approximating discrete probability distributions with dependence trees"): how rare each value
  is, and for the pairs of columns that depend most on each other how rare the two values are together. Numbers are cut into bins, with a
  bin below and a bin above all that was seen;
* half the squared Mahalanobis distance of the numbers from their mean, with the covariance shrunk as Ledoit and Wolf (2004) derive. It
  sees what several numbers have in common, and how far out one is.

A missing value says nothing: it adds nothing to either. The threshold is an order statistic of the scores that rows of the train set have
when they are held out (cross-conformal, Vovk 2015), so that of records of the same kind as the train set at most `ALARM_SHARE` are
expected above it. docs/trust.md has the measured shares, and the scores that were compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from hearth.contracts import Contract
from hearth.contracts.record_parser import Columns
from hearth.errors import RefusedModel

ALARM_SHARE = 0.005  # of held-out rows of the train set that are called unusual
RARE_SHARE = 0.001  # a category with a lower share of the train set is named as a rare one

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1.0)
MOST_COLUMNS, MOST_CODES, MOST_BINS = 1_000, 10_000, 64
MOST_PAIRED = 100  # with more columns, none is compared with another: the work and the file grow with the square

Finite = Annotated[float, Field(allow_inf_nan=False, ge=-1e100, le=1e100)]
Position = Annotated[int, Field(ge=0, lt=MOST_CODES)]


@dataclass(frozen=True)
class SeenNumber:
    """A number as the train set has it.

    Attributes:
        low, high: the range seen; both 0 if the column was always missing.
        cuts: inner limits of the bins, rising, within low to high; a value that equals a limit is in the bin below it.
        mean, std: of the values seen; std is above 0.
        surprise: -log of the share of each bin: below the range, the inner bins, above the range.
    """

    kind: Literal["number"]
    name: Annotated[str, Field(max_length=1_000)]
    low: Finite
    high: Finite
    cuts: Annotated[tuple[Finite, ...], Field(max_length=MOST_BINS)]
    mean: Finite
    std: Annotated[float, Field(allow_inf_nan=False, ge=1e-100, le=1e100)]
    surprise: Annotated[tuple[Finite, ...], Field(max_length=MOST_BINS)]

    def __post_init__(self) -> None:
        limits = (self.low, *self.cuts, self.high)
        if any(low > high for low, high in pairwise(limits)):
            raise ValueError(f"the limits of the bins of {self.name!r} do not rise")
        if len(self.surprise) != len(self.cuts) + 3:
            raise ValueError(f"{self.name!r} has {len(self.cuts) + 3} bins and {len(self.surprise)} shares of them")

    @property
    def bins(self) -> int:
        """The number of bins without that of missing values."""
        return len(self.surprise)


@dataclass(frozen=True)
class SeenCategory:
    """A category as the train set has it.

    Attributes:
        shares: of each category among the values seen, in the order of the contract.
        bin_of: the bin of each category; rare ones share the last bin.
        surprise: -log of the smoothed share of each category.
    """

    kind: Literal["category"]
    name: Annotated[str, Field(max_length=1_000)]
    shares: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1, max_length=MOST_CODES)]
    bin_of: Annotated[tuple[Annotated[int, Field(ge=0, lt=MOST_BINS)], ...], Field(max_length=MOST_CODES)]
    surprise: Annotated[tuple[Finite, ...], Field(max_length=MOST_CODES)]

    def __post_init__(self) -> None:
        if not len(self.shares) == len(self.bin_of) == len(self.surprise):
            raise ValueError(f"{self.name!r} has {len(self.shares)} shares, {len(self.bin_of)} bins and {len(self.surprise)} surprises")

    @property
    def bins(self) -> int:
        """The number of bins without that of missing values."""
        return max(self.bin_of) + 1


SeenColumn = Annotated[SeenNumber | SeenCategory, Field(discriminator="kind")]


@dataclass(frozen=True)
class Dependence:
    """Two columns that depend on each other, by their positions: first the numbers, then the categories, each in contract order.

    `surprise` holds for each bin of the first column and each of the second -log of how much more frequent the two are together than they
    would be if the columns were independent; row after row.
    """

    first: Position
    second: Position
    surprise: Annotated[tuple[Finite, ...], Field(max_length=MOST_BINS**2)]


@dataclass(frozen=True)
class UnusualColumn:
    """A value that the train set does not have: outside `low` to `high`, or a category with this `share` of the train set.

    Of a personal column all but the name is None.
    """

    name: str
    value: float | str | None
    low: float | None = None
    high: float | None = None
    share: float | None = None


@dataclass(frozen=True)
class UnusualRecord:
    """How unlike the train set a record is.

    Attributes:
        score: share of the train set's rows that are less unusual when they are held out, 0 to 1.
        unusual: whether the record is above the threshold.
        columns: values outside the range seen, and rare categories.
        combinations: pairs of columns whose values are seen, but rare together; only of an unusual record.
    """

    score: float
    unusual: bool
    columns: tuple[UnusualColumn, ...] = ()
    combinations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Unusual:
    """What the train set of a version looks like, and from which score on a record is unusual.

    Attributes:
        columns: the numbers, then the categories, each in contract order.
        dependences: pairs of columns; at most one less than columns.
        precision: the inverse of the shrunk covariance of the p standardised numbers, row after row, p * p values; empty if they are
            taken as independent.
        quantiles: of the scores of held-out rows of the train set, at `SHARES`.
        threshold: a record with a higher score is unusual.
        rows: the number of rows that all this was taken from.
    """

    columns: Annotated[tuple[SeenColumn, ...], Field(min_length=1, max_length=MOST_COLUMNS)]
    dependences: Annotated[tuple[Dependence, ...], Field(max_length=MOST_COLUMNS)]
    precision: Annotated[tuple[Finite, ...], Field(max_length=MOST_PAIRED**2)]
    quantiles: Annotated[tuple[Finite, ...], Field(min_length=len(SHARES), max_length=len(SHARES))]
    threshold: Finite
    rows: Annotated[int, Field(ge=1)]

    def __post_init__(self) -> None:
        # Machine code reads these tables by positions without a check of its own
        kinds = [column.kind for column in self.columns]
        if kinds != sorted(kinds, reverse=True):
            raise ValueError("the numbers must come before the categories")
        if self.precision and len(self.precision) != len(self.numbers) ** 2:
            raise ValueError(f"the precision has {len(self.precision)} values for {len(self.numbers)} numbers")
        for pair in self.dependences:
            if not pair.first < len(self.columns) or not pair.second < len(self.columns):
                raise ValueError(f"a dependence names the columns {pair.first} and {pair.second} of {len(self.columns)}")
            if len(pair.surprise) != self.columns[pair.first].bins * self.columns[pair.second].bins:
                raise ValueError(f"the table of the columns {pair.first} and {pair.second} has {len(pair.surprise)} values")
        if list(self.quantiles) != sorted(self.quantiles):
            raise ValueError("the quantiles do not rise")

    @cached_property
    def numbers(self) -> tuple[SeenNumber, ...]:
        """The columns that are numbers."""
        return tuple(column for column in self.columns if isinstance(column, SeenNumber))

    @cached_property
    def categories(self) -> tuple[SeenCategory, ...]:
        """The columns that are categories."""
        return tuple(column for column in self.columns if isinstance(column, SeenCategory))

    def require_contract(self, contract: Contract, where: str) -> None:
        """Raise RefusedModel unless this is about the columns of a contract; `where` names the model."""
        numbers = [column.name for column in self.numbers]
        categories = {column.name: len(column.shares) for column in self.categories}
        if numbers != list(contract.numeric_features) or list(categories.items()) != [
            (name, len(texts)) for name, texts in contract.categorical_features.items()
        ]:
            raise RefusedModel(f"{where}: the file trust.json is about other columns than the contract of {contract.name!r}. Train again.")

    def scores(self, raw: np.ndarray) -> np.ndarray:
        """Return the scores of raw ones, both (n,): the share of the train set's rows that are less unusual, 0 to 1."""
        shares: np.ndarray = np.interp(raw, self.quantiles, SHARES)
        return shares

    def bins(self, columns: Columns) -> list[np.ndarray]:
        """Return the bin of each value by column, (n,) each, -1 where it is missing."""
        numbers = [number_bins(columns.numbers[:, place], number) for place, number in enumerate(self.numbers)]
        return numbers + [category_bins(columns.codes[:, place], category) for place, category in enumerate(self.categories)]

    def raw_scores(self, columns: Columns) -> np.ndarray:
        """Return the negative log densities, (n,), in nats."""
        bins = self.bins(columns)
        codes = [*bins[: len(self.numbers)], *columns.codes.T]
        total = np.zeros(len(columns))
        for column, bin_, code in zip(self.columns, bins, codes, strict=True):
            total += _looked_up(column.surprise, code, bin_ >= 0)
        for pair in self.dependences:
            first, second = bins[pair.first], bins[pair.second]
            total += _looked_up(pair.surprise, first * self.columns[pair.second].bins + second, (first >= 0) & (second >= 0))
        if self.numbers:
            means, stds = (np.array([getattr(column, name) for column in self.numbers]) for name in ("mean", "std"))
            z = np.nan_to_num((columns.numbers - means) / stds, nan=0.0)
            weighted = z @ np.reshape(self.precision, (len(means), len(means))) if self.precision else z
            total += 0.5 * (weighted * z).sum(axis=1)
        return np.where(np.isnan(total), np.inf, total)


def number_bins(values: np.ndarray, number: SeenNumber) -> np.ndarray:
    """Return the bins of values, (n,): 0 below the range, then the inner bins, the last above it; -1 where missing."""
    inner = 1 + np.searchsorted(np.asarray(number.cuts), values, side="left")
    bins = np.where(values < number.low, 0, np.where(values > number.high, number.bins - 1, inner))
    return np.where(np.isnan(values), -1, bins)


def category_bins(codes: np.ndarray, category: SeenCategory) -> np.ndarray:
    """Return the bins of codes, (n,); -1 where missing."""
    known = codes < len(category.shares)
    return np.where(known, np.asarray(category.bin_of)[np.where(known, codes, 0)], -1)


def _looked_up(table: Sequence[float], places: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.where(known, np.asarray(table)[np.where(known, places, 0)], 0.0)
