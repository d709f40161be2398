"""The bounds of a contract's gate, judged on test rows. Pure.

A bound is broken if the whole interval of its figure lies beyond the limit: a figure alone would be a coin toss. Where the figure lies
beyond and its interval does not, or a group is too small, nobody can tell, and that blocks nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from hearth.contracts import Contract
from hearth.modelling.comparison import Comparison, Interval, metric_interval
from hearth.modelling.evaluation import ReliabilityBin, calibration_error, reliability
from hearth.modelling.groups import FEWEST, Gap, group_masks, recall_gaps, selection_rate_gaps

_RESAMPLES, _SEED = 2_000, 20_261_130

Answer = Literal["met", "broken", "cannot tell"]


@dataclass(frozen=True)
class BoundResult:
    """A bound with its limit, the figure and its interval (None if nothing could be measured), the answer, and what it is about."""

    bound: str
    limit: float
    interval: Interval | None
    answer: Answer
    about: str = ""

    def __str__(self) -> str:
        where = f" ({self.about})" if self.about else ""
        figure = f"{self.interval}, limit {self.limit:g}" if self.interval else f"limit {self.limit:g}"
        return f"{self.bound} {self.answer}{where}: {figure}"


def judge_bounds(
    contract: Contract, X: pd.DataFrame, truth: np.ndarray, probabilities: np.ndarray, comparison: Comparison | None
) -> tuple[BoundResult, ...]:
    """Judge every bound of the contract that can be judged.

    Args:
        contract: Its `gate.bounds` and `sensitive` say what is judged.
        X: Raw features of the rows.
        truth: Codes of their classes, shape (rows,).
        probabilities: Of the version, shape (rows, classes).
        comparison: With the version that has the alias; None if there is none, and then bounds about it are left out.
    """
    return (*_alone(contract, truth, probabilities), *_against(contract, comparison), *_groups(contract, X, truth, probabilities))


def calibration_interval(truth: np.ndarray, probabilities: np.ndarray, level: float) -> Interval:
    """Return the expected calibration error of the chosen classes with its interval, see `bins_interval`."""
    return bins_interval(reliability(truth, probabilities), level)


def bins_interval(bins: tuple[ReliabilityBin, ...], level: float) -> Interval:
    """Return the calibration error of bins, with bounds that the true one of these bins lies between at the level.

    The figure and the true error differ by at most the mean distance of the measured from the true accuracies of the bins. Its
    distribution is drawn from binomials of the measured ones, so the interval is as wide as few rows make it; a bootstrap of the figure
    itself is not, because noise makes the error larger in every resample.
    """
    figure = calibration_error(bins)
    counts = np.array([bin_.count for bin_ in bins])
    right = np.array([bin_.accuracy for bin_ in bins]) * counts
    accuracy = (right + 0.5) / (counts + 1)  # a bin without a mistake is not known to have none
    drawn = np.random.default_rng(_SEED).binomial(counts, accuracy, size=(_RESAMPLES, len(bins)))
    noise = np.quantile(np.abs(drawn - accuracy * counts).sum(axis=1) / counts.sum(), level)
    return Interval(figure, max(0.0, float(figure - noise)), min(1.0, float(figure + noise)))


def _alone(contract: Contract, truth: np.ndarray, probabilities: np.ndarray) -> Iterator[BoundResult]:
    limit = contract.gate.bounds.calibration_error
    if limit is not None:
        yield _at_most("calibration_error", limit, calibration_interval(truth, probabilities, contract.gate.level))


def _against(contract: Contract, comparison: Comparison | None) -> Iterator[BoundResult]:
    bounds = contract.gate.bounds
    if comparison is None:
        return
    if bounds.log_loss_rise is not None:
        yield _at_most("log_loss_rise", bounds.log_loss_rise, comparison.log_loss)
    if bounds.changed_share is not None:
        yield _at_most("changed_share", bounds.changed_share, comparison.changed)


def _groups(contract: Contract, X: pd.DataFrame, truth: np.ndarray, probabilities: np.ndarray) -> Iterator[BoundResult]:
    bounds, level, labels = contract.gate.bounds, contract.gate.level, contract.target.classes
    if not bounds.compares_groups:
        return
    codes = probabilities.argmax(axis=1)
    for column in contract.sensitive:
        if column not in X:  # data that were processed before the column was kept for groups
            yield BoundResult("groups", 0, None, "cannot tell", f"{column}: the rows do not have the column, run the ETL again")
    for column, groups in group_masks(contract, X).items():
        for label, limit in bounds.recall_gap.items():
            gaps = recall_gaps(groups, truth, codes, labels.index(label), level)
            yield _gap(f"recall_gap.{label}", column, limit, gaps, f"rows of {label}")
        for label, limit in bounds.selection_rate_gap.items():
            gaps = selection_rate_gaps(groups, codes, labels.index(label), level)
            yield _gap(f"selection_rate_gap.{label}", column, limit, gaps, "rows")
        if bounds.group_metric is not None:
            confusions = {name: confusion_matrix(truth[rows], codes[rows], labels=range(len(labels))) for name, rows in groups.items()}
            yield _worst_group(contract, column, confusions, bounds.group_metric)


def _at_most(bound: str, limit: float, interval: Interval, about: str = "") -> BoundResult:
    answer: Answer = "met" if interval.figure <= limit else "broken" if interval.low > limit else "cannot tell"
    return BoundResult(bound, limit, interval, answer, about)


def _gap(bound: str, column: str, limit: float, gaps: list[Gap], counted: str) -> BoundResult:
    """Judge the pair of groups that is furthest beyond the limit, noise considered; pairs with too few rows tell nothing."""
    able = [gap for gap in gaps if gap.counted >= FEWEST]
    if not able:
        fewest = f"{min(gap.counted for gap in gaps)} {counted} in the smaller group" if gaps else "all rows are of one group"
        return BoundResult(bound, limit, None, "cannot tell", f"{column}: {fewest}, {FEWEST} are needed")
    worst = max(able, key=lambda gap: (gap.interval.low > limit, gap.interval.figure))
    return _at_most(bound, limit, worst.interval, f"{column}: {worst.groups[0]} against {worst.groups[1]}")


def _worst_group(contract: Contract, column: str, confusions: Mapping[str, np.ndarray], limit: float) -> BoundResult:
    intervals = {
        name: metric_interval(contract.metric, confusion, level=contract.gate.level)
        for name, confusion in confusions.items()
        if confusion.sum() >= FEWEST
    }
    if not intervals:
        return BoundResult("group_metric", limit, None, "cannot tell", f"{column}: no group has {FEWEST} rows")
    name = min(intervals, key=lambda group: (intervals[group].high >= limit, intervals[group].figure))
    worst = intervals[name]
    answer: Answer = "met" if worst.figure >= limit else "broken" if worst.high < limit else "cannot tell"
    return BoundResult("group_metric", limit, worst, answer, f"{column}: {name}, {contract.metric}")
