"""Charts over time: how many predictions of each class, their shares, and how long messages take."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from streamlit_app.charts import LEGEND
from streamlit_app.colours import class_scale

_SPANS = 30
_HEIGHT = 300  # pixels
_TIME_AXIS = alt.Axis(format="%H:%M:%S", labelOverlap=True)
_QUANTILES = {"p50": 0.5, "p95": 0.95}
_DASHES = alt.Scale(domain=list(_QUANTILES), range=[[1, 0], [4, 3]])
_LINE_COLOUR = "#808080"  # no class has it


def spans(times: "pd.Series[pd.Timestamp]") -> tuple["pd.Series[pd.Timestamp]", pd.Timedelta]:
    """Return the start of the span that each time lies in, and the length of the spans: at most 30 of equal length, a second or more."""
    first = times.min()
    span = max((times.max() - first) / _SPANS, pd.Timedelta(seconds=1)).ceil("s")
    return first + ((times - first) // span) * span, span


def class_counts(times: "pd.Series[pd.Timestamp]", labels: "pd.Series[str]") -> pd.DataFrame:
    """Return how often each class was predicted in each span: start, end, class, predictions, share."""
    start, span = spans(times)
    frame = pd.DataFrame({"start": start, "class": labels}).groupby(["start", "class"]).size().reset_index(name="predictions")
    frame["end"] = frame["start"] + span
    frame["share"] = frame["predictions"] / frame.groupby("start")["predictions"].transform("sum")
    return frame


def classes_over_time(counts: pd.DataFrame, classes: Sequence[str], *, share: bool) -> alt.Chart:
    """Return stacked bars of the predictions of each span, or of their shares; `classes` is their order."""
    others = sorted(set(counts["class"]) - set(classes))  # classes of an older contract come last
    order = [*classes, *others]
    frame = counts.assign(place=counts["class"].map(order.index)).sort_values(["start", "place"])
    amount = frame["share" if share else "predictions"]
    frame["top"] = amount.groupby(frame["start"]).cumsum()
    frame["bottom"] = frame["top"] - amount
    y = (
        alt.Y("bottom:Q", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]), title="share of the predictions")
        if share
        else alt.Y("bottom:Q", axis=alt.Axis(tickMinStep=1), title="predictions")
    )
    areas: alt.Chart = (
        alt.Chart(frame, height=_HEIGHT)
        .mark_rect()
        .encode(
            x=alt.X("start:T", title=None, axis=_TIME_AXIS),
            x2="end:T",
            y=y,
            y2="top:Q",
            color=alt.Color("class:N", scale=class_scale(classes, others), legend=LEGEND),
            tooltip=["class:N", "predictions:Q", alt.Tooltip("share:Q", format=".1%"), alt.Tooltip("start:T", format="%H:%M:%S")],
        )
    )
    return areas


def latencies(enqueued: "pd.Series[pd.Timestamp]", scored: "pd.Series[pd.Timestamp]") -> pd.DataFrame:
    """Return the median and the 95th percentile, in milliseconds, of how long messages took in each span: start, quantile, milliseconds.

    Predictions without a time at which they were queued did not come over the stream, and are left out.
    """
    waited = enqueued.notna()
    if not waited.any():
        return pd.DataFrame({"start": [], "quantile": [], "milliseconds": []})
    start, _ = spans(scored[waited])
    taken = (scored[waited] - enqueued[waited]).dt.total_seconds() * 1_000
    by_span = taken.clip(lower=0).groupby(start)
    parts = [
        by_span.quantile(share).rename("milliseconds").rename_axis("start").reset_index().assign(quantile=name)
        for name, share in _QUANTILES.items()
    ]
    return pd.concat(parts, ignore_index=True)


def latency_over_time(frame: pd.DataFrame) -> alt.Chart:
    """Return a line for the median and one for the 95th percentile."""
    lines: alt.Chart = (
        alt.Chart(frame, height=_HEIGHT)
        .mark_line(color=_LINE_COLOUR, point=alt.OverlayMarkDef(color=_LINE_COLOUR))
        .encode(
            x=alt.X("start:T", title=None, axis=_TIME_AXIS),
            y=alt.Y("milliseconds:Q", scale=alt.Scale(type="symlog"), axis=alt.Axis(tickCount=5)),
            strokeDash=alt.StrokeDash("quantile:N", scale=_DASHES, legend=alt.Legend(orient="bottom", title=None, symbolType="stroke")),
            tooltip=["quantile:N", alt.Tooltip("milliseconds:Q", format=".1f"), alt.Tooltip("start:T", format="%H:%M:%S")],
        )
    )
    return lines
