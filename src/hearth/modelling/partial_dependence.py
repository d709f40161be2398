"""How a model's probabilities follow one column when it alone changes (partial dependence). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from hearth.contracts import CategoryColumn, Contract

_ROWS = 60
_MOST_VALUES = 12
_INNER = (0.05, 0.95)  # at the ends of a column's range there are too few rows to say anything


@dataclass(frozen=True)
class Dependence:
    """The mean probabilities of a sample of rows, shape (values, classes), while one column has the same value in all of them."""

    column: str
    places: tuple[float, ...] | tuple[str, ...]
    mean: np.ndarray


def partial_dependence(
    contract: Contract, pipeline: Pipeline, X: pd.DataFrame, columns: Sequence[str], *, seed: int
) -> tuple[Dependence, ...]:
    """Return the partial dependence of each column, on 60 rows drawn from `X` and at most 12 values of the column that occur in it.

    Source: Friedman (2001), Greedy function approximation, section 8.2.
    """
    rows = X.iloc[np.random.default_rng(seed).permutation(len(X))[:_ROWS]]
    dependences = []
    for name in columns:
        values = _values(contract, X, name)
        if not len(values):
            continue
        repeated = rows.loc[rows.index.repeat(len(values))]
        moved = repeated.assign(**{name: pd.Series(np.tile(values, len(rows)), index=repeated.index, dtype=X[name].dtype)})
        moved = moved.reset_index(drop=True)
        probabilities = np.asarray(pipeline.predict_proba(moved)).reshape(len(rows), len(values), -1)
        dependences.append(Dependence(name, tuple(values.tolist()), probabilities.mean(axis=0)))
    return tuple(dependences)


def _values(contract: Contract, X: pd.DataFrame, name: str) -> np.ndarray:
    """Return values of a column that occur: the most frequent categories in contract order, or quantiles of a number."""
    present, described = X[name].dropna(), contract.columns[name]
    if isinstance(described, CategoryColumn):
        frequent = set(present.value_counts().index[:_MOST_VALUES])
        return np.array([text for text in described.texts if text in frequent], dtype=object)
    numbers = present.to_numpy(dtype=np.float64)
    if not len(numbers):
        return numbers
    distinct = np.unique(numbers)
    if len(distinct) <= _MOST_VALUES:
        return distinct
    return np.unique(np.quantile(numbers, np.linspace(*_INNER, _MOST_VALUES), method="inverted_cdf"))
