"""The panels of Grafana's dashboards as this page draws them: timeseries, stat and table. Pure, but for reading the files."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import altair as alt
import pandas as pd

from streamlit_app.charts import LEGEND
from streamlit_app.prometheus import Series
from streamlit_app.service import Json, ServiceError

MOST_SERIES = 20
"""Series in a chart, at most: those with the largest values."""

_HEIGHT = 240  # pixels
_THOUSAND = 1_000
_LONG = 1e4  # figures without a prefix are below it
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_SPANS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"))


@dataclass(frozen=True)
class Query:
    """An expression, and the text of its series' legend."""

    expression: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """A panel of a dashboard; `width` is in twenty-fourths of the page."""

    kind: str
    title: str
    description: str
    unit: str
    width: int
    queries: tuple[Query, ...]


@dataclass(frozen=True)
class Dashboard:
    """A dashboard: its panels by row."""

    title: str
    description: str
    rows: tuple[tuple[Panel, ...], ...]


def read_dashboards(folder: Path) -> list[Dashboard]:
    """Return the dashboards of a folder, in the order of a visit: from answers to machines.

    Raises:
        ServiceError: there are none, or a file is not a dashboard.
    """
    files = sorted(folder.glob("*.json"), key=lambda path: (_ORDER.get(path.stem, len(_ORDER)), path.stem))
    if not files:
        raise ServiceError(f"There are no dashboards in {folder}: HEARTH_PAGE_DASHBOARDS_DIR names the folder.")
    try:
        return [_dashboard(json.loads(path.read_text(encoding="utf-8"))) for path in files]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ServiceError(f"A file in {folder} is no dashboard: {type(error).__name__}: {error}.") from error


_ORDER = {"serving": 0, "stream": 1, "models": 2, "pipeline": 3, "stack": 4}


def _dashboard(content: Json) -> Dashboard:
    panels = sorted(content["panels"], key=lambda panel: (panel["gridPos"]["y"], panel["gridPos"]["x"]))
    rows = tuple(tuple(_panel(panel) for panel in row) for _, row in groupby(panels, key=lambda panel: panel["gridPos"]["y"]))
    return Dashboard(content["title"].removeprefix("Hearth: "), content.get("description", ""), rows)


def _panel(content: Json) -> Panel:
    queries = tuple(Query(target["expr"], target.get("legendFormat", "")) for target in content["targets"])
    unit = content["fieldConfig"]["defaults"].get("unit", "short")
    return Panel(content["type"], content["title"], content.get("description", ""), unit, content["gridPos"]["w"], queries)


def legend_of(template: str, labels: Mapping[str, str]) -> str:
    """Return the name of a series: the template with its labels filled in, or where there is none, its labels."""
    if template and template != "__auto":
        return _PLACEHOLDER.sub(lambda found: labels.get(found[1], ""), template).strip()
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name != "__name__") or "value"


def format_value(value: float, unit: str) -> str:
    """Return a value with its unit, as large figures and tables show it."""
    if not math.isfinite(value):
        return "n/a"
    if unit == "percentunit":
        return f"{value:.1%}"
    if unit == "s":
        return _duration(value)
    if unit == "d":
        return f"{value:,.1f} d"
    ending = {"reqps": "/s", "cps": "/s", "bytes": "B"}.get(unit, "")
    for size, prefix in _PREFIXES:
        if abs(value) >= size and (unit == "bytes" or abs(value) >= _LONG):
            return f"{value / size:,.1f} {prefix}{ending}"
    figure = f"{value:,.0f}" if value == int(value) else f"{value:,.3g}"
    return f"{figure} {ending}" if ending else figure


def _duration(seconds: float) -> str:
    for span, name in _SPANS:
        if abs(seconds) >= span:
            return f"{seconds / span:,.1f} {name}"
    return f"{seconds * 1_000:,.1f} ms"


def chart_frame(found: Iterable[tuple[Query, Sequence[Series]]]) -> tuple[pd.DataFrame, int]:
    """Return a row for each value (time, series, value), and how many series are left out because they are too many."""
    named = [(legend_of(query.legend, series.labels), series) for query, all_series in found for series in all_series]
    largest = sorted(
        named, key=lambda pair: max((value for value in pair[1].samples if math.isfinite(value)), default=-math.inf), reverse=True
    )
    parts = [pd.DataFrame({"time": series.times, "series": name, "value": series.samples}) for name, series in largest[:MOST_SERIES]]
    if not parts:
        return pd.DataFrame({"time": [], "series": [], "value": []}), 0
    frame = pd.concat(parts, ignore_index=True)
    return frame[frame["value"].map(math.isfinite)], max(0, len(named) - MOST_SERIES)


def line_chart(frame: pd.DataFrame, unit: str) -> alt.Chart:
    """Return lines over time; a point where a series has a single value, which would be no line."""
    highest = float(frame["value"].max())
    axis = alt.Axis(format=".1%" if unit == "percentunit" else "~s" if highest >= _THOUSAND else ".3~g")
    scale = alt.Scale(domain=[0, 1]) if highest == 0 else alt.Scale(zero=True)  # an axis from 0 to 0 has no figures
    title = {"s": "seconds", "bytes": "bytes", "reqps": "per second", "cps": "per second"}.get(unit)
    lines: alt.Chart = (
        alt.Chart(frame, height=_HEIGHT)
        .mark_line(point=bool(frame.groupby("series")["time"].count().le(1).any()), interpolate="monotone")
        .encode(
            x=alt.X("time:T", title=None, axis=alt.Axis(format="%H:%M", labelOverlap=True)),
            y=alt.Y("value:Q", title=title, axis=axis, scale=scale),
            color=alt.Color("series:N", legend=alt.Legend(**LEGEND.to_dict(), columns=2, labelLimit=200)),
            tooltip=["series:N", alt.Tooltip("time:T", format="%H:%M:%S"), alt.Tooltip("value:Q", format=".4~g")],
        )
    )
    return lines


def table_frame(series: Sequence[Series], unit: str) -> pd.DataFrame:
    """Return a row for each series with its labels and its value, the largest first."""
    ordered = sorted(series, key=lambda one: one.samples[-1] if math.isfinite(one.samples[-1]) else -math.inf, reverse=True)
    return pd.DataFrame(
        [
            {**{name: value for name, value in one.labels.items() if name != "__name__"}, "value": format_value(one.samples[-1], unit)}
            for one in ordered
        ]
    )
