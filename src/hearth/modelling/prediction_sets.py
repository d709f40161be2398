"""Sets of classes that hold the true one as often as their level says: class-conditional split-conformal prediction.

A class is in the set of a record if its probability reaches the threshold of that class. Thresholds are quantiles of probabilities that
models gave to the true classes of rows that they were not fitted on.

Sources: V. Vovk, "Conditional validity of inductive conformal predictors", ACML 2012 (label-conditional prediction); M. Sadinle, J. Lei,
L. Wasserman, "Least ambiguous set-valued classifiers with bounded error levels", JASA 2019 (the thresholds, and why the sets are the
smallest).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

_ROUNDING = 1e-9  # 100 times 0.55 is a little more than 55 for a computer

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


@dataclass(frozen=True)
class PredictionSets:
    """The thresholds of a version, one for each class in the order of its probabilities.

    `level` is the share of records of each class whose set should hold that class.
    """

    level: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
    thresholds: Annotated[tuple[Share, ...], Field(min_length=2, max_length=10_000)]

    def members(self, probabilities: np.ndarray) -> np.ndarray:
        """Return which classes are in the set of each record, for probabilities of shape (rows, classes); the same shape, of booleans.

        The most probable class is always a member, so no set is empty. Probabilities that are missing are no members.
        """
        members: np.ndarray = probabilities >= np.asarray(self.thresholds)
        members[np.arange(len(members)), probabilities.argmax(axis=1)] = True
        return members

    def cover(self, truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """Return whether the set of each record holds its true class, shape (rows,); `truth` has the codes of the classes."""
        held: np.ndarray = self.members(probabilities)[np.arange(len(truth)), truth]
        return held

    def labels(self, probabilities: np.ndarray, classes: Sequence[str]) -> list[list[str]]:
        """Return the set of each record as names of classes, in the order of the classes."""
        return [[name for name, member in zip(classes, row, strict=True) if member] for row in self.members(probabilities).tolist()]


def fit_sets(truth: np.ndarray, probabilities: np.ndarray, level: float, weights: np.ndarray | None = None) -> PredictionSets:
    """Compute the thresholds from rows that the model was not fitted on.

    The score of a row for a class is its probability, and 1 for the most probable class: so that class is in every set, and the others need
    not cover what it covers already. With n rows of a class, the threshold is the k-th lowest score that these rows have for their class,
    k = floor((n + 1)(1 - level)). Another row of the class, exchangeable with them, then reaches it with a probability of at least
    `level`. Where n is too small for any k, the threshold is 0, and the class is in every set; where it is 1, the class is in a set only as
    the most probable one, which covers more than the level.

    Args:
        truth: Codes of the true classes, shape (rows,).
        probabilities: Shape (rows, classes).
        level: Between 0 and 1.
        weights: How much each row counts, shape (rows,); None if all count the same. The rank is that of the weights then, of which a new
            row of the class counts as much as the heaviest.
    """
    classes = probabilities.shape[1]
    scores = np.where(np.eye(classes, dtype=bool)[probabilities.argmax(axis=1)], 1.0, probabilities)
    own = [np.flatnonzero(truth == code) for code in range(classes)]
    if weights is None:
        return PredictionSets(level, tuple(_threshold(scores[rows, code], level) for code, rows in enumerate(own)))
    return PredictionSets(level, tuple(_weighted_threshold(scores[rows, code], weights[rows], level) for code, rows in enumerate(own)))


def _threshold(own: np.ndarray, level: float) -> float:
    rank = len(own) + 1 - math.ceil((len(own) + 1) * level - _ROUNDING)
    return float(np.partition(own, rank - 1)[rank - 1]) if rank > 0 else 0.0


def _weighted_threshold(own: np.ndarray, weights: np.ndarray, level: float) -> float:
    """Return the highest score that leaves, with a new row, at most 1 - level of the weights below it.

    With equal weights that is the threshold without weights.
    """
    if not len(own):
        return 0.0
    order, new = np.argsort(own, kind="stable"), weights.max()
    below = np.cumsum(weights[order]) - weights[order] + new
    allowed = (weights.sum() + new) * (1 - level) + _ROUNDING * new
    rank = int(np.searchsorted(below, allowed, side="right"))
    return float(own[order][rank - 1]) if rank > 0 else 0.0
