"""Charts of the view Quality: the metric by day, the evidence over time, and the confusion matrix."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from streamlit_app.charts import LEGEND
from streamlit_app.service import Json

# Distinct for all eyes, and in contrast with white and black
SUBJECT_COLOURS = {"champion": "#2a7fc9", "challenger": "#d9661f", "canary": "#8822ff"}
_ALARM_COLOUR = "#e0393e"
_HEIGHT = 280  # pixels
_LEAST_EVIDENCE, _MOST_EVIDENCE = 1e-3, 1e6
_CELL, _AXES = 56, 90


def days_frame(versions: Sequence[Json]) -> pd.DataFrame:
    """Return the days of each version that is tested: day, version, subject, value, low, high, labels; days of few labels are left out."""
    rows = [
        {
            "day": pd.Timestamp(day["name"], tz="UTC"),
            "version": version["version"],
            "subject": version["subject"],
            "value": figure["figure"],
            "low": figure["low"],
            "high": figure["high"],
            "labels": day["measured"]["rows"],
        }
        for version in versions
        if version["subject"] in SUBJECT_COLOURS
        for day in version["days"]
        if (figure := day["measured"]["metric"])
    ]
    return pd.DataFrame(rows, columns=["day", "version", "subject", "value", "low", "high", "labels"])


def by_day(frame: pd.DataFrame, metric: str) -> alt.LayerChart:
    """Return a point with its interval for each day and version."""
    subjects = [subject for subject in SUBJECT_COLOURS if subject in set(frame["subject"])]
    colour = alt.Color(
        "subject:N", scale=alt.Scale(domain=subjects, range=[SUBJECT_COLOURS[subject] for subject in subjects]), legend=LEGEND
    )
    apart = alt.XOffset("subject:N", sort=subjects)
    base = alt.Chart(frame.assign(day=frame["day"].dt.strftime("%m-%d")), height=_HEIGHT).encode(
        x=alt.X("day:O", title=None, axis=alt.Axis(labelAngle=-40, labelOverlap=True)), xOffset=apart, color=colour
    )
    tooltip = [
        "day:O",
        "subject:N",
        "version:N",
        alt.Tooltip("value:Q", title=metric, format=".3f"),
        alt.Tooltip("low:Q", format=".3f"),
        alt.Tooltip("high:Q", format=".3f"),
        alt.Tooltip("labels:Q", format=","),
    ]
    value = alt.Y("low:Q", scale=alt.Scale(zero=False), title=metric)
    intervals = base.mark_rule(strokeWidth=2).encode(y=value, y2="high:Q", tooltip=tooltip)
    points = base.mark_point(size=70, filled=True).encode(y="value:Q", tooltip=tooltip)
    layers: alt.LayerChart = alt.LayerChart(layer=[intervals, points])
    return layers


def evidence_frame(checks: Sequence[Json]) -> pd.DataFrame:
    """Return the evidence of checks within what the chart shows: at, evidence, shown, threshold, version, level."""
    rows = [
        {
            "at": pd.Timestamp(check["checked_at"]),
            "evidence": check["evidence"],
            "shown": min(max(check["evidence"], _LEAST_EVIDENCE), _MOST_EVIDENCE),
            "threshold": check["threshold"],
            "version": check["version"],
            "level": check["level"],
        }
        for check in checks
        if check["evidence"] is not None
    ]
    return pd.DataFrame(rows, columns=["at", "evidence", "shown", "threshold", "version", "level"])


def evidence_over_time(frame: pd.DataFrame) -> alt.LayerChart:
    """Return a line for each champion, and one for the threshold."""
    base = alt.Chart(frame, height=_HEIGHT).encode(x=alt.X("at:T", title=None, axis=alt.Axis(format="%m-%d %H:%M", labelOverlap=True)))
    scale = alt.Scale(type="log", domain=[_LEAST_EVIDENCE, _MOST_EVIDENCE])
    axis = alt.Axis(values=[1e-3, 1, 50, 1e3, 1e6], format="~g")
    lines = base.mark_line(point=True, color=SUBJECT_COLOURS["champion"]).encode(
        y=alt.Y("shown:Q", scale=scale, axis=axis, title="evidence of a fall"),
        detail="version:N",
        tooltip=[alt.Tooltip("at:T", format="%m-%d %H:%M"), "version:N", "level:N", alt.Tooltip("evidence:Q", format=".3g")],
    )
    threshold = base.mark_line(color=_ALARM_COLOUR, strokeDash=[6, 4]).encode(
        y=alt.Y("threshold:Q", scale=scale), tooltip=[alt.Tooltip("threshold:Q", title="an alarm from")]
    )
    layers: alt.LayerChart = alt.LayerChart(layer=[threshold, lines])
    return layers


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> alt.LayerChart:
    """Return the answers by true class (down) and predicted class (across), each row in shares of its true class."""
    rows = [
        {"true": true, "predicted": predicted, "answers": count, "share": count / max(1, sum(line))}
        for true, line in zip(classes, counts, strict=True)
        for predicted, count in zip(classes, line, strict=True)
    ]
    base = alt.Chart(pd.DataFrame(rows), height=_CELL * len(classes) + _AXES).encode(
        x=alt.X("predicted:N", sort=list(classes), title="predicted", axis=alt.Axis(labelAngle=0, labelLimit=140)),
        y=alt.Y("true:N", sort=list(classes), title="true", axis=alt.Axis(labelLimit=140)),
        tooltip=["true:N", "predicted:N", alt.Tooltip("answers:Q", format=","), alt.Tooltip("share:Q", format=".1%")],
    )
    # From pale to dark blue, whatever the page: the texts contrast with their own cell
    cells = base.mark_rect().encode(color=alt.Color("share:Q", scale=alt.Scale(domain=[0, 1], range=["#e8f1fa", "#0b3c6f"]), legend=None))
    texts = base.mark_text(fontSize=14).encode(
        text=alt.Text("answers:Q", format=","), color=alt.condition("datum.share > 0.45", alt.value("white"), alt.value("#10243a"))
    )
    layers: alt.LayerChart = alt.LayerChart(layer=[cells, texts])
    return layers
