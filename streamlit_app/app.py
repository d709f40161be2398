"""The page: `python -m streamlit_app` runs it."""

import streamlit as st

from hearth.host_names import HostNames
from streamlit_app.shared import settings, style
from streamlit_app.views.alerts import alerts
from streamlit_app.views.audit import audit
from streamlit_app.views.data import data
from streamlit_app.views.drift import drift
from streamlit_app.views.file import score_file
from streamlit_app.views.health import health
from streamlit_app.views.live import live
from streamlit_app.views.models import models
from streamlit_app.views.monitoring import monitoring
from streamlit_app.views.overview import overview
from streamlit_app.views.predict import predict
from streamlit_app.views.quality import quality

st.set_page_config(page_title="Hearth", page_icon="🔥", layout="wide")
style()
# Streamlit lets a page of any name in that this machine has been given (DNS rebinding). Without a header it is no browser that calls.
if not HostNames(settings().page_allowed_hosts).allow(st.context.headers.get("Host") or "localhost"):
    st.error("This name is none of the page's: add it to HEARTH_PAGE_ALLOWED_HOSTS.")
    st.stop()
VIEWS = {
    "predict": st.Page(predict, title="Predict", icon=":material/psychology:", url_path="predict"),
    "file": st.Page(score_file, title="Score a file", icon=":material/upload_file:", url_path="file"),
    "live": st.Page(live, title="Live", icon=":material/monitoring:", url_path="live"),
    "data": st.Page(data, title="Data", icon=":material/table:", url_path="data"),
    "drift": st.Page(drift, title="Drift", icon=":material/ssid_chart:", url_path="drift"),
    "quality": st.Page(quality, title="Quality", icon=":material/fact_check:", url_path="quality"),
    "alerts": st.Page(alerts, title="Alerts", icon=":material/notifications:", url_path="alerts"),
    "models": st.Page(models, title="Models", icon=":material/deployed_code:", url_path="models"),
    "audit": st.Page(audit, title="Audit", icon=":material/policy:", url_path="audit"),
    "monitoring": st.Page(monitoring, title="Monitoring", icon=":material/speed:", url_path="monitoring"),
    "health": st.Page(health, title="Health", icon=":material/vital_signs:", url_path="health"),
}


def landing() -> None:
    """What Hearth is, with links to the other views."""
    overview(VIEWS)


st.navigation([st.Page(landing, title="Overview", icon=":material/home:", default=True), *VIEWS.values()]).run()
