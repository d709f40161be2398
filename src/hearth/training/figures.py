"""Pictures of an evaluation, as PNG files. Figures are made as objects: no global plotting state, no display."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from sklearn.metrics import average_precision_score, precision_recall_curve

from hearth.modelling.evaluation import Evaluation, calibration_error, reliability

_DOTS_PER_INCH = 130
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#666666")  # distinct for colour-blind eyes too
GRID_COLOUR = "#dddddd"
_LINES = ("-", "--", ":", "-.")  # of the second eight classes, and so on
_SIDE, _CELL, _MARGIN = 6.2, 0.72, 2.4  # inches
_LEGEND_ROW = 0.22  # inches
_LONGEST_LABEL = 28
_MOST_UPRIGHT = 24  # letters of all labels that have room side by side
_MOST_COUNTED = 25  # classes up to which a cell says its count; beyond, its colour alone is legible


def draw(evaluation: Evaluation, title: str) -> dict[str, bytes]:
    """Draw all pictures.

    Returns:
        PNG files by name. `title` names the model and stands under each picture's own title.
    """
    return {
        "confusion_matrix.png": png(confusion_matrix(evaluation, title)),
        "precision_recall.png": png(precision_recall(evaluation, title)),
        "reliability.png": png(reliability_diagram(evaluation, title)),
    }


def confusion_matrix(evaluation: Evaluation, title: str) -> Figure:
    """Counts in each cell, coloured by the share of the true class. The figure grows with the number of classes."""
    counts = evaluation.confusion
    labels = class_labels(evaluation)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    side = max(_SIDE, _CELL * min(len(labels), _MOST_COUNTED) + _MARGIN)
    figure = Figure(figsize=(side, side - 1), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares if len(labels) <= _MOST_COUNTED else np.empty((0, 0))):
        colour = "white" if share > 0.5 else "black"  # noqa: PLR2004 - the middle of the colour scale
        axes.text(column, row, f"{counts[row, column]:,}\n{share:.1%}", ha="center", va="center", color=colour)
    if sum(map(len, labels)) <= _MOST_UPRIGHT:
        axes.set_xticks(range(len(labels)), labels)
    else:
        axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right", rotation_mode="anchor")
    lines = "\n" if len(labels) <= _MOST_COUNTED else " "
    axes.set_yticks(range(len(labels)), [f"{label}{lines}({int(total):,} rows)" for label, total in zip(labels, totals[:, 0], strict=True)])
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.85)
    head(figure, f"Confusion matrix: {counts.trace():,} of {counts.sum():,} rows right", title)
    return figure


def precision_recall(evaluation: Evaluation, title: str) -> Figure:
    """One curve for each class against the rest; a dot marks where the model works, which is the most probable class."""
    figure = Figure(figsize=(_SIDE, 4.8 + _LEGEND_ROW * (len(evaluation.per_class) + 1)), layout="constrained")
    axes = figure.subplots()
    for code, (scores, name) in enumerate(zip(evaluation.per_class, class_labels(evaluation), strict=True)):
        if scores.support == 0:
            continue  # without a true row there is no recall
        colour, line = COLOURS[code % len(COLOURS)], _LINES[code // len(COLOURS) % len(_LINES)]
        truth, probability = evaluation.truth == code, evaluation.probabilities[:, code]
        precision, recall, _ = precision_recall_curve(truth, probability)
        label = f"average precision {average_precision_score(truth, probability):.3f}, {scores.support:,} rows: {name}"
        axes.step(recall, precision, where="post", color=colour, linestyle=line, label=label)
        axes.plot(scores.recall, scores.precision, "o", color=colour, markeredgecolor="white", markersize=9)
    axes.set(xlim=(0, 1.01), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.grid(color=GRID_COLOUR)
    axes.plot([], [], "o", color="#666666", markeredgecolor="white", markersize=9, label="the class with the highest probability")
    figure.legend(loc="outside lower left", fontsize=9)  # below the axes: inside it would hide curves
    head(figure, "Precision and recall by class", title)
    return figure


def reliability_diagram(evaluation: Evaluation, title: str) -> Figure:
    """The share of right predictions by confidence; below, the number of rows by confidence."""
    bins = reliability(evaluation.truth, evaluation.probabilities)
    confidence, accuracy, counts = ([getattr(bin_, field) for bin_ in bins] for field in ("confidence", "accuracy", "count"))
    figure = Figure(figsize=(_SIDE, 6.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    above.plot([0, 1], [0, 1], linestyle="--", color="#666666", label="as often right as it says")
    label = f"this model, expected calibration error {calibration_error(bins):.3f}"
    above.plot(confidence, accuracy, marker="o", color=COLOURS[0], label=label)
    above.set(ylim=(0, 1.02), ylabel="share of predictions that are right")
    above.grid(color=GRID_COLOUR)
    figure.legend(loc="outside lower left", fontsize=9)
    bars = below.bar(confidence, counts, width=0.06, color=COLOURS[0])
    below.bar_label(bars, labels=[f"{count:,}" for count in counts], fontsize=8, padding=2)
    below.margins(y=0.25)
    below.yaxis.set_major_formatter("{x:,.0f}")
    below.set(xlim=(0, 1.02), xlabel="probability of the predicted class (mean of the bin)", ylabel="rows")
    below.grid(axis="y", color=GRID_COLOUR)
    below.set_axisbelow(True)
    head(figure, "Reliability", title)
    return figure


def class_labels(evaluation: Evaluation) -> Sequence[str]:
    """Return the classes as figures show them."""
    return legible([scores.label for scores in evaluation.per_class], "class")


def legible(names: Sequence[str], what: str, longest: int = _LONGEST_LABEL) -> list[str]:
    """Return names as figures show them: short, different, and without TeX.

    Where the font cannot write a name, or two names differ only in what is left out, it is `class 2` for the second class.
    """
    short = [_shortened(name, longest) for name in names]
    counts = Counter(short)
    can_be_read = [counts[name] == 1 and all(ord(letter) in _letters() for letter in name) for name in short]
    # Between two dollars matplotlib expects a formula.
    return [name.replace("$", r"\$") if can_be_read[place] else f"{what} {place + 1}" for place, name in enumerate(short)]


def _shortened(name: str, longest: int) -> str:
    end = longest // 2
    return name if len(name) <= longest else f"{name[: end - 1]}…{name[-end:]}"


@cache
def _letters() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def head(figure: Figure, title: str, subtitle: str) -> None:
    """Write the title of a figure, and the name of the model below it."""
    axes = figure.axes[0]
    axes.set_title(subtitle, fontsize=9, color="#555555")
    figure.suptitle(title, fontsize=12, fontweight="bold")


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH)  # a Figure without pyplot draws with Agg
    return buffer.getvalue()
