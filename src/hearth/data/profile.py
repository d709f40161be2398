"""Reference statistics of a train set: what later records are compared with to see drift. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from hearth.contracts import Contract

_DECILES = np.arange(1, 10) / 10
_HALF, _ROUNDING = 0.5, 1e-9


@dataclass(frozen=True)
class NumericProfile:
    """One number. Statistics are of the values that are present, and None without any.

    `edges` are the distinct deciles above the minimum, rising. They make `len(edges) + 1` bins, and a value equal to an edge belongs to
    the bin above it. `shares` are the shares of the present values in these bins.
    """

    count: int
    missing_share: float
    mean: float | None
    std: float | None
    minimum: float | None
    maximum: float | None
    edges: tuple[float, ...]
    shares: tuple[float, ...]

    @property
    def median(self) -> float | None:
        """The lower median of the present values, None without any. It is the minimum or an edge, since the fifth decile is one."""
        if self.minimum is None:
            return None
        below, median = 0.0, self.minimum
        for edge, share in zip(self.edges, self.shares, strict=False):
            below += share
            if below >= _HALF - _ROUNDING:
                break
            median = edge
        return median


@dataclass(frozen=True)
class CategoryProfile:
    """One category: the share of each of the contract's categories among the values that are present."""

    count: int
    missing_share: float
    shares: Mapping[str, float]


@dataclass(frozen=True)
class Profile:
    """A train set: its features, in contract order within each kind, and the shares of its classes by label."""

    dataset: str
    digest: str
    rows: int
    numbers: Mapping[str, NumericProfile]
    categories: Mapping[str, CategoryProfile]
    classes: Mapping[str, float]

    def to_json(self) -> bytes:
        """Write the profile as `profile.json` holds it."""
        return _ADAPTER.dump_json(self, indent=2)

    @staticmethod
    def from_json(content: bytes) -> "Profile":
        """Read what `to_json` wrote; raises pydantic's ValidationError for anything else."""
        return _ADAPTER.validate_json(content)


_ADAPTER = TypeAdapter(Profile)


def profile(contract: Contract, X: pd.DataFrame, y: pd.Series, digest: str) -> Profile:
    """Describe raw features and class codes."""
    labels = contract.target.classes
    counts = np.bincount(y.to_numpy(), minlength=len(labels))
    return Profile(
        dataset=contract.name,
        digest=digest,
        rows=len(X),
        numbers={name: number_profile(X[name]) for name in contract.numeric_features},
        categories={name: category_profile(X[name], categories) for name, categories in contract.categorical_features.items()},
        classes=dict(zip(labels, _shares(counts), strict=True)),
    )


def bin_shares(values: np.ndarray, edges: tuple[float, ...]) -> tuple[float, ...]:
    """Return the share of the values in each bin that the edges make; missing values count nowhere, and without any value all are 0."""
    present = values[~np.isnan(values)]
    return _shares(np.bincount(np.searchsorted(edges, present, side="right"), minlength=len(edges) + 1))


def category_shares(values: pd.Series, categories: tuple[str, ...]) -> dict[str, float]:
    """Return the share of each category; missing values count nowhere, and without any value all are 0."""
    counts = values.value_counts().reindex(list(categories), fill_value=0)
    return dict(zip(categories, _shares(counts.to_numpy()), strict=True))


def description_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row a column: kind, present and missing values, then statistics of a number or the most frequent text."""
    rows = [{"column": name, **_described(column)} for name, column in frame.items()]
    statistics = ["mean", "std", "minimum", "25%", "median", "75%", "maximum"]
    return pd.DataFrame(rows, columns=["column", "kind", "count", "missing", "distinct", *statistics, "most_frequent"])


def _described(column: pd.Series) -> dict[str, object]:
    counts = {"count": int(column.count()), "missing": int(column.isna().sum()), "distinct": column.nunique()}
    if not pd.api.types.is_numeric_dtype(column.dtype):
        top = column.value_counts()
        return {"kind": "text", **counts, "most_frequent": top.index[0] if len(top) else None}
    quartiles = {"25%": column.quantile(0.25), "median": column.median(), "75%": column.quantile(0.75)}
    extremes = {"minimum": column.min(), "maximum": column.max()}
    return {"kind": "number", **counts, "mean": column.mean(), "std": column.std(ddof=0), **quartiles, **extremes}


def number_profile(column: pd.Series) -> NumericProfile:
    """Describe the numbers of one column."""
    values = column.to_numpy(dtype=np.float64)
    present = values[~np.isnan(values)]
    edges = _edges(present) if len(present) else ()
    return NumericProfile(
        count=len(present),
        missing_share=1 - len(present) / len(values) if len(values) else 0.0,
        mean=float(present.mean()) if len(present) else None,
        std=float(present.std()) if len(present) else None,
        minimum=float(present.min()) if len(present) else None,
        maximum=float(present.max()) if len(present) else None,
        edges=edges,
        shares=bin_shares(values, edges),
    )


def _edges(present: np.ndarray) -> tuple[float, ...]:
    """Return the deciles as values that occur: an interpolated one splits no more, and a share would hang on its rounding.

    One that equals the minimum is left out, since the bin below it would be empty.
    """
    deciles = np.unique(np.quantile(present, _DECILES, method="inverted_cdf"))
    return tuple(deciles[deciles > present.min()].tolist())


def category_profile(column: pd.Series, categories: tuple[str, ...]) -> CategoryProfile:
    """Describe the texts of one column."""
    present = int(column.count())
    return CategoryProfile(
        count=present,
        missing_share=1 - present / len(column) if len(column) else 0.0,
        shares=category_shares(column, categories),
    )


def _shares(counts: np.ndarray) -> tuple[float, ...]:
    total = counts.sum()
    return tuple((counts / total).tolist()) if total else (0.0,) * len(counts)
