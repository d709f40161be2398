"""Pictures of how a version comes to its answers, and of where it fails, as PNG files."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from hearth.contracts import CategoryColumn, Column, Contract
from hearth.modelling.influence import ExplainedSample
from hearth.modelling.partial_dependence import Dependence
from hearth.modelling.slices import SliceReport
from hearth.training.figures import COLOURS, GRID_COLOUR, head, legible, png

_MOST_FEATURES, _MOST_CLASSES = 12, 3
_MOST_LINES = 8
_MOST_UPRIGHT = 40  # letters of all labels that have room side by side
_LONGEST_CONDITION = 56
_LOW_TO_HIGH, _MISSING = "coolwarm", "#999999"
_JITTER = 0.32  # of the distance between two rows


def draw_explanations(
    contract: Contract, explained: ExplainedSample, dependences: Sequence[Dependence], slices: SliceReport, title: str
) -> dict[str, bytes]:
    """Draw the contributions of single records, the partial dependences, and the slices if there are any; PNG files by name."""
    pictures = {"shap_summary.png": png(summary_figure(contract, explained, title))}
    if dependences:
        pictures["partial_dependence.png"] = png(dependence_figure(contract, dependences, title))
    if slices.slices:
        pictures["slices.png"] = png(slice_figure(slices, title))
    return pictures


def summary_figure(contract: Contract, explained: ExplainedSample, title: str) -> Figure:
    """A dot for each record and feature, by what the feature adds to the probability of a class, coloured by its value."""
    features = [list(explained.records.columns).index(name) for name in explained.mean_sizes()][:_MOST_FEATURES]
    names = [str(explained.records.columns[at]) for at in features]
    weights = np.abs(explained.contributions).sum(axis=(0, 1))
    classes = sorted(np.argsort(-weights, kind="stable")[:_MOST_CLASSES].tolist())
    labels = legible(contract.target.classes, "class")
    figure = Figure(figsize=(3.4 + 2.6 * len(classes), 1.9 + 0.3 * max(len(names), 6)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(classes), sharey=True))
    random = np.random.default_rng(0)  # only spreads dots
    for code, axes in zip(classes, panels, strict=True):
        for row, at in enumerate(features):
            _swarm(axes, row, explained.contributions[:, at, code], _ranks(contract, explained.records.iloc[:, at]), random)
        axes.axvline(0, color="#555555", linewidth=0.8)
        axes.set_title(f"to {labels[code]}", fontsize=10)
        axes.grid(axis="x", color=GRID_COLOUR)
        axes.set_axisbelow(True)
    panels[0].set_yticks(range(len(names)), legible(names, "column"))
    panels[0].invert_yaxis()
    bar = figure.colorbar(ScalarMappable(cmap=_LOW_TO_HIGH), ax=list(panels), label="value of the feature", shrink=0.7)
    bar.set_ticks([0, 1], labels=["low", "high"])
    figure.supxlabel(f"contribution to the probability of the class\n{title}", fontsize=9)
    shown = f"{len(explained.records)} test rows" + ("" if len(classes) == len(labels) else f", {len(classes)} of {len(labels)} classes")
    figure.suptitle(f"Contributions of features (Shapley values), {shown}", fontsize=12, fontweight="bold")
    return figure


def dependence_figure(contract: Contract, dependences: Sequence[Dependence], title: str) -> Figure:
    """A panel for each column: the mean probability of each class while only this column changes."""
    rows = -(-len(dependences) // 2)
    figure = Figure(figsize=(8.6, 1.2 + 2.7 * rows), layout="constrained")
    panels = np.atleast_2d(figure.subplots(rows, 2, sharey=True, squeeze=False)).ravel()
    labels, names = legible(contract.target.classes, "class"), legible([dependence.column for dependence in dependences], "column")
    for dependence, name, axes in zip(dependences, names, panels, strict=False):
        _curves(axes, contract.columns[dependence.column], dependence, labels)
        axes.set_xlabel(name)
        axes.set_ylim(0, 1.02)
        axes.grid(color=GRID_COLOUR)
    for axes in panels[len(dependences) :]:
        axes.set_visible(False)
    handles, texts = panels[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=4, fontsize=9, title="mean probability of the class")
    figure.suptitle("Partial dependence on the features that matter most", fontsize=12, fontweight="bold")
    panels[0].set_title(title, fontsize=9, color="#555555", loc="left")
    return figure


def slice_figure(report: SliceReport, title: str) -> Figure:
    """A bar for each slice, the worst on top, with its interval; a line is the share of errors of all rows."""
    figure = Figure(figsize=(8.6, 1.8 + 0.6 * len(report.slices)), layout="constrained")
    axes = figure.subplots()
    shares = [found.error.figure for found in report.slices]
    below = [found.error.figure - found.error.low for found in report.slices]
    above = [found.error.high - found.error.figure for found in report.slices]
    axes.barh(range(len(shares)), shares, xerr=[below, above], color=COLOURS[5], height=0.6)
    axes.axvline(report.errors / report.rows, color="black", linestyle="--", label="all test rows")
    texts = ["\nand ".join(legible(found.conditions, f"condition {at + 1}.", _LONGEST_CONDITION)) for at, found in enumerate(report.slices)]
    axes.set_yticks(
        range(len(shares)), [f"{text}\n({found.rows:,} rows)" for text, found in zip(texts, report.slices, strict=True)], fontsize=8
    )
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.grid(axis="x", color=GRID_COLOUR)
    axes.set_axisbelow(True)
    axes.set_xlabel("share of rows that are wrong, with the interval of all slices that were tested")
    axes.legend(loc="lower right")
    head(figure, "Where it fails most", title)
    return figure


def _swarm(axes: Axes, row: int, values: np.ndarray, ranks: np.ndarray, random: np.random.Generator) -> None:
    height = row + random.uniform(-_JITTER, _JITTER, size=len(values))
    known = ~np.isnan(ranks)
    axes.scatter(values[~known], height[~known], s=9, color=_MISSING)
    axes.scatter(values[known], height[known], s=9, c=ranks[known], cmap=_LOW_TO_HIGH, vmin=0, vmax=1)


def _ranks(contract: Contract, column: pd.Series) -> np.ndarray:
    """Return where the values of a column lie between the lowest, 0, and the highest, 1; a missing one is NaN."""
    described = contract.columns[str(column.name)]
    if isinstance(described, CategoryColumn):
        positions = column.map({text: float(at) for at, text in enumerate(described.texts)}).to_numpy(dtype=np.float64)
        return np.asarray(positions / (len(described.texts) - 1))
    ranks = column.rank(method="average")
    return np.asarray((ranks - 1) / max(1.0, float(ranks.max()) - 1)) if ranks.notna().any() else np.full(len(column), np.nan)


def _curves(axes: Axes, column: Column, dependence: Dependence, labels: Sequence[str]) -> None:
    is_category = isinstance(column, CategoryColumn)
    places = np.arange(len(dependence.places)) if is_category else np.array(dependence.places, dtype=np.float64)
    for code, label in list(enumerate(labels))[:_MOST_LINES]:
        line, size = ("", 7) if is_category else ("-", 3)
        axes.plot(
            places, dependence.mean[:, code], line, marker="o", markersize=size, color=COLOURS[code % len(COLOURS)], label=f" {label}"
        )
    if isinstance(column, CategoryColumn):
        meanings = dict(zip(column.texts, column.meanings or column.texts, strict=True))
        texts = legible([meanings[str(value)] for value in dependence.places], "value")
        crowded = sum(map(len, texts)) > _MOST_UPRIGHT
        axes.set_xticks(places, texts, rotation=20 if crowded else 0, ha="right" if crowded else "center", fontsize=8)
        axes.margins(x=0.15)
