"""Promoting a version, and rolling back, with the admin key of the person who does it."""

import streamlit as st

from streamlit_app.service import Json
from streamlit_app.shared import CHAMPION, service, show_errors
from streamlit_app.version_charts import describe

_MOVED = "models-moved"


def administration(dataset: str, versions: list[Json]) -> None:
    """Show the choice of the champion."""
    st.subheader("Promote and roll back")
    if message := st.session_state.pop(_MOVED, None):
        st.success(message, icon=":material/check:")
    key = st.text_input("Admin key", type="password", key="models-key", help="HEARTH_API_ADMIN_KEY of the REST service.")
    descriptions = {version["version"]: describe(version) for version in versions}
    version = st.selectbox(
        "New champion",
        list(descriptions),
        key=f"models-{dataset}-version",
        format_func=lambda version: descriptions.get(version, version),
        help="Version, family and aliases.",
    )
    over = st.checkbox("Even if the gate has not passed it", key=f"models-{dataset}-over")
    buttons = st.container(horizontal=True)
    promote = buttons.button("Make it champion", type="primary", disabled=not (key and version))
    back = buttons.button("Roll back to the previous champion", disabled=not key)
    admin = service().with_key(key)
    with show_errors():
        if promote:
            _report(admin.post(f"/models/{dataset}/promote", {"version": version, "over_gate": over}))
        if back:
            _report(admin.post(f"/models/{dataset}/rollback"))


def _report(moved: Json) -> None:
    """Draw the page again, with the result above the buttons and the versions that serve now."""
    verb = "is now" if moved["moved"] else "was already"
    st.session_state[_MOVED] = f"{CHAMPION} {verb} version {moved['version']}, {moved['family']}; the gate: {moved['gate']}."
    st.rerun()
