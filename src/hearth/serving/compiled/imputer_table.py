"""A fitted imputer as one array of numbers: a value for each column, then the regressions of the missing ones, in their order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

COLUMN, INTERCEPT, LOW, HIGH, WEIGHTS = range(5)
"""Places in a row of the table; the weights are the last."""
NO_IMPUTER = np.empty((0, 0))
"""The table of no imputer."""


@dataclass(frozen=True)
class Regression:
    """One step of the iterative imputer: missing values of a column from a linear model of the others, clipped to the fitted range."""

    column: int
    others: np.ndarray
    weights: np.ndarray
    intercept: float
    low: float
    high: float


def imputer_table(fill: np.ndarray, regressions: Sequence[Regression]) -> np.ndarray:
    """Return an imputer as one array, (1 + regressions, 4 + p): one argument is cheaper to pass to machine code than six.

    The first row has the p values of `fill` behind four unused places; each further row a regression: its column, intercept, lowest and
    highest value, and p weights, of which that of its own column is 0.
    """
    table = np.zeros((1 + len(regressions), WEIGHTS + len(fill)))
    table[0, WEIGHTS:] = fill
    for row, step in zip(table[1:], regressions, strict=True):
        row[:WEIGHTS] = step.column, step.intercept, step.low, step.high
        row[WEIGHTS + step.others] = step.weights
    return table
