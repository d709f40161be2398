from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from streamlit_app.literal_text import literal
from streamlit_app.service import Json
from streamlit_app.shared import needs_service, service, show_errors, text_table

_SECONDS = 10
_MOST_ALERTS = 50
_ALL = "all"
_STACK = "the stack"
_STATES = [_ALL, "open", "acknowledged", "resolved"]
_SEVERITIES = [_ALL, "critical", "warning", "info"]
_ICONS = {"critical": "crisis_alert", "warning": "warning", "info": "info"}


@needs_service
def alerts() -> None:
    """What somebody should look at, and who does."""
    st.title("Alerts")
    names = [entry["name"] for entry in service().get("/datasets")["datasets"]]
    row = st.container(horizontal=True)
    state = row.segmented_control("State", _STATES, default=_ALL, key="alerts-state") or _ALL
    severity = row.segmented_control("Severity", _SEVERITIES, default=_ALL, key="alerts-severity") or _ALL
    dataset = row.selectbox("Of", [_ALL, _STACK, *names], key="alerts-dataset", width=200)
    with st.expander("Take alerts up and resolve them", icon=":material/person_check:"):
        who = st.container(horizontal=True)
        name = who.text_input("Your name", key="alerts-name", max_chars=100, help="Others see who looks at an alert.")
        key = who.text_input("Admin key", type="password", key="alerts-key", help="HEARTH_API_ADMIN_KEY of the REST service.")
    filters = {
        "state": None if state == _ALL else state,
        "severity": None if severity == _ALL else severity,
        "dataset": {_ALL: None, _STACK: ""}.get(dataset, dataset),
    }
    _list(filters, name.strip(), key)


@st.fragment(run_every=_SECONDS)
def _list(filters: dict[str, str | None], name: str, key: str) -> None:
    with show_errors():
        found = service().get("/alerts", limit=_MOST_ALERTS, **filters)
        boxes = st.container(horizontal=True)
        boxes.metric("Open", f"{found['open']:,}", border=True, help="Of all data sets; nobody has taken them up.")
        boxes.metric("Acknowledged", f"{found['acknowledged']:,}", border=True, help="Of all data sets; somebody looks at them.")
        if not found["alerts"]:
            st.success("There is no such alert.", icon=":material/check:")
        for alert in found["alerts"]:
            with st.container(border=True, key=f"alert-{alert['id']}"):  # its links are taken away by `style`
                _alert(alert, name, key)
    more = f" The first {_MOST_ALERTS} are shown." if len(found["alerts"]) == _MOST_ALERTS else ""
    st.caption(f"As of {datetime.now(UTC):%H:%M:%S} UTC, every {_SECONDS} seconds.{more}")


def _alert(alert: Json, name: str, key: str) -> None:
    icon = "check_circle" if alert["state"] == "resolved" else _ICONS[alert["severity"]]
    of = literal(alert["dataset"] or _STACK)
    st.markdown(f":material/{icon}: **{alert['severity']}**, {alert['state']}: **{of}**, {literal(alert['kind'])}")
    st.markdown(literal(alert["summary"]))
    st.caption(literal(_story(alert)))
    if alert["state"] != "resolved":
        buttons = st.container(horizontal=True)
        path, admin, body = f"/alerts/{alert['id']}", service().with_key(key), {"by": name or None}
        may = bool(key and name)
        help_ = None if may else "Give your name and the admin key above."
        with show_errors():
            if alert["state"] == "open" and buttons.button("Acknowledge", key=f"take-{alert['id']}", disabled=not may, help=help_):
                admin.post(f"{path}/acknowledge", body)
                st.rerun()
            if buttons.button("Resolve", key=f"resolve-{alert['id']}", disabled=not may, help=help_):
                admin.post(f"{path}/resolve", body)
                st.rerun()
    # A browser closes an expander that is drawn again without a key; what is in it is read when it is open
    more = st.expander("What happened", key=f"alerts-{alert['id']}", on_change="rerun")
    if more.open:
        with more, show_errors():
            _history(alert)


def _story(alert: Json) -> str:
    """Return when what was reported, and who did what since."""
    parts = [f"{alert['id']}: opened {_moment(alert['opened_at'])} UTC"]
    if alert["times"] > 1:
        parts.append(f"reported {alert['times']:,} times, last {_moment(alert['updated_at'])}")
    if alert["acknowledged_by"]:
        parts.append(f"acknowledged {_moment(alert['acknowledged_at'])} by {alert['acknowledged_by']}")
    if alert["resolved_at"]:
        parts.append(f"resolved {_moment(alert['resolved_at'])} by {alert['resolved_by']}: {alert['resolution']}")
    return "; ".join(parts)


def _history(alert: Json) -> None:
    found = service().get(f"/alerts/{alert['id']}")
    rows = [
        {"at": _moment(event["at"]), "event": f"{event['event']}, {event['severity']}", "by": event["by"], "text": event["text"]}
        for event in found["events"]
    ]
    text_table(pd.DataFrame(rows))
    if found["deliveries"]:
        text_table(pd.DataFrame([_delivery(delivery) for delivery in found["deliveries"]]))
    if alert["detail"]:
        text_table(pd.DataFrame({"name": alert["detail"].keys(), "value": [_value(value) for value in alert["detail"].values()]}))


def _delivery(delivery: Json) -> Json:
    if delivery["sent_at"]:
        state = f"sent {_moment(delivery['sent_at'])}"
    elif delivery["gave_up_at"]:
        state = f"given up: {delivery['error'] or 'no attempt was made'}"
    else:
        state = f"waits until {_moment(delivery['next_at'])}: {delivery['error'] or 'not tried yet'}"
    return {"event": delivery["event"], "sent by": delivery["channel"], "attempts": delivery["attempts"], "state": state}


def _value(value: object) -> str:
    """Return a value of the details on one line; of a list of columns, for example, what each is."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_value(part)}" for name, part in value.items())
    if isinstance(value, list):
        return "; ".join(map(_value, value))
    return "" if value is None else str(value)


def _moment(text: str) -> str:
    return f"{pd.Timestamp(text).tz_convert('UTC'):%m-%d %H:%M:%S}"
