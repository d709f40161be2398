"""Charts of versions: their scores on the present test set."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from streamlit_app.service import Json

_ROW, _AXIS = 26, 70  # pixels
_MOST = 30
_SCORE_COLOUR, _ALIAS_COLOUR = "#2a7fc9", "#d9661f"


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
    colour = alt.Color(
        "state:N",
        scale=alt.Scale(domain=["has an alias", "no alias"], range=[_ALIAS_COLOUR, _SCORE_COLOUR]),
        legend=alt.Legend(orient="bottom", title=None),
    )
    base = alt.Chart(frame, height=_ROW * len(frame) + _AXIS).encode(
        y=alt.Y("version:N", sort=None, title=None, axis=alt.Axis(labelOverlap=False, labelLimit=190)), color=colour
    )
    tooltip = ["version:N", *(alt.Tooltip(f"{name}:Q", format=".4f") for name in ("score", "low", "high"))]
    scale = alt.Scale(zero=False, nice=True, padding=8)
    intervals = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=f"{metric}, 95 % interval", scale=scale), x2="high:Q")
    points = base.mark_point(filled=True, size=90, opacity=1).encode(x=alt.X("score:Q", scale=scale), tooltip=tooltip)
    return alt.LayerChart(layer=[intervals, points])


def describe(version: Json) -> str:
    """Return a version in a few words: number, family and aliases."""
    aliases = f" ({', '.join(version['aliases'])})" if version["aliases"] else ""
    return f"{version['version']}: {version['family']}{aliases}"
