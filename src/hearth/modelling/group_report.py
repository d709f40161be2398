"""How a version treats the groups of a contract's sensitive columns: figures of each group and class, and gaps of each pair. Pure.

All intervals are closed forms or draws of binomials: a report of two groups and three classes takes 10 ms, where a bootstrap of rows takes
seconds. A figure that fewer than 100 rows tell has the answer "cannot tell".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from hearth.contracts import Contract
from hearth.modelling.bounds import bins_interval, calibration_interval
from hearth.modelling.comparison import Interval, metric_interval, share
from hearth.modelling.evaluation import reliability_bins
from hearth.modelling.groups import FEWEST, Gap, base_rate_gaps, group_masks, precision_gaps, recall_gaps, selection_rate_gaps

MOST_GROUPS = 12  # of a column: pairs grow with the square, and many small groups tell nothing
Evidence = Literal["measured", "cannot tell"]
TABLE_COLUMNS = ("column", "group", "class", "measure", "figure", "low", "high", "rows", "answer")


@dataclass(frozen=True)
class GroupFigure:
    """A figure with its interval, and the number of rows that it is a share or a mean of."""

    interval: Interval
    rows: int
    answer: Evidence


@dataclass(frozen=True)
class ClassFigures:
    """How a class fares in a group.

    `base_rate` is the share of the group's rows that have the class, `selection_rate` that for which it is predicted. `recall` is of the
    rows that have it, `precision` of those it is predicted for. `calibration_error` is that of the class's own probability.
    """

    label: str
    base_rate: GroupFigure
    selection_rate: GroupFigure
    recall: GroupFigure
    precision: GroupFigure
    calibration_error: GroupFigure


@dataclass(frozen=True)
class GroupFigures:
    """A group: its rows, the contract's metric, the calibration error of the chosen classes, and each class."""

    column: str
    group: str
    rows: int
    metric: GroupFigure
    calibration_error: GroupFigure
    classes: tuple[ClassFigures, ...]


@dataclass(frozen=True)
class GroupGap:
    """The difference of a share between two groups, the larger first. Its interval holds for all pairs of the column at once."""

    column: str
    label: str
    measure: Literal["base_rate", "selection_rate", "recall", "precision"]
    groups: tuple[str, str]
    figure: GroupFigure


@dataclass(frozen=True)
class GroupReport:
    """All groups of a contract's sensitive columns. `left_out` counts, by column, the groups behind the twelve largest."""

    level: float
    fewest: int
    metric: str
    groups: tuple[GroupFigures, ...]
    gaps: tuple[GroupGap, ...]
    left_out: Mapping[str, int]

    def table(self) -> pd.DataFrame:
        """Return one row a figure, with `TABLE_COLUMNS`; a gap has both groups, the larger first."""
        return pd.DataFrame([*self._figures(), *self._gaps()], columns=list(TABLE_COLUMNS))

    def _figures(self) -> Iterator[tuple[object, ...]]:
        for group in self.groups:
            for measure, figure in ((self.metric, group.metric), ("calibration_error", group.calibration_error)):
                yield (group.column, group.group, "", measure, *_cells(figure))
            for class_ in group.classes:
                for measure in ("base_rate", "selection_rate", "recall", "precision", "calibration_error"):
                    yield (group.column, group.group, class_.label, measure, *_cells(getattr(class_, measure)))

    def _gaps(self) -> Iterator[tuple[object, ...]]:
        for gap in self.gaps:
            yield (gap.column, f"{gap.groups[0]} minus {gap.groups[1]}", gap.label, f"{gap.measure}_gap", *_cells(gap.figure))


def report_groups(contract: Contract, X: pd.DataFrame, truth: np.ndarray, probabilities: np.ndarray) -> GroupReport:
    """Report on the groups of the sensitive columns.

    Args:
        contract: Its `sensitive` names the columns, its gate the level of the intervals.
        X: Raw features of the rows.
        truth: Codes of their classes, shape (rows,).
        probabilities: Of the version, shape (rows, classes).
    """
    groups: list[GroupFigures] = []
    gaps: list[GroupGap] = []
    left_out = {}
    for column, masks in group_masks(contract, X).items():
        by_size = sorted(masks, key=lambda name, masks=masks: -int(masks[name].sum()))  # type: ignore[misc]
        kept = {name: masks[name] for name in masks if name in set(islice(by_size, MOST_GROUPS))}
        if len(masks) > len(kept):
            left_out[column] = len(masks) - len(kept)
        groups += [_group(contract, column, name, truth[rows], probabilities[rows]) for name, rows in kept.items()]
        gaps += _column_gaps(contract, column, kept, truth, probabilities.argmax(axis=1))
    return GroupReport(contract.gate.level, FEWEST, contract.metric, tuple(groups), tuple(gaps), left_out)


def _group(contract: Contract, column: str, name: str, truth: np.ndarray, probabilities: np.ndarray) -> GroupFigures:
    labels, level, rows = contract.target.classes, contract.gate.level, len(truth)
    codes = probabilities.argmax(axis=1)
    confusion = confusion_matrix(truth, codes, labels=range(len(labels)))
    return GroupFigures(
        column=column,
        group=name,
        rows=rows,
        metric=_figure(metric_interval(contract.metric, confusion, level=level), rows),
        calibration_error=_figure(calibration_interval(truth, probabilities, level), rows),
        classes=tuple(_class(label, truth == code, codes == code, probabilities[:, code], level) for code, label in enumerate(labels)),
    )


def _class(label: str, has: np.ndarray, chosen: np.ndarray, chance: np.ndarray, level: float) -> ClassFigures:
    rows, positives, selected, hits = len(has), int(has.sum()), int(chosen.sum()), int((has & chosen).sum())
    return ClassFigures(
        label=label,
        base_rate=_figure(share(positives, rows, level), rows),
        selection_rate=_figure(share(selected, rows, level), rows),
        recall=_figure(share(hits, positives, level), positives),
        precision=_figure(share(hits, selected, level), selected),
        calibration_error=_figure(bins_interval(reliability_bins(chance, has), level), rows),
    )


def _column_gaps(
    contract: Contract, column: str, groups: Mapping[str, np.ndarray], truth: np.ndarray, codes: np.ndarray
) -> Iterator[GroupGap]:
    level = contract.gate.level
    for code, label in enumerate(contract.target.classes):
        measured: tuple[tuple[Literal["base_rate", "selection_rate", "recall", "precision"], list[Gap]], ...] = (
            ("base_rate", base_rate_gaps(groups, truth, code, level)),
            ("selection_rate", selection_rate_gaps(groups, codes, code, level)),
            ("recall", recall_gaps(groups, truth, codes, code, level)),
            ("precision", precision_gaps(groups, truth, codes, code, level)),
        )
        for measure, gaps in measured:
            for gap in gaps:
                yield GroupGap(column, label, measure, gap.groups, _figure(gap.interval, gap.counted))


def _figure(interval: Interval, rows: int) -> GroupFigure:
    return GroupFigure(interval, rows, "measured" if rows >= FEWEST else "cannot tell")


def _cells(figure: GroupFigure) -> tuple[object, ...]:
    return figure.interval.figure, figure.interval.low, figure.interval.high, figure.rows, figure.answer
