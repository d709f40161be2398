"""Evaluate a fitted pipeline by the class that it serves: the one of the highest probability."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, precision_recall_fscore_support
from sklearn.pipeline import Pipeline

from hearth.contracts import Contract
from hearth.contracts.names import class_metric_names
from hearth.modelling.scorer import predict_in_parts

CALIBRATION_BINS = 10


@dataclass(frozen=True)
class ClassScores:
    """How well one class is predicted."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Evaluation:
    """Metrics of predictions for which the truth is known.

    `confusion` has shape (classes, classes) and holds counts, true classes down and predicted classes across. `truth` has shape (rows,),
    `probabilities` (rows, classes).
    """

    metrics: Mapping[str, float]
    per_class: tuple[ClassScores, ...]
    confusion: np.ndarray
    truth: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions of similar confidence, the share of them that is right, and their number."""

    confidence: float
    accuracy: float
    count: int


def macro_f1(classes: int, truth: np.ndarray, codes: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean F1 over all classes of the contract; a class that is neither present nor predicted counts as 0."""
    _, _, f1, _ = _per_class(classes, truth, codes, weights)
    return float(np.mean(f1))


def _accuracy(_classes: int, truth: np.ndarray, codes: np.ndarray, weights: np.ndarray | None = None) -> float:
    return float(accuracy_score(truth, codes, sample_weight=weights))


METRICS: Mapping[str, Callable[[int, np.ndarray, np.ndarray, np.ndarray | None], float]] = {"macro_f1": macro_f1, "accuracy": _accuracy}


def metric(contract: Contract, truth: np.ndarray, codes: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Compute the contract's metric, of which higher is better; `weights`, shape (rows,), says how much each row counts."""
    return METRICS[contract.metric](len(contract.target.classes), truth, codes, weights)


def score(contract: Contract, pipeline: Pipeline, X: pd.DataFrame, y: pd.Series) -> float:
    """Compute the contract's metric of a pipeline on raw rows."""
    return metric(contract, y.to_numpy(), np.asarray(pipeline.predict_proba(X)).argmax(axis=1))


def evaluate(contract: Contract, pipeline: Pipeline, X_test: pd.DataFrame, y_test: pd.Series) -> Evaluation:
    """Evaluate a pipeline on rows that it was not fitted on."""
    return evaluate_probabilities(contract, y_test.to_numpy(), predict_in_parts(pipeline, X_test))


def evaluate_probabilities(contract: Contract, truth: np.ndarray, probabilities: np.ndarray) -> Evaluation:
    """Evaluate probabilities of shape (rows, classes) against the codes of the true classes, shape (rows,)."""
    labels = contract.target.classes
    codes = probabilities.argmax(axis=1)
    precision, recall, f1, support = _per_class(len(labels), truth, codes)
    indicator = np.eye(len(labels))[truth]
    per_class = tuple(
        ClassScores(label, float(precision[code]), float(recall[code]), float(f1[code]), int(support[code]))
        for code, label in enumerate(labels)
    )
    metrics = {
        "macro_f1": float(np.mean(f1)),
        "macro_precision": float(np.mean(precision)),
        "macro_recall": float(np.mean(recall)),
        "accuracy": float(accuracy_score(truth, codes)),
        "log_loss": float(log_loss(truth, probabilities, labels=range(len(labels)))),
        "brier_score": float(np.mean(np.sum((probabilities - indicator) ** 2, axis=1))),
        "calibration_error": calibration_error(reliability(truth, probabilities)),
    }
    for scores, name in zip(per_class, class_metric_names(labels), strict=True):
        metrics |= {f"precision_{name}": scores.precision, f"recall_{name}": scores.recall, f"f1_{name}": scores.f1}
    return Evaluation(metrics, per_class, confusion_matrix(truth, codes, labels=range(len(labels))), truth, probabilities)


def reliability(truth: np.ndarray, probabilities: np.ndarray, bins: int = CALIBRATION_BINS) -> tuple[ReliabilityBin, ...]:
    """Group predictions by the probability of the class they chose, in bins of equal width; empty bins are left out."""
    return reliability_bins(probabilities.max(axis=1), probabilities.argmax(axis=1) == truth, bins)


def reliability_bins(confidence: np.ndarray, right: np.ndarray, bins: int = CALIBRATION_BINS) -> tuple[ReliabilityBin, ...]:
    """Group probabilities, shape (rows,), of what is true in the rows `right`, in bins of equal width; empty bins are left out."""
    bin_of_row = np.minimum((confidence * bins).astype(int), bins - 1)
    reliabilities = []
    for bin_ in range(bins):
        rows = bin_of_row == bin_
        if rows.any():
            reliabilities.append(ReliabilityBin(float(confidence[rows].mean()), float(right[rows].mean()), int(rows.sum())))
    return tuple(reliabilities)


def calibration_error(bins: tuple[ReliabilityBin, ...]) -> float:
    """Mean distance between confidence and accuracy, weighted by rows (expected calibration error)."""
    counts = np.array([bin_.count for bin_ in bins])
    gaps = np.array([abs(bin_.accuracy - bin_.confidence) for bin_ in bins])
    return float(np.average(gaps, weights=counts))


def _per_class(
    classes: int, truth: np.ndarray, codes: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, codes, labels=range(classes), zero_division=0.0, sample_weight=weights
    )
    return precision, recall, f1, support
