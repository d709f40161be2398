"""Who did what, for administrators."""

from typing import Any

import pandas as pd
import streamlit as st

from streamlit_app.shared import needs_service, service, show_errors, text_table

_ROWS = 100
_ALL = "all"
_RESULTS = [_ALL, "done", "refused", "failed"]


@needs_service
def audit() -> None:
    """The audit trail, a page at a time."""
    st.title("Audit")
    row = st.container(horizontal=True)
    key = row.text_input("Admin key", type="password", key="audit-key", help="HEARTH_API_ADMIN_KEY of the REST service.")
    names = [entry["name"] for entry in service().get("/datasets")["datasets"]]
    dataset = row.selectbox("Of", [_ALL, *names], key="audit-dataset", width=200)
    result = row.segmented_control("Result", _RESULTS, default=_ALL, key="audit-result") or _ALL
    actor = row.text_input("By", key="audit-actor", max_chars=200, help="The name of a key, dag/run/task, or a user.").strip()
    if not key:
        st.info("Give the admin key: the trail is for administrators.", icon=":material/key:")
        return
    filters = {"dataset": None if dataset == _ALL else dataset, "result": None if result == _ALL else result, "actor": actor or None}
    if st.session_state.get("audit-filters") != filters:
        st.session_state["audit-filters"], st.session_state["audit-after"] = filters, []
    after: list[str] = st.session_state["audit-after"]
    with show_errors():
        found = service().with_key(key).get("/audit", limit=_ROWS, after=after[-1] if after else None, **filters)
        if not found["entries"]:
            st.success("There is no such entry.", icon=":material/check:")
            return
        text_table(pd.DataFrame([_row(entry) for entry in found["entries"]]))
        buttons = st.container(horizontal=True)
        if buttons.button("Newer", key="audit-newer", disabled=not after):
            after.pop()
            st.rerun()
        if buttons.button("Older", key="audit-older", disabled=not found["cursor"]):
            after.append(found["cursor"])
            st.rerun()


def _row(entry: dict[str, Any]) -> dict[str, str]:
    who = f"{entry['actor_kind']} {entry['actor']}".strip()
    version = f"{entry['alias'] or ''} {entry['version'] or ''}".strip()
    return {
        "at (UTC)": f"{pd.Timestamp(entry['at']).tz_convert('UTC'):%Y-%m-%d %H:%M:%S}",
        "action": entry["action"],
        "result": entry["result"],
        "who": who,
        "from": f"{entry['door']} {entry['address']}".strip(),
        "data set": entry["dataset"] or "",
        "version": version,
        "of": entry["subject"] or "",
        "detail": ", ".join(f"{name}: {value}" for name, value in entry["detail"].items()),
    }
