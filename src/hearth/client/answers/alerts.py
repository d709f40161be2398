"""Alerts, and the audit trail."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from hearth.client.answers.base import Answer


class AlertInfo(Answer):
    """An alert: its severity is info, warning or critical, its state open, acknowledged or resolved. Its texts may come from outside."""

    id: int
    kind: str
    dataset: str | None
    severity: str
    state: str
    summary: str
    detail: Mapping[str, object]
    times: int
    opened_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None


class AlertList(Answer):
    """Alerts, open ones first, and how many of all data sets are open and acknowledged."""

    alerts: Sequence[AlertInfo]
    open: int
    acknowledged: int


class AlertEventInfo(Answer):
    """Something that happened to an alert."""

    event: str
    at: datetime
    severity: str
    by: str
    text: str


class AlertDelivery(Answer):
    """An event on its way to people."""

    event: str
    channel: str
    attempts: int
    sent_at: datetime | None
    next_at: datetime | None
    gave_up_at: datetime | None
    error: str | None


class AuditEntry(Answer):
    """Something that was done (`done`), not allowed (`refused`) or went wrong (`failed`). Its texts may come from outside."""

    id: int
    at: datetime
    action: str
    result: str
    actor_kind: str
    actor: str
    door: str
    address: str
    dataset: str | None
    alias: str | None
    version: str | None
    subject: str | None
    detail: Mapping[str, object]
    trace_id: str | None
    request_id: str | None


class AuditPage(Answer):
    """A page of the audit trail, the newest first; `cursor` is None on the last one."""

    entries: Sequence[AuditEntry]
    cursor: str | None
    next: str | None


class AlertHistory(Answer):
    """An alert with what happened to it, and whether that was sent."""

    alert: AlertInfo
    events: Sequence[AlertEventInfo]
    deliveries: Sequence[AlertDelivery]
