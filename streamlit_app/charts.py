"""Charts of predictions and explanations. Classes have the same colours in all of them."""

from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd

from streamlit_app.colours import class_scale
from streamlit_app.service import Json

_BAR, _THIN_BAR = 30, 24  # pixels
_AXIS, _LEGEND_ROW = 70, 50  # pixels of a chart's height
_ALL_LABELS = alt.Axis(labelOverlap=False, labelLimit=190)
# Not the first two of the theme, which are both blue. Blue and orange also differ for the colour-blind, and contrast with white and black.
SIGN_COLOURS = {"for": "#2a7fc9", "against": "#d9661f"}
LEGEND = alt.Legend(orient="bottom", title=None)


def probability_bars(probabilities: Mapping[str, float], title: str = "probability") -> alt.Chart:
    """Return a bar for each class, in the order of the classes, which is that of the contract."""
    frame = pd.DataFrame({"class": list(probabilities), "probability": list(probabilities.values())})
    bars: alt.Chart = (
        alt.Chart(frame, height=_BAR * len(frame) + _AXIS)
        .mark_bar()
        .encode(
            x=alt.X("probability:Q", title=title, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")),
            y=alt.Y("class:N", sort=None, title=None, axis=_ALL_LABELS),
            color=alt.Color("class:N", scale=class_scale(list(probabilities)), legend=None),
            tooltip=["class:N", alt.Tooltip("probability:Q", title=title, format=".1%")],
        )
    )
    return bars


def contribution_bars(contributions: Sequence[Json], unit: str) -> alt.Chart:
    """Return a bar for each column, to the right for the class and to the left against it."""
    frame = pd.DataFrame(
        {
            "column": [f"{part['column']}: {_text(part['value'])}" for part in contributions],
            "contribution": [part["contribution"] for part in contributions],
        }
    )
    frame["sign"] = ["for" if amount >= 0 else "against" for amount in frame["contribution"]]
    bars: alt.Chart = (
        alt.Chart(frame, height=_THIN_BAR * len(frame) + _AXIS + _LEGEND_ROW)
        .mark_bar()
        .encode(
            x=alt.X("contribution:Q", title=f"contribution ({unit})"),
            y=alt.Y("column:N", sort=None, title=None, axis=_ALL_LABELS),
            color=alt.Color("sign:N", scale=alt.Scale(domain=list(SIGN_COLOURS), range=list(SIGN_COLOURS.values())), legend=LEGEND),
            tooltip=["column:N", alt.Tooltip("contribution:Q", format="+.3f")],
        )
    )
    return bars


def label_counts(labels: "pd.Series[str]", classes: Sequence[str]) -> alt.Chart:
    """Return how often each class was predicted, in the order of the classes."""
    counts = labels.value_counts()
    frame = pd.DataFrame({"class": list(classes), "rows": [int(counts.get(name, 0)) for name in classes]})
    bars: alt.Chart = (
        alt.Chart(frame, height=_BAR * len(frame) + _AXIS)
        .mark_bar()
        .encode(
            x=alt.X("rows:Q", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("class:N", sort=None, title=None, axis=_ALL_LABELS),
            color=alt.Color("class:N", scale=class_scale(classes), legend=None),
            tooltip=["class:N", "rows:Q"],
        )
    )
    return bars


def _text(value: object) -> str:
    if value is None:
        return "missing"
    return f"{value:g}" if isinstance(value, float) else str(value)
