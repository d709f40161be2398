"""Versions: their scores on the present test set as a chart, and which of them wait for a person."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from streamlit_app.service import Json

_ROW, _AXIS = 30, 120  # pixels
_MOST = 30
_COLOUR = "#808080"  # no class has it
_SHAPES = {"has an alias": "diamond", "no alias": "circle"}


def scored_versions(versions: Sequence[Json]) -> pd.DataFrame:
    """Return the versions that have a score on the present test set, the latest first: version, score, low, high, standing."""
    rows = [
        {
            "version": describe(version),
            "score": version["standing"]["score"],
            "low": version["standing"]["low"],
            "high": version["standing"]["high"],
            "state": "has an alias" if version["aliases"] else "no alias",
        }
        for version in versions
        if version["standing"] and version["standing"]["score"] is not None
    ]
    return pd.DataFrame(rows[:_MOST], columns=["version", "score", "low", "high", "state"])


def score_by_version(frame: pd.DataFrame, metric: str) -> alt.LayerChart:
    """Return a point with its interval for each version: those whose intervals overlap may be equal."""
    base = alt.Chart(frame).encode(y=alt.Y("version:N", sort=None, title=None, axis=alt.Axis(labelOverlap=False, labelLimit=190)))
    tooltip = ["version:N", *(alt.Tooltip(f"{name}:Q", format=".4f") for name in ("score", "low", "high"))]
    scale, title = alt.Scale(zero=False, nice=True, padding=8), f"{metric}, with its interval"
    shape = alt.Shape(
        "state:N",
        scale=alt.Scale(domain=list(_SHAPES), range=list(_SHAPES.values())),
        legend=alt.Legend(orient="bottom", title=None, symbolFillColor=_COLOUR, symbolStrokeColor=_COLOUR),
    )
    intervals = base.mark_rule(strokeWidth=2, color=_COLOUR).encode(x=alt.X("low:Q", title=title, scale=scale), x2="high:Q")
    points = base.mark_point(filled=True, size=110, opacity=1, color=_COLOUR).encode(
        x=alt.X("score:Q", title=title, scale=scale), shape=shape, tooltip=tooltip
    )
    return alt.LayerChart(layer=[intervals, points], height=_ROW * len(frame) + _AXIS)


def describe(version: Json) -> str:
    """Return a version in a few words: number, family and aliases."""
    aliases = f" ({', '.join(version['aliases'])})" if version["aliases"] else ""
    return f"{version['version']}: {version['family']}{aliases}"


def waiting_versions(versions: Sequence[Json]) -> list[Json]:
    """Return the versions that wait for the approval of a person; none where the service knows of no approvals."""
    return [version for version in versions if (version.get("approval") or {}).get("state") == "waiting"]
