import time
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import streamlit as st

from streamlit_app.health_checks import Health, airflow, batch_api, grpc, worker
from streamlit_app.service import Json, ServiceError
from streamlit_app.shared import service, settings, text_table
from streamlit_app.states import producer, rest_health, unknown_health, worker_health

_SECONDS = 5


def health() -> None:
    """The health of every service, checked every five seconds."""
    st.title("Health")
    _checks()


@st.fragment(run_every=_SECONDS)
def _checks() -> None:
    urls = settings()
    with ThreadPoolExecutor(4) as pool:
        others = (
            pool.submit(grpc, urls.page_grpc_metrics_url),
            pool.submit(airflow, urls.airflow_url),
            pool.submit(batch_api, urls.batch_api_url),
        )
        worker_state = pool.submit(worker, urls.page_worker_metrics_url)
        states, aliases, stream = _rest()
        states += [worker_health(worker_state.result(), stream), producer(stream, aliases)]
        states += [state for result in others for state in result.result()]
    _summary(states)
    text_table(
        pd.DataFrame(
            {
                "service": [state.service for state in states],
                "answers in": ["" if state.milliseconds is None else f"{state.milliseconds:,.0f} ms" for state in states],
                "state": [state.state for state in states],
            }
        )
    )
    st.caption("How long the latest check took; servers behind REST are checked by REST, and its own time is that of `/health`.")
    if aliases:
        st.subheader("Aliases")
        st.dataframe(pd.DataFrame(aliases), hide_index=True, column_order=["dataset", "alias", "ok", "version", "registered"])
        if problems := {f"{alias['dataset']}@{alias['alias']}": alias["problem"] for alias in aliases if alias["problem"]}:
            text_table(pd.DataFrame({"alias": problems.keys(), "problem": problems.values()}))


def _rest() -> tuple[list[Health], list[Json], Json | None]:
    """Return the health of REST and of its servers, the aliases, and the state of the stream, if REST knows it."""
    try:
        start = time.perf_counter()
        service().get("/health")  # /ready waits for the slowest server
        milliseconds = (time.perf_counter() - start) * 1_000
        ready = service().state()
    except ServiceError as error:
        return unknown_health(str(error)), [], None
    try:
        stream = service().get("/stream", letters=0)
    except ServiceError:  # reported as the problem of Valkey
        stream = None
    return rest_health(ready, milliseconds), ready["aliases"], stream


def _summary(states: list[Health]) -> None:
    away = ", ".join(state.service for state in states if state.problem)
    unknown = ", ".join(state.service for state in states if not state.is_known)
    if away:
        st.error(f"Problems with {away}.{f' Unknown: {unknown}.' if unknown else ''}", icon=":material/warning:")
    else:
        st.success("Everything works.", icon=":material/check:")
