"""Pictures of what a model's answers depend on, as PNG files."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from hearth.modelling.influence import Importance
from hearth.training.figures import COLOURS, GRID_COLOUR, head, legible, png

_MOST_FEATURES = 20


def draw_influence(
    importances: Mapping[str, Importance], contributions: Mapping[str, np.ndarray], metric: str, classes: Sequence[str], title: str
) -> dict[str, bytes]:
    """Draw the importances of features, and the mean size of their contributions to each class; PNG files by name."""
    return {
        "importances.png": png(importance_figure(importances, metric, title)),
        "contributions.png": png(contribution_figure(contributions, classes, title)),
    }


def importance_figure(importances: Mapping[str, Importance], metric: str, title: str) -> Figure:
    """A bar for each feature, the largest on top, with the standard deviation of its repeats."""
    names = list(importances)[:_MOST_FEATURES]
    figure = _figure(len(names))
    axes = figure.subplots()
    means, spreads = [importances[name].mean for name in names], [importances[name].spread for name in names]
    axes.barh(legible(names, "column"), means, xerr=spreads, color=COLOURS[0])
    axes.set_xlabel(f"drop of {metric} when the values of the column change places")
    _finish(figure, _heading("Importance of features", importances), title)
    return figure


def contribution_figure(contributions: Mapping[str, np.ndarray], classes: Sequence[str], title: str) -> Figure:
    """A bar for each feature, the largest on top, with a part for each class."""
    names = list(contributions)[:_MOST_FEATURES]
    figure = _figure(len(names))
    axes = figure.subplots()
    left = np.zeros(len(names))
    for code, label in enumerate(legible(classes, "class")):
        sizes = np.array([contributions[name][code] for name in names])
        # A label that begins with an underscore would be left out of the legend.
        axes.barh(legible(names, "column"), sizes, left=left, color=COLOURS[code % len(COLOURS)], label=f" {label}")
        left += sizes
    axes.set_xlabel("mean size of the contribution to the probability of each class (Shapley values)")
    axes.legend(title="class", loc="lower right", framealpha=1)
    _finish(figure, _heading("Contributions of features", contributions), title)
    return figure


def _figure(bars: int) -> Figure:
    return Figure(figsize=(7.2, 1.6 + 0.28 * max(bars, 6)), layout="constrained")


def _finish(figure: Figure, heading: str, title: str) -> None:
    (axes,) = figure.axes
    axes.invert_yaxis()
    axes.grid(axis="x", color=GRID_COLOUR)
    axes.set_axisbelow(True)
    head(figure, heading, title)


def _heading(text: str, features: Mapping[str, object]) -> str:
    return text if len(features) <= _MOST_FEATURES else f"{text}: the {_MOST_FEATURES} largest of {len(features)}"
