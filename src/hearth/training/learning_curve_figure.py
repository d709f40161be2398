"""The picture of a learning curve."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from hearth.training.figures import COLOURS, GRID_COLOUR, head, png
from hearth.training.learning_curve import CurvePoint, LearningCurve

PICTURE = "learning_curve.png"


def curve_picture(curve: LearningCurve, metric_name: str, title: str) -> bytes:
    """Draw a curve as a PNG file; `title` names the model."""
    figure = Figure(figsize=(6.2, 4.2), layout="constrained")
    axes = figure.subplots()
    rows, values = [point.rows for point in curve.points], [point.metric for point in curve.points]
    axes.plot(rows, values, marker="o", color=COLOURS[0])
    for x, value in zip(rows, values, strict=True):
        axes.annotate(f"{value:.3f}", (x, value), textcoords="offset points", xytext=(0, 7), ha="center", fontsize=8)
    axes.set_xscale("log")
    axes.set_xticks(rows, [f"{x:,}" for x in rows], rotation=30, ha="right")
    axes.minorticks_off()
    axes.margins(x=0.08, y=0.15)
    axes.set(xlabel="train rows, with the default parameters", ylabel=metric_name)
    axes.grid(color=GRID_COLOUR)
    head(figure, _heading(curve.points, metric_name), f"{title}, {curve.held_out:,} train rows held out")
    return png(figure)


def _heading(points: Sequence[CurvePoint], metric_name: str) -> str:
    if len(points) == 1:
        return f"{metric_name} by train rows"
    before, last = points[-2:]
    return f"{metric_name} {last.metric - before.metric:+.4f} from {before.rows:,} to {last.rows:,} rows"
