"""Pictures of a check for drift, as PNG files."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from hearth.monitoring.check import ColumnLevel, DriftCheck, Level
from hearth.training.figures import COLOURS, GRID_COLOUR, head, legible, png

_MOST_PICTURES = 8
_MOST_BINS = 25
_LEVEL_COLOURS = {Level.OK: "#009e73", Level.WARN: "#e69f00", Level.DRIFT: "#d55e00", Level.ACT: "#8c1b1b"}


def draw_check(check: DriftCheck, history: Sequence[DriftCheck]) -> dict[str, bytes]:
    """Draw the columns that moved, at most 8, or without any the most different one, and the history of the statistics.

    `history` holds earlier checks of the same version, oldest first.
    """
    title = f"{check.dataset}, version {check.version}, {check.checked_at:%Y-%m-%d %H:%M} UTC"
    shown = check.alarming[:_MOST_PICTURES] or check.columns[:1]
    pictures = {column.name: png(distributions(column, title)) for column in shown if column.difference.bins}
    if history:
        pictures["history"] = png(psi_history([*history, check], title))
    return pictures


def distributions(column: ColumnLevel, title: str) -> Figure:
    """Shares of the bins, in the reference and now; those that changed most if there are many."""
    difference = column.difference
    before, now, names = np.array(difference.before), np.array(difference.now), np.array(difference.bins, dtype=object)
    if len(names) > _MOST_BINS:
        kept = np.sort(np.argsort(-np.abs(now - before))[:_MOST_BINS])
        before, now, names = before[kept], now[kept], names[kept]
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(names))
    axes.bar(places - 0.2, before, 0.4, color=COLOURS[0], label="reference")
    axes.bar(places + 0.2, now, 0.4, color=COLOURS[1], label="now")
    axes.set_xticks(places, legible(list(names), "bin"), rotation=40, ha="right", rotation_mode="anchor")
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.grid(axis="y", color=GRID_COLOUR)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    [name] = legible([difference.name], "column")
    head(figure, f"{name}: {column.level}, PSI {difference.psi:.3f}", title)
    return figure


def psi_history(checks: Sequence[DriftCheck], title: str) -> Figure:
    """Return the index of the most different columns over the checks, and the level of each check."""
    figure = Figure(figsize=(8.4, 4.8), layout="constrained")
    axes = figure.subplots()
    names = [column.name for column in checks[-1].columns[: len(COLOURS)]]
    series = [{column.name: column.difference.psi for column in check.columns} for check in checks]
    for name, label, colour in zip(names, legible(names, "column"), COLOURS, strict=False):
        axes.plot(range(len(checks)), [values.get(name, np.nan) for values in series], color=colour, label=label, marker=".")
    for place, check in enumerate(checks):
        if check.level in _LEVEL_COLOURS:
            axes.axvspan(place - 0.5, place + 0.5, ymax=0.03, color=_LEVEL_COLOURS[check.level])
    labels = [f"{check.checked_at:%m-%d %H:%M}" for check in checks]
    step = max(1, len(checks) // 8)
    axes.set_xticks(range(0, len(checks), step), labels[::step], rotation=30, ha="right", rotation_mode="anchor")
    axes.set_ylabel("PSI beyond chance")
    axes.grid(axis="y", color=GRID_COLOUR)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize="small")
    head(figure, "Most different columns over time; the foot shows the level", title)
    return figure
