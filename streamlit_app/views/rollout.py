"""The version that is tried on a share of the champion's requests: its counts, its history, and a button that stops it."""

from datetime import datetime

import pandas as pd
import streamlit as st

from streamlit_app.literal_text import literal
from streamlit_app.service import Json
from streamlit_app.shared import offers, service, show_errors

_ROUTE = "GET /rollouts/{dataset}"
_SECONDS = 2
_STATES = {"running": "runs", "paused": "is paused", "finishing": "becomes champion", "rolling_back": "is rolled back"}


def rollouts(dataset: str) -> None:
    """Show the rollout that runs, which draws itself anew, and those that have ended; nothing where there was none."""
    if not offers(_ROUTE):
        return
    _running(dataset)


@st.fragment(run_every=_SECONDS)
def _running(dataset: str) -> None:
    with show_errors():
        found = service().get(f"/rollouts/{dataset}", limit=10)
        if found["running"]:
            _show(found["running"])
        if found["ended"]:
            with st.expander("Earlier rollouts", expanded=not found["running"]):
                _ended(found["ended"])


def _show(rollout: Json) -> None:
    state = _STATES.get(rollout["state"], rollout["state"])
    st.subheader(f"Version {rollout['version']} {state} at {rollout['share']:.0%}")
    steps = ", ".join(f"{step:.0%}" for step in rollout["steps"])
    st.progress(float(rollout["share"]), text=f"of the champion's requests, through {steps}")
    rows = [
        {
            "version": number,
            "role": role,
            "share of requests": share,
            "answers": counts["answers"],
            "errors": counts["errors"],
            "p99 to score, ms": counts["p99_milliseconds"],
        }
        for role, number, share, counts in (
            ("candidate", rollout["version"], rollout["share"], rollout["candidate_counts"]),
            ("champion", rollout["champion"], 1 - rollout["share"], rollout["champion_counts"]),
        )
    ]
    columns = {
        "share of requests": st.column_config.NumberColumn(format="percent"),
        "p99 to score, ms": st.column_config.NumberColumn(format="%.3g"),
    }
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config=columns)
    st.caption(literal(f"Started by {rollout['started_by']}. It waits: {rollout['waits_for']}."))
    history = [
        {"at": datetime.fromisoformat(event["at"]), "event": event["event"], "share": f"{event['share']:.0%}", "why": event["reason"]}
        for event in rollout["events"]
    ]
    st.dataframe(pd.DataFrame(history), hide_index=True)
    _steer(rollout)


def _steer(rollout: Json) -> None:
    dataset = rollout["dataset"]
    key = str(st.session_state.get("models-key") or "")
    buttons = st.container(horizontal=True)
    paused = rollout["state"] == "paused"
    chosen = {
        "stop": buttons.button("Stop the rollout", type="primary", disabled=not key, key=f"rollout-{dataset}-stop"),
        "resume" if paused else "pause": buttons.button("Resume" if paused else "Pause", disabled=not key, key=f"rollout-{dataset}-pause"),
        "step": buttons.button("Next step now", disabled=not key, key=f"rollout-{dataset}-step"),
    }
    if not key:
        st.caption("The buttons need the admin key, below.")
    action = next((name for name, pressed in chosen.items() if pressed), None)
    if action:
        service().with_key(key).post(f"/models/{dataset}/rollout/{action}")
        st.rerun()


def _ended(ended: list[Json]) -> None:
    rows = [
        {
            "version": rollout["version"],
            "end": rollout["state"].replace("_", " "),
            "at share": f"{rollout['share']:.0%}",
            "answers": rollout["candidate_counts"]["answers"],
            "errors": rollout["candidate_counts"]["errors"],
            "ended": datetime.fromisoformat(rollout["ended_at"]),
            "why": rollout["reason"],
        }
        for rollout in ended
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True)
