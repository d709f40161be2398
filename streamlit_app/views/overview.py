from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from streamlit_app.links import other_pages
from streamlit_app.literal_text import literal
from streamlit_app.service import Json, Service, ServiceError
from streamlit_app.shared import CHAMPION, known_versions, published_data, service, settings, show_errors
from streamlit_app.version_charts import waiting_versions

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage

_SECONDS = 10
_WINDOW_SECONDS = 60
_MOST_COUNTED = 500
_NEXT = {
    "predict": "Fill in a record, and see the prediction and why.",
    "file": "Send a CSV or Parquet file, and get it back with predictions.",
    "live": "Watch predictions and the stream as they come.",
    "data": "See what the versions were trained on, and what was left out.",
    "drift": "See whether what is served is still like what the champion was trained on.",
    "alerts": "See what somebody should look at, and take it up.",
    "models": "Compare versions, see what the gate decided, promote and roll back.",
    "monitoring": "Rates, latencies, lag, drift, DAGs and machines over time, where Prometheus runs: what Grafana would show.",
    "health": "See which service does not answer, and why.",
}


def overview(pages: Mapping[str, "StreamlitPage"]) -> None:
    """What Hearth is, and how it is at a glance; `pages` are the other views by their path."""
    st.title("Hearth")
    st.markdown(
        "Hearth takes a table from raw file to live predictions: Airflow checks and splits the data and trains models, MLflow keeps "
        "every run and version, a gate decides which version answers as **champion**, and REST, GraphQL, gRPC and a stream serve it."
    )
    _state()
    st.subheader("Data sets")
    with show_errors():
        _datasets()
    st.subheader("Where to go")
    for path, view in pages.items():
        left, right = st.columns([1, 4], vertical_alignment="center")
        left.page_link(view, use_container_width=True)
        right.markdown(_NEXT.get(path, ""))
    st.subheader("Other pages")
    row = st.container(horizontal=True)
    for name, address in other_pages(settings()).items():
        row.link_button(name, address)


@st.fragment(run_every=_SECONDS)
def _state() -> None:
    with show_errors():
        rest = service()
        ready = rest.state()
        away = [name for name, server in ready["servers"].items() if server["problem"]]
        serving = sum(bool(alias["version"]) for alias in ready["aliases"])
        problems = sum(bool(alias["problem"] and alias["registered"]) for alias in ready["aliases"])
        stream = _stream(rest)
        boxes = st.container(horizontal=True)
        boxes.metric("Servers", f"{len(ready['servers']) - len(away)} of {len(ready['servers'])}", border=True, help="Those that answer.")
        boxes.metric("Aliases served", f"{serving}", border=True)
        boxes.metric("Per minute", _rate(rest), border=True, help="Predictions of the last minute, of all data sets.")
        boxes.metric("Waiting", f"{stream['length']:,}" if stream else "unknown", border=True, help="Messages of the stream.")
        boxes.metric("Dead letters", f"{stream['dead_letters']:,}" if stream else "unknown", border=True)
        boxes.metric("Open alerts", _open_alerts(rest), border=True, help="Alerts that nobody has taken up: see Alerts.")
        if away:
            st.error(f"No answer from {', '.join(away)}: see Health.", icon=":material/warning:")
        elif problems:
            st.warning(f"{problems} aliases do not serve their registered version: see Health.", icon=":material/warning:")
        else:
            st.success("Everything that REST needs answers.", icon=":material/check:")


def _stream(rest: Service) -> Json | None:
    try:
        return rest.get("/stream", letters=0)
    except ServiceError:  # Health says why
        return None


def _open_alerts(rest: Service) -> str:
    try:
        return f"{rest.get('/alerts', limit=1)['open']:,}"
    except ServiceError:  # Health says why
        return "unknown"


def _rate(rest: Service) -> str:
    """Return how many predictions were stored in the last minute; more than one page of them is "500 or more"."""
    since = (pd.Timestamp.now("UTC") - pd.Timedelta(seconds=_WINDOW_SECONDS)).isoformat()
    try:
        found = rest.get("/predictions", limit=_MOST_COUNTED, since=since)
    except ServiceError:  # Health says why
        return "unknown"
    count = len(found["predictions"])
    return f"{count:,} or more" if found["cursor"] else f"{count:,}"


def _datasets() -> None:
    served = {entry["dataset"]: entry for entry in service().get("/models")["datasets"]}
    for summary in service().get("/datasets")["datasets"]:
        with st.container(border=True):
            _dataset(summary, served.get(summary["name"], {"aliases": [], "metric": ""}))


def _dataset(summary: Json, models: Json) -> None:
    name = summary["name"]
    st.markdown(f"**{literal(name)}**: {literal(summary['title'])}")
    champion = next((alias for alias in models["aliases"] if alias["alias"] == CHAMPION and alias["version"]), None)
    st.markdown(_champion(champion) if champion else "No version serves yet: train one with `make demo`, or with its DAGs in Airflow.")
    st.caption(_data(name))
    if waiting := waiting_versions(known_versions(name)):
        names = ", ".join(version["version"] for version in waiting)
        st.warning(f"Version {literal(names)} waits for the approval of a person: see Models.", icon=":material/approval_delegation:")


def _champion(alias: Json) -> str:
    standing = alias["standing"]
    answer = f"Version {alias['version']} ({alias['family']}) is champion, made from data of origin {alias['origin']}"
    if not standing or standing["score"] is None:
        return f"{answer}; it has no score on the present test set yet."
    interval = f"{standing['low']:.3f} to {standing['high']:.3f}"
    return f"{answer}; {standing['metric']} {standing['score']:.3f} ({interval}) on {standing['rows']:,} test rows."


def _data(dataset: str) -> str:
    try:
        report = published_data(dataset)
    except ServiceError:
        return "What was published last is not known: MLflow does not answer."
    if report is None:
        return "No data were published with a report yet."
    return (
        f"Data published {pd.Timestamp(report['published']):%Y-%m-%d %H:%M} UTC (origin {report['origin']}): {report['kept']:,} of "
        f"{report['rows_in']:,} rows, {report['rejected']:,} rejected, {report['duplicate_share']:.1%} duplicates."
    )
