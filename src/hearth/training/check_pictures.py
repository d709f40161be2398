"""Pictures of the findings about a raw file, as PNG files by title. Values of personal columns are in none."""

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hearth.data.checks import CheckedRows, CheckReport, Finding
from hearth.training.figures import COLOURS, GRID_COLOUR, legible, png

_MOST_PICTURES, _MOST_COLUMNS, _TARGET_BINS, _FEWEST = 12, 8, 40, 5


def draw_findings(rows: CheckedRows, report: CheckReport) -> dict[str, bytes]:
    """Draw what can be drawn of the findings.

    Args:
        rows: What was checked.
        report: What was found.

    Returns:
        PNG files by title, the most severe findings first, at most a dozen.
    """
    drawn: dict[str, bytes] = {}
    for finding in report.findings:
        for title, figure in _figures(rows, finding):
            if len(drawn) < _MOST_PICTURES:
                drawn[title] = png(figure)
    return drawn


def _figures(rows: CheckedRows, finding: Finding) -> Iterator[tuple[str, Figure]]:
    if finding.check == "made_from_target" and rows.numeric_target is not None:
        yield f"Columns that jump with {rows.contract.target.column}", _curves(rows, rows.numeric_target, finding)
    elif finding.check in {"gives_away", "one_class_category"}:
        for name in set(finding.columns) - rows.contract.personal_columns:
            yield f"{name} by class", _by_class(rows, name)
    elif "accuracy_across" in finding.figures:
        yield f"What {finding.check.replace('_', ' ')} do to a score", _effect(finding)


def _curves(rows: CheckedRows, target: np.ndarray, finding: Finding) -> Figure:
    """The mean of each column, in standard deviations, over the target."""
    figure, axes = _figure(rows.contract.target.column, "mean (in standard deviations)")
    edges = np.linspace(target.min(), target.max(), _TARGET_BINS + 1)
    place = np.clip(np.searchsorted(edges, target, side="right") - 1, 0, _TARGET_BINS - 1)
    for name, colour in zip(finding.columns[:_MOST_COLUMNS], COLOURS, strict=False):
        values = rows.features[name]
        known = ~np.isnan(values)
        scaled = (values - values[known].mean()) / (values[known].std() or 1)
        counts = np.bincount(place[known], minlength=_TARGET_BINS)
        sums = np.bincount(place[known], weights=scaled[known], minlength=_TARGET_BINS)
        shown = counts >= _FEWEST
        axes.plot(
            (edges[:-1] + edges[1:])[shown] / 2, (sums[shown] / counts[shown]), marker=".", color=colour, label=legible([name], "column")[0]
        )
    for cut in rows.contract.target.cuts:
        axes.axvline(cut, color="#666666", linestyle="--", linewidth=1)
    figure.legend(loc="outside lower left", fontsize=8, ncols=2)
    return figure


def _by_class(rows: CheckedRows, name: str) -> Figure:
    """The shares of a column's values in each class: bars of a category, lines of a number's bins."""
    figure, axes = _figure(name, "share of the class")
    values, labels = rows.features[name], legible(list(rows.contract.target.classes), "class")
    categories = rows.contract.categorical_features.get(name)
    known = ~np.isnan(values)
    edges = np.arange(len(categories) + 1) - 0.5 if categories else np.histogram_bin_edges(values[known], 30)
    for code, label in enumerate(labels[: len(COLOURS)]):
        own = values[known & (rows.codes == code)]
        counts, _ = np.histogram(own, edges)
        axes.stairs(counts / max(len(own), 1), edges, color=COLOURS[code], label=label, fill=False, linewidth=2)
    if categories:
        axes.set_xticks(range(len(categories)), legible(list(categories), "category"), rotation=40, ha="right", fontsize=8)
    figure.legend(loc="outside lower left", fontsize=8, ncols=3)
    return figure


def _effect(finding: Finding) -> Figure:
    figure, axes = _figure("", "accuracy of a forest on test rows")
    figures = (finding.figures["accuracy_across"], finding.figures["accuracy_apart"])
    bars = axes.bar(["copies may be\nin the train set", "each row\nis there once"], figures, color=COLOURS[:2], width=0.55)
    axes.bar_label(bars, labels=[f"{value:.1%}" for value in figures], padding=3)
    axes.set_ylim(0, 1.1)
    return figure


def _figure(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=legible([x], "column")[0] if x else "", ylabel=y)
    axes.grid(color=GRID_COLOUR)
    axes.set_axisbelow(True)
    return figure, axes
