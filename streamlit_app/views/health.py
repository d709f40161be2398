from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import streamlit as st

from streamlit_app.others import Health, airflow, batch_api, grpc, worker
from streamlit_app.service import Json, ServiceError
from streamlit_app.shared import sentences, service, settings
from streamlit_app.states import of_rest, producer, without_rest, worker_beside

_SECONDS = 5


def health() -> None:
    """How every service is, asked again and again."""
    st.title("Health")
    _moving()


@st.fragment(run_every=_SECONDS)
def _moving() -> None:
    urls = settings()
    with ThreadPoolExecutor(4) as pool:
        asked = (
            pool.submit(grpc, urls.page_grpc_metrics_url),
            pool.submit(airflow, urls.airflow_url),
            pool.submit(batch_api, urls.batch_api_url),
        )
        asked_worker = pool.submit(worker, urls.page_worker_metrics_url)
        states, aliases, stream = _rest()
        states += [worker_beside(asked_worker.result(), stream), producer(stream, aliases)]
        states += [state for others in asked for state in others.result()]
    _say(states)
    sentences(pd.DataFrame({"service": [state.service for state in states], "state": [state.state for state in states]}))
    if aliases:
        st.subheader("Aliases")
        st.dataframe(pd.DataFrame(aliases), hide_index=True, column_order=["dataset", "alias", "ok", "version", "registered"])
        if problems := {f"{alias['dataset']}@{alias['alias']}": alias["problem"] for alias in aliases if alias["problem"]}:
            sentences(pd.DataFrame({"alias": problems.keys(), "problem": problems.values()}))


def _rest() -> tuple[list[Health], list[Json], Json | None]:
    """Return how REST is and what it needs, the aliases, and how the stream is, if that is known."""
    try:
        ready = service().state()
    except ServiceError as error:
        return without_rest(str(error)), [], None
    try:
        stream = service().get("/stream", letters=0)
    except ServiceError:  # said of Valkey
        stream = None
    return of_rest(ready), ready["aliases"], stream


def _say(states: list[Health]) -> None:
    away = ", ".join(state.service for state in states if state.problem)
    unknown = ", ".join(state.service for state in states if not state.is_known)
    if away:
        st.error(f"Something is wrong with {away}.{f' Not known: {unknown}.' if unknown else ''}", icon=":material/warning:")
    else:
        st.success("All is well.", icon=":material/check:")
