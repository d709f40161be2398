"""Every metric of an evaluation with its interval. Pure and seeded."""

from collections.abc import Mapping

import numpy as np

from hearth.contracts.names import class_metric_names
from hearth.modelling.bounds import calibration_interval
from hearth.modelling.comparison import RESAMPLES, SEED, Interval, log_loss_interval, mean_interval, resampled, share
from hearth.modelling.evaluation import Evaluation

_LARGEST_LOSS = float(-np.log(np.finfo(np.float64).eps))  # a probability of 0 counts as the smallest step above
_LARGEST_BRIER = 2.0


def measure(evaluation: Evaluation, level: float) -> Mapping[str, Interval]:
    """Return each metric of an evaluation by its name, the figure being the very one of `evaluation.metrics`.

    Means over rows (log loss, Brier score) have the normal interval of a mean, shares (accuracy, recall, precision) Wilson's, the
    calibration error that of its bins, and what is computed from the confusion matrix percentiles of resampled matrices.
    """
    labels = [scores.label for scores in evaluation.per_class]
    counts, drawn = evaluation.confusion, resampled(evaluation.confusion, RESAMPLES, SEED)
    true, predicted, hits = counts.sum(axis=1), counts.sum(axis=0), np.diagonal(counts)
    precision, recall, f1 = _per_class(drawn)
    indicator = np.eye(len(labels))[evaluation.truth]
    measured = {
        "macro_f1": _percentiles(f1.mean(axis=1), level),
        "macro_precision": _percentiles(precision.mean(axis=1), level),
        "macro_recall": _percentiles(recall.mean(axis=1), level),
        "accuracy": share(int(hits.sum()), int(counts.sum()), level),
        "log_loss": _within(log_loss_interval(evaluation.truth, evaluation.probabilities, level=level), _LARGEST_LOSS),
        "brier_score": _within(mean_interval(np.sum((evaluation.probabilities - indicator) ** 2, axis=1), level), _LARGEST_BRIER),
        "calibration_error": calibration_interval(evaluation.truth, evaluation.probabilities, level),
    }
    for code, name in enumerate(class_metric_names(labels)):
        measured[f"precision_{name}"] = share(int(hits[code]), int(predicted[code]), level)
        measured[f"recall_{name}"] = share(int(hits[code]), int(true[code]), level)
        measured[f"f1_{name}"] = _percentiles(f1[:, code], level)
    return {name: _around(figure, measured.get(name)) for name, figure in evaluation.metrics.items()}


def _per_class(confusions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return precision, recall and F1 of matrices of shape (n, classes, classes), each of shape (n, classes); 0 where there is no row."""
    hits = np.diagonal(confusions, axis1=1, axis2=2)
    predicted, true = confusions.sum(axis=1), confusions.sum(axis=2)
    return hits / np.maximum(predicted, 1), hits / np.maximum(true, 1), 2 * hits / np.maximum(predicted + true, 1)


def _within(interval: Interval, largest: float) -> Interval:
    """Return an interval cut to what is possible; one row has none, and that of its mean is infinite."""
    return Interval(interval.figure, max(0.0, interval.low), min(largest, interval.high))


def _percentiles(drawn: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(drawn.mean()), float(low), float(high))


def _around(figure: float, interval: Interval | None) -> Interval:
    """Return a figure with the bounds of an interval, and without any if there is none for it."""
    if interval is None:
        return Interval(figure, figure, figure)
    return Interval(figure, min(figure, interval.low), max(figure, interval.high))
