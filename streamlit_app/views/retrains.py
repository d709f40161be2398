"""Decisions about training again: a section of the view Drift."""

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from streamlit_app.literal_text import literal
from streamlit_app.service import Json
from streamlit_app.shared import service

_DECISIONS = 20
_SHOWN = {"labels_needed": st.warning, "paused": st.error, "running": st.success}


def retrain_section(dataset: str) -> None:
    """Show what was decided about training a data set again, and what would be decided now."""
    st.subheader("Training again")
    listed = service().get(f"/retrains/{dataset}", limit=_DECISIONS)
    coming: Json = listed["next"]
    show = _SHOWN.get(coming["state"], st.info)
    show(f"**{coming['state']}**: {literal(coming['why'])}", icon=":material/model_training:")
    boxes = st.container(horizontal=True)
    boxes.metric("Labelled records", f"{coming['labels']:,}", help=f"a retraining takes {coming['needed']:,}", border=True)
    boxes.metric("New labels", f"{coming['new_labels']:,}", help="those that the last retraining did not have", border=True)
    if listed["retrains"]:
        st.dataframe(pd.DataFrame(decision_rows(listed["retrains"])), hide_index=True)


def decision_rows(retrains: Sequence[Json]) -> list[Mapping[str, object]]:
    """Return a row for each decision, as the table shows it."""
    return [
        {
            "decided at": retrain["decided_at"][:16].replace("T", " "),
            "state": retrain["state"],
            "trigger": retrain["trigger"],
            "version": retrain["version"] or "",
            "newest records": _difference(retrain["recent"]),
            "old test set": _difference(retrain["old"]),
            "times": retrain["times"],
            "why": retrain["why"],
        }
        for retrain in retrains
    ]


def _difference(difference: Json | None) -> str:
    if difference is None:
        return ""
    return f"{difference['value']:+.3f} ({difference['low']:+.3f} to {difference['high']:+.3f})"
