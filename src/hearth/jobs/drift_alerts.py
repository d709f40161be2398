"""The alert of a check for drift: one for a data set, with its columns, for as long as its level alarms."""

from hearth.alerts import Alert, AlertStore, Severity
from hearth.monitoring.check import DriftCheck, Level

KIND = "drift"
_SEVERITIES = {Level.WARN: Severity.INFO, Level.DRIFT: Severity.WARNING, Level.ACT: Severity.CRITICAL}


def report_check(alerts: AlertStore, check: DriftCheck) -> Alert | None:
    """Open, update or resolve the alert of a data set as its newest check says, and return it; None without one.

    The level of a check holds an alarm long enough, so it is followed as it is. A new champion's windows start anew, and so its alarms.

    Raises:
        PredictionsUnavailable: the store does not answer.
    """
    if check.level not in _SEVERITIES:
        return alerts.resolve(KIND, check.dataset, check.summary)
    columns = [
        {
            "name": column.name,
            "level": column.level,
            "psi": round(column.difference.psi, 4),
            "p_value": column.p_value,
            "what": column.difference.detail,
        }
        for column in check.alarming
    ]
    detail = {"version": check.version, "level": check.level, "since": check.since and check.since.isoformat(), "columns": columns}
    return alerts.open(KIND, check.dataset, _SEVERITIES[check.level], check.summary, detail)
