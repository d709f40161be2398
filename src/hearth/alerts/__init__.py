"""Alerts: what somebody should look at, stored once for each kind of trouble of a data set, and sent to where people read."""

from hearth.alerts.alert import Alert, AlertEvent, EventKind, Severity, State
from hearth.alerts.alert_store import AlertStore

__all__ = ["Alert", "AlertEvent", "AlertStore", "EventKind", "Severity", "State"]
