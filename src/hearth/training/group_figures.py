"""The picture of how a version treats groups, as a PNG file."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hearth.modelling.group_report import GroupFigure, GroupFigures, GroupReport
from hearth.training.figures import COLOURS, GRID_COLOUR, legible, png

_MEASURES = (
    ("selection_rate", "selection rate"),
    ("recall", "recall"),
    ("precision", "precision"),
    ("calibration_error", "calibration error"),
)
_FAINT = "#b0b0b0"
_GAP = 0.6  # of a line, between classes
_ROW, _MARGIN, _WIDTH = 0.24, 1.9, 11.0  # inches
_MOST_LINES = 60  # of all columns: beyond, nobody reads them


def draw_groups(report: GroupReport, title: str) -> dict[str, bytes]:
    """Draw the groups of a report, PNG files by name; none without a group."""
    return {"groups.png": png(group_figure(report, title))} if report.groups else {}


def group_figure(report: GroupReport, title: str) -> Figure:
    """A line for each class and group with its interval in each of four measures; grey where too few rows tell nothing."""
    lines = [(group, class_) for class_ in range(len(report.groups[0].classes)) for group in report.groups][:_MOST_LINES]
    places = [at + _GAP * class_ for at, (_, class_) in enumerate(lines)]
    figure = Figure(figsize=(_WIDTH, _MARGIN + _ROW * len(lines)), layout="constrained")
    panels = figure.subplots(1, len(_MEASURES), sharey=True)
    colours = {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(dict.fromkeys(group.column for group in report.groups))}
    for (measure, heading), axes in zip(_MEASURES, panels, strict=True):
        for at, (group, class_) in zip(places, lines, strict=True):
            figures = group.classes[class_]
            _interval(axes, at, getattr(figures, measure), colours[group.column])
            if measure == "selection_rate":
                axes.plot(figures.base_rate.interval.figure, at, "|", color="black", markersize=10)
        axes.set_title(heading, fontsize=10)
        axes.grid(axis="x", color=GRID_COLOUR)
        axes.set_axisbelow(True)
    panels[0].set_yticks(places, _names(lines), fontsize=8)
    panels[0].invert_yaxis()
    figure.suptitle(f"Groups, with intervals of {report.level:.0%}: {title}", fontsize=11, fontweight="bold")
    figure.legend(handles=_legend(colours, report.fewest), loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _interval(axes: Axes, at: float, figure: GroupFigure, colour: str) -> None:
    tells, interval = figure.answer == "measured", figure.interval
    axes.plot([interval.low, interval.high], [at, at], color=colour if tells else _FAINT, linewidth=2)
    axes.plot(interval.figure, at, "o", color=colour if tells else _FAINT, markersize=5)


def _names(lines: Sequence[tuple[GroupFigures, int]]) -> list[str]:
    classes = legible([class_.label for class_ in lines[0][0].classes], "class")
    groups = list(dict.fromkeys((group.column, group.group) for group, _ in lines))
    texts = dict(zip(groups, legible([f"{column}: {name}" for column, name in groups], "group"), strict=True))
    return [f"{classes[class_]}, {texts[group.column, group.group]}" for group, class_ in lines]


def _legend(colours: dict[str, str], fewest: int) -> list[Line2D]:
    named = [
        Line2D([], [], color=colour, marker="o", label=f" {name}")  # a label that begins with an underscore would be left out
        for name, colour in zip(legible(list(colours), "column"), colours.values(), strict=True)
    ]
    return [
        *named,
        Line2D([], [], color="black", marker="|", linestyle="", markersize=10, label="base rate"),
        Line2D([], [], color=_FAINT, marker="o", label=f"fewer than {fewest} rows: cannot tell"),
    ]
