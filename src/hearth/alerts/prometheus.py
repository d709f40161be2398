"""Alerts in the form in which Prometheus, and what speaks like it, posts them to an Alertmanager (API v2).

Prometheus repeats every alert while it fires, with the time until which that holds, and for a while after it has ended. Each of its alerts
is one here: its kind is `prometheus/<alertname>`, with a digest of its labels where there are others than those that have a place here.
An Alertmanager sends the same alerts to its webhooks, in an object and without a time until which they hold.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from hearth.alerts.alert import Severity
from hearth.alerts.alert_store import AlertStore
from hearth.alerts.texts import LONGEST_NAME, one_line

MOST_ALERTS = 1_000
"""In one request."""
MOST_OPEN = 1_000
"""Open alerts from which on no new one is taken from outside: a rule with a label that is always new would fill the store and mailboxes."""
BY = "prometheus"
_HOLDS = timedelta(minutes=5)  # without a time of its own, as an Alertmanager takes it
_LONGEST = timedelta(days=1)  # an Alertmanager repeats to its webhooks every four hours, unless it is set otherwise
_PLACED = frozenset({"alertname", "severity", "dataset"})
_SEVERITIES = {
    **dict.fromkeys(("critical", "page", "error", "fatal", "emergency"), Severity.CRITICAL),
    **dict.fromkeys(("info", "information", "notice", "none", "debug"), Severity.INFO),
}
_SUMMARIES = ("summary", "description", "message")


class _Posted(BaseModel):
    model_config = ConfigDict(extra="ignore")

    labels: dict[str, str] = Field(min_length=1, max_length=100)
    annotations: dict[str, str] = Field(default_factory=dict, max_length=100)
    startsAt: AwareDatetime | None = None  # noqa: N815 - its name
    endsAt: AwareDatetime | None = None  # noqa: N815
    generatorURL: str = ""  # noqa: N815


@dataclass(frozen=True, slots=True)
class Reported:
    """One alert of a request: it fires until `expires_at`, or has ended."""

    kind: str
    dataset: str
    severity: Severity
    summary: str
    detail: Mapping[str, object]
    expires_at: datetime
    has_ended: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request: how many alerts were opened or reported again, how many have ended, and what is wrong with others."""

    firing: int
    resolved: int
    problems: tuple[str, ...]


def read_alerts(body: object, now: datetime) -> tuple[list[Reported], list[str]]:
    """Return the alerts of a body, and what is wrong with those that cannot be read, which cost the others nothing.

    Raises:
        ValueError: the body is no list, or has too many alerts.
    """
    holds = _HOLDS
    if isinstance(body, Mapping):
        body, holds = body.get("alerts"), _LONGEST
    if not isinstance(body, Sequence) or isinstance(body, str) or len(body) > MOST_ALERTS:
        raise ValueError(f"must be a JSON list of at most {MOST_ALERTS} alerts, as Prometheus posts to an Alertmanager")
    alerts, problems = [], []
    for number, entry in enumerate(body):
        try:
            posted = _Posted.model_validate(entry)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            problems.append(f"alert {number}: {'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}")
            continue
        if not one_line(posted.labels.get("alertname", "")):
            problems.append(f"alert {number}: labels.alertname: expected a name")
            continue
        alerts.append(_reported(posted, now, holds))
    return alerts, problems


def report(store: AlertStore, body: object) -> Outcome:
    """Open, report again and resolve alerts as a body says.

    Raises:
        ValueError: the body is no list, or has too many alerts.
        PredictionsUnavailable: the store does not answer; some may be stored. Prometheus posts again what still fires.
    """
    alerts, problems = read_alerts(body, datetime.now(UTC))
    known = {(kind, dataset) for kind, dataset, _ in store.open_counts()}
    firing = resolved = refused = 0
    for alert in alerts:
        if alert.has_ended:
            resolved += store.resolve(alert.kind, alert.dataset, "Prometheus says that it has ended.", BY) is not None
        elif len(known) >= MOST_OPEN and (alert.kind, alert.dataset) not in known:
            refused += 1
        else:
            store.open(alert.kind, alert.dataset, alert.severity, alert.summary, alert.detail, expires_at=alert.expires_at, by=BY)
            known.add((alert.kind, alert.dataset))
            firing += 1
    if refused:
        problems.append(
            f"{refused} new alerts are not taken: {MOST_OPEN} are open. Resolve some, or take labels that always change from rules"
        )
    return Outcome(firing, resolved, tuple(problems))


def _reported(posted: _Posted, now: datetime, holds: timedelta) -> Reported:
    labels, annotations = posted.labels, posted.annotations
    others = {name: value for name, value in labels.items() if name not in _PLACED}
    digest = f"/{hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()[:8]}" if others else ""
    name = one_line(labels["alertname"], LONGEST_NAME // 2)
    where = ", ".join(f"{name}={value}" for name, value in sorted(others.items()))
    words = next((annotations[name] for name in _SUMMARIES if annotations.get(name)), "") or f"{name}{f' ({where})' if where else ''}"
    ends = posted.endsAt if posted.endsAt and posted.endsAt.year > 1 else now + holds  # Go's zero time says that there is none
    return Reported(
        kind=f"prometheus/{name}{digest}",
        dataset=one_line(labels.get("dataset", ""), LONGEST_NAME),
        severity=_SEVERITIES.get(labels.get("severity", "").lower(), Severity.WARNING),
        summary=words,
        detail={
            "labels": labels,
            "annotations": annotations,
            "generator": posted.generatorURL,
            "starts_at": posted.startsAt.isoformat() if posted.startsAt else None,
        },
        expires_at=min(ends, now + _LONGEST),
        has_ended=ends <= now,
    )
