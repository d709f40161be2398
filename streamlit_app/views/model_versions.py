"""Every version of a data set: its score on the present test set, and why it has its aliases."""

from typing import Any

import pandas as pd
import streamlit as st

from streamlit_app.links import with_links
from streamlit_app.literal_text import literal
from streamlit_app.service import Json
from streamlit_app.shared import offers, settings
from streamlit_app.version_charts import describe, score_by_version, scored_versions

MINUTE = "YYYY-MM-DD HH:mm"
SCORES = ("score", "low", "high", "log_loss", "calibration_error")
_CARD = "GET /models/{dataset}/{version}/card"


def show_versions(dataset: str, versions: list[Json], main_metric: str) -> None:
    """Show a chart and a table of all versions."""
    st.subheader("All versions")
    st.caption(_split(versions, main_metric))
    scored = scored_versions(versions)
    if len(scored):
        st.altair_chart(score_by_version(scored, main_metric), width="stretch")
    cards = offers(_CARD)
    rows = [
        {**version, **standing_cells(version), "aliases": ", ".join(version["aliases"])}
        for version in with_links(versions, settings(), dataset, cards=cards)
    ]
    frame = pd.DataFrame(rows)
    frame["created"] = pd.to_datetime(frame["created"], utc=True, format="ISO8601")
    columns = ["version", "family", "aliases", "gate", "run", "card", *SCORES, "made from", "data_digest", "problem", "why", "created"]
    st.dataframe(
        frame,
        hide_index=True,
        column_order=[name for name in columns if name != "card" or cards],
        column_config={
            **score_columns(versions),
            "created": st.column_config.DatetimeColumn("created (UTC)", format=MINUTE),
            "data_digest": st.column_config.TextColumn("data", help="The digest of the data that it was trained on."),
            "run": st.column_config.LinkColumn("run", display_text="open"),
            "card": st.column_config.LinkColumn("card", display_text="open"),
        },
    )


def show_decisions(versions: list[Json]) -> None:
    """Show why the gate decided as it did about each version, and each bound with its figure and interval."""
    with st.expander("Why an alias is where it is"):
        for version in versions:
            if version["why"]:
                st.markdown(f"**{literal(describe(version))}** — {literal(version['gate'])}")
                st.text(version["why"])
        rows = [
            {"version": version["version"], "at": at, **bound}
            for version in versions
            for at, entry in (("present test set", version["standing"]), ("decision", version["decision"]))
            for bound in (entry or {}).get("bounds", ())
        ]
        if rows:
            numbers = {name: st.column_config.NumberColumn(format="%.3f") for name in ("limit", "figure", "low", "high")}
            st.dataframe(pd.DataFrame(rows), hide_index=True, column_config=numbers)


def standing_cells(entry: Json) -> dict[str, object]:
    """Return the cells about the present test set, and what the version knows."""
    standing = entry["standing"] or {}
    return {**{name: standing.get(name) for name in SCORES}, "made from": entry["origin"], "problem": standing.get("problem", "")}


def score_columns(entries: list[Json]) -> dict[str, Any]:
    """Return the columns of scores, the first of which is called as the metric."""
    metric = next((entry["standing"]["metric"] for entry in entries if entry["standing"]), "score")
    titles = dict(zip(SCORES, (metric, "from", "to", "log loss", "calibration error"), strict=True))
    return {name: st.column_config.NumberColumn(title, format="%.3f") for name, title in titles.items()}


def _split(versions: list[Json], metric: str) -> str:
    """Return the sentence that says which rows the scores are of."""
    standings = [version["standing"] for version in versions if version["standing"]]
    if not standings:
        return f"No version was scored on the present test set yet: its {metric} comes with the next run of the ETL or of a training."
    digests = sorted({f"{standing['data_digest']} ({standing['data_origin']})" for standing in standings})
    return (
        f"{metric} with its interval, of the test set of data {', '.join(digests)}: each version on the rows that it was not trained on. "
        "Versions whose intervals overlap may be equal."
    )
