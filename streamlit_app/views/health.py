from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import streamlit as st

from streamlit_app.others import Health, airflow, grpc
from streamlit_app.service import Json, ServiceError
from streamlit_app.shared import service, settings

_SECONDS = 5
_BEHIND_SECONDS = 60.0


def health() -> None:
    """How every service is, asked again and again."""
    st.title("Health")
    _moving()


@st.fragment(run_every=_SECONDS)
def _moving() -> None:
    urls = settings()
    with ThreadPoolExecutor(2) as pool:
        others = pool.submit(airflow, urls.airflow_url), pool.submit(grpc, urls.page_grpc_metrics_url)
        aliases, states = _rest()
        states += [state for asked in others for state in asked.result()]
    away = [state.service for state in states if state.problem]
    if away:
        st.error(f"Something is wrong with {', '.join(away)}.", icon=":material/warning:")
    else:
        st.success("All is well.", icon=":material/check:")
    rows = [{"service": state.service, "state": state.problem or "ok"} for state in states]
    st.table(pd.DataFrame(rows).set_index("service"))  # a table wraps long sentences
    if aliases:
        st.subheader("Aliases")
        st.dataframe(pd.DataFrame(aliases), hide_index=True, column_order=["dataset", "alias", "ok", "version", "registered", "problem"])


def _rest() -> tuple[list[Json], list[Health]]:
    """Return the aliases, and how REST is and what it depends on."""
    try:
        ready = service().state()
    except ServiceError as error:
        return [], [Health("REST and GraphQL", str(error))]
    states = [Health("REST and GraphQL", ""), *(Health(name, found["problem"]) for name, found in ready["servers"].items())]
    return ready["aliases"], [*states, _worker()]


def _worker() -> Health:
    """A worker that does its work leaves nothing waiting."""
    try:
        oldest = service().get("/stream", letters=0)["oldest_seconds"]
    except ServiceError as error:
        return Health("stream worker", str(error))
    problem = f"a message has waited for {oldest:.0f} seconds" if oldest > _BEHIND_SECONDS else ""
    return Health("stream worker", problem)
