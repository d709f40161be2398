"""The quality of predictions, estimated from their probabilities without any label. Pure.

Where probabilities are calibrated, a record whose class was predicted with 0.8 is right in 8 of 10 cases, so the expected confusion matrix
follows from the probabilities alone (confidence-based performance estimation, CBPE). It holds while labels keep their meaning: on a sensor
that reads half a standard deviation too high, and on another meaning of the classes, it stays where it was while the real quality falls. So
it never cancels an alarm.
"""

from dataclasses import dataclass

import numpy as np

_TABLE = 2
_DRAWS = 200
_INTERVAL = (0.025, 0.975)


@dataclass(frozen=True)
class EstimatedQuality:
    """A metric as the probabilities have it, with the interval of 95 % in which that of as many labels would lie."""

    metric: str
    value: float
    low: float
    high: float


def estimate_quality(metric: str, probabilities: np.ndarray, seed: int = 0) -> EstimatedQuality | None:
    """Estimate macro-F1 or accuracy from probabilities, shape (rows, classes); None without any, and for other metrics.

    The value is that of the expected confusion matrix, the interval that of labels that are drawn from the probabilities.
    """
    if probabilities.ndim != _TABLE or not probabilities.size or metric not in _METRICS:
        return None
    rows, classes = probabilities.shape
    codes = probabilities.argmax(axis=1)
    compute = _METRICS[metric]
    expected = np.zeros((classes, classes))
    np.add.at(expected.T, codes, probabilities)  # true class by predicted class
    bounds = np.cumsum(probabilities, axis=1)[:, :-1]
    uniform = np.random.default_rng(seed).random((_DRAWS, rows))
    truth = np.zeros(uniform.shape, dtype=np.intp)
    for bound in bounds.T:
        truth += uniform > bound
    cells = truth * classes + codes + np.arange(_DRAWS)[:, None] * classes**2
    confusions = np.bincount(cells.ravel(), minlength=_DRAWS * classes**2).reshape(_DRAWS, classes, classes)
    low, high = np.quantile([compute(confusion) for confusion in confusions], _INTERVAL)
    return EstimatedQuality(metric, compute(expected), float(low), float(high))


def _macro_f1(confusion: np.ndarray) -> float:
    """Return the mean F1 of a matrix whose rows are true classes; a class that is neither true nor predicted counts as 0."""
    occurring = confusion.sum(axis=0) + confusion.sum(axis=1)
    return float((2 * confusion.diagonal() / np.where(occurring > 0, occurring, 1)).mean())


def _accuracy(confusion: np.ndarray) -> float:
    return float(confusion.trace() / confusion.sum())


_METRICS = {"macro_f1": _macro_f1, "accuracy": _accuracy}
