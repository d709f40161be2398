"""Two models on the same rows: differences of their measures, with paired intervals. Pure and seeded; 10,000 rows take about 0.1 s.

The metric is a function of the confusion matrix, so resampling rows is drawing the counts of the cells (truth, prediction of one,
prediction of the other) from a multinomial distribution: the work does not grow with the rows. The log loss is a mean over rows, and its
difference has the normal interval of a mean of paired differences.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

RESAMPLES = 4_000
SEED = 20_261_129
_MUCH_SMALLER = 0.5  # sizes have no noise: a difference counts when one is at most half the other


@dataclass(frozen=True)
class Interval:
    """A figure with its confidence interval."""

    figure: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.figure:.4f} ({self.low:.4f} to {self.high:.4f})"


@dataclass(frozen=True)
class Comparison:
    """A candidate against a holder: candidate minus holder. A higher metric and a lower log loss are better.

    `changed` is the share of rows to which the two give different classes. `size` is the candidate's stored size divided by the holder's.
    """

    rows: int
    metric: Interval
    log_loss: Interval
    changed: Interval
    size: float

    @property
    def is_better(self) -> bool:
        """Whether the metric is higher by more than noise."""
        return self.metric.low > 0

    @property
    def is_worse(self) -> bool:
        """Whether the metric is lower by more than noise."""
        return self.metric.high < 0

    def breaks_tie(self, measure: str) -> int:
        """Return 1 if a measure favours the candidate by more than noise, -1 if the holder, 0 if neither."""
        if measure == "log_loss":
            return int(self.log_loss.high < 0) - int(self.log_loss.low > 0)
        return int(self.size <= _MUCH_SMALLER) - int(self.size >= 1 / _MUCH_SMALLER)


def compare(  # noqa: PLR0913 - the two models and how they are compared
    metric: str,
    truth: np.ndarray,
    candidate: np.ndarray,
    holder: np.ndarray,
    *,
    level: float = 0.95,
    size: float = 1.0,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Comparison:
    """Compare probabilities of shape (rows, classes) of the same rows, whose true classes have the codes `truth`, shape (rows,).

    `metric` is a name of `CONFUSION_METRICS`, `size` the stored size of the candidate divided by that of the holder. The same seed
    gives the same result.

    Raises:
        ValueError: There is no row.
    """
    rows, classes = candidate.shape
    if not rows:
        raise ValueError("two models cannot be compared without a row")
    codes, holder_codes = candidate.argmax(axis=1), holder.argmax(axis=1)
    counts = np.bincount((truth * classes + codes) * classes + holder_codes, minlength=classes**3).reshape(1, classes, classes, classes)
    drawn = resampled(counts[0], resamples, seed)
    measure = CONFUSION_METRICS[metric]

    def difference(cells: np.ndarray) -> np.ndarray:
        return np.asarray(measure(cells.sum(axis=3)) - measure(cells.sum(axis=2)))

    losses = row_losses(truth, candidate) - row_losses(truth, holder)
    return Comparison(
        rows=rows,
        metric=_percentiles(float(difference(counts)[0]), difference(drawn), level),
        log_loss=mean_interval(losses, level),
        changed=share(int((codes != holder_codes).sum()), rows, level),
        size=size,
    )


def metric_interval(metric: str, confusion: np.ndarray, *, level: float, resamples: int = RESAMPLES, seed: int = SEED) -> Interval:
    """Return the metric of a confusion matrix (truth down, predictions across) with its bootstrap interval."""
    measure = CONFUSION_METRICS[metric]
    return _percentiles(float(measure(confusion[None])[0]), measure(resampled(confusion, resamples, seed)), level)


def log_loss_interval(truth: np.ndarray, probabilities: np.ndarray, *, level: float) -> Interval:
    """Return the log loss with the normal interval of its mean."""
    return mean_interval(row_losses(truth, probabilities), level)


def resampled(counts: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Draw the counts of as many rows from the same cells: shape (resamples, *counts.shape)."""
    cells = counts.ravel()
    present = np.flatnonzero(cells)
    drawn = np.zeros((resamples, cells.size), dtype=np.int64)
    drawn[:, present] = np.random.default_rng(seed).multinomial(int(cells.sum()), cells[present] / cells.sum(), size=resamples)
    return drawn.reshape(resamples, *counts.shape)


def share(count: float, rows: int, level: float) -> Interval:
    """Return a share with Wilson's interval, which holds for small counts too."""
    if not rows:
        return Interval(0.0, 0.0, 1.0)
    z2 = _z(level) ** 2
    rate = count / rows
    middle, half = rate + z2 / (2 * rows), _z(level) * np.sqrt(rate * (1 - rate) / rows + z2 / (4 * rows**2))
    low, high = float((middle - half) / (1 + z2 / rows)), float((middle + half) / (1 + z2 / rows))
    return Interval(rate, max(0.0, min(low, rate)), min(1.0, max(high, rate)))  # rounding may leave a bound just inside


def share_difference(count: int, rows: int, other_count: int, other_rows: int, level: float) -> Interval:
    """Return the difference of two independent shares with Newcombe's interval (his method 10)."""
    one, other = share(count, rows, level), share(other_count, other_rows, level)
    figure = one.figure - other.figure
    below = np.hypot(one.figure - one.low, other.high - other.figure)
    above = np.hypot(one.high - one.figure, other.figure - other.low)
    return Interval(figure, max(-1.0, float(figure - below)), min(1.0, float(figure + above)))


def row_losses(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the negative logarithm of each row's probability of its true class; a probability of 0 counts as the smallest step above."""
    chance = probabilities[np.arange(len(truth)), truth]
    return np.asarray(-np.log(np.clip(chance, np.finfo(np.float64).eps, 1.0)))


def _macro_f1(confusions: np.ndarray) -> np.ndarray:
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    both = confusions.sum(axis=-1) + confusions.sum(axis=-2)
    return np.asarray((2 * hits / np.maximum(both, 1)).mean(axis=-1))


def _accuracy(confusions: np.ndarray) -> np.ndarray:
    return np.asarray(np.trace(confusions, axis1=-2, axis2=-1) / np.maximum(confusions.sum(axis=(-2, -1)), 1))


CONFUSION_METRICS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {"macro_f1": _macro_f1, "accuracy": _accuracy}
"""The metrics of contracts as functions of confusion matrices of shape (n, classes, classes), which return shape (n,)."""


def _percentiles(figure: float, drawn: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(figure, float(low), float(high))


def mean_interval(values: np.ndarray, level: float) -> Interval:
    """Return the mean of rows with its normal interval."""
    mean = float(values.mean())
    half = _z(level) * float(values.std(ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else float("inf")
    return Interval(mean, mean - half, mean + half)


def _z(level: float) -> float:
    return float(ndtri((1 + level) / 2))
