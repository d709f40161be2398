import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pandas as pd
import streamlit as st

from streamlit_app.literal_text import literal
from streamlit_app.panels import Dashboard, Panel, chart_frame, format_value, line_chart, read_dashboards, table_frame
from streamlit_app.prometheus import Prometheus, Series
from streamlit_app.service import ServiceError
from streamlit_app.shared import settings, show_errors, text_table

_SECONDS = 30
_POINTS = 120  # of a line
_LEAST_STEP = 15  # seconds between two scrapes
_SPANS = {"15 minutes": 900, "1 hour": 3_600, "6 hours": 21_600, "1 day": 86_400, "7 days": 604_800}
_AT_ONCE = 6  # queries
_ADVICE = "`make monitoring` starts one beside the stack, in Compose the profile `monitoring` does; docs/monitoring.md has more."


@st.cache_resource
def _prometheus(url: str) -> Prometheus:
    return Prometheus(url)


def monitoring() -> None:
    """The dashboards of Grafana, drawn from Prometheus, for those who have no Grafana."""
    st.title("Monitoring")
    url = settings().page_prometheus_url
    if not url:
        st.info(f"HEARTH_PAGE_PROMETHEUS_URL names no Prometheus. {_ADVICE}", icon=":material/monitoring:")
        return
    with show_errors():
        dashboards = {dashboard.title: dashboard for dashboard in read_dashboards(Path(settings().page_dashboards_dir))}
        boxes = st.columns(2)
        chosen = boxes[0].selectbox("Dashboard", list(dashboards), key="monitoring-dashboard")
        span = boxes[1].selectbox("Time", list(_SPANS), index=1, key="monitoring-span")
        _draw(url, dashboards[chosen], _SPANS[span])


@st.fragment(run_every=_SECONDS)
def _draw(url: str, dashboard: Dashboard, seconds: int) -> None:
    source = _prometheus(url)
    try:
        firing = source.firing()
    except ServiceError as error:
        st.error(f"{literal(str(error))} {_ADVICE}", icon=":material/power_off:")
        return
    _show_alerts(firing)
    st.caption(dashboard.description)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        end = time.time()
        rows = [[(panel, pool.submit(partial(_ask, source, panel, end, seconds))) for panel in row] for row in dashboard.rows]
        for row in rows:
            for box, (panel, answer) in zip(st.columns([panel.width for panel, _ in row]), row, strict=True):
                with box.container(border=panel.kind != "stat"), show_errors():
                    _DRAWN[panel.kind](panel, answer.result())
    st.caption(f"As of {pd.Timestamp.now('UTC'):%H:%M:%S} UTC, from Prometheus.")


def _show_alerts(firing: list[dict[str, dict[str, str]]]) -> None:
    if not firing:
        st.success("No alert fires.", icon=":material/check:")
        return
    st.error(f"{len(firing)} alert{'s' if len(firing) > 1 else ''} firing.", icon=":material/warning:")
    rows = [
        {
            "alert": alert["labels"].get("alertname", ""),
            "severity": alert["labels"].get("severity", ""),
            "runbook": alert["annotations"].get("runbook_url", ""),
            "what": alert["annotations"].get("summary", ""),
        }
        for alert in firing
    ]
    text_table(pd.DataFrame(rows))


def _ask(source: Prometheus, panel: Panel, end: float, seconds: int) -> list[list[Series]]:
    """Return what each query of a panel returns."""
    if panel.kind != "timeseries":
        return [source.query(query.expression) for query in panel.queries]
    step = max(_LEAST_STEP, seconds / _POINTS)
    return [source.query_range(query.expression, end - seconds, end, step) for query in panel.queries]


def _stat(panel: Panel, found: list[list[Series]]) -> None:
    series = found[0]
    value = format_value(series[0].samples[-1], panel.unit) if series else "no data"
    st.metric(panel.title, value, help=panel.description or None, border=True)


def _lines(panel: Panel, found: list[list[Series]]) -> None:
    _head(panel)
    frame, left_out = chart_frame(zip(panel.queries, found, strict=True))
    if frame.empty:
        st.caption("No data in this time.")
        return
    st.altair_chart(line_chart(frame, panel.unit), width="stretch")
    if left_out:
        st.caption(f"{left_out} series with smaller values are left out.")


def _table(panel: Panel, found: list[list[Series]]) -> None:
    _head(panel)
    if not found[0]:
        st.caption("No data.")
        return
    st.dataframe(table_frame(found[0], panel.unit), hide_index=True, height="auto")


def _head(panel: Panel) -> None:
    st.markdown(f"**{literal(panel.title)}**", help=panel.description or None)


_DRAWN: dict[str, Callable[[Panel, list[list[Series]]], None]] = {"stat": _stat, "timeseries": _lines, "table": _table}
