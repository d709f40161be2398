"""The colours of classes: the same in every chart, in light and dark. Pure."""

from collections.abc import Sequence

import altair as alt

# Each contrasts with a white page and a dark one by at least 3, and any two of them differ for all eyes (tests/unit/test_page_charts.py).
# The first are the farthest apart, since most data sets have few classes.
CLASS_COLOURS = ("#2a7fc9", "#d9661f", "#8822ff", "#889966", "#996677", "#cc1133", "#f02ae0", "#666699")
OTHER_COLOUR = "#808080"
"""Of a class that the contract does not have any more."""


def class_scale(classes: Sequence[str], others: Sequence[str] = ()) -> alt.Scale:
    """Return the colours of the contract's classes, by their position; `others` come behind them in grey."""
    colours = [CLASS_COLOURS[place % len(CLASS_COLOURS)] for place in range(len(classes))]
    return alt.Scale(domain=[*classes, *others], range=[*colours, *(OTHER_COLOUR for _ in others)])
