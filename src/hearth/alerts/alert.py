"""An alert and what happens to it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    """How urgent an alert is, the least first."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Its place among the severities, from 0."""
        return list(Severity).index(self)


class State(StrEnum):
    """Where an alert is: nobody has taken it up, somebody has, or it is over."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class EventKind(StrEnum):
    """What happened to an alert."""

    OPENED = "opened"
    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as it is stored.

    Attributes:
        kind: of trouble, such as `drift` or `dag_failed`; a data set has one open alert of a kind.
        dataset: empty if it is about no data set, but about the stack.
        summary: one line for people. Whoever shows it must take it for text: some of it may come from outside.
        detail: JSON, by kind.
        times: how often the trouble was reported while the alert was open.
        updated_at: when it was reported last.
        expires_at: when it resolves by itself unless it is reported again; None: never.
        resolution: why it was resolved.
    """

    id: int
    kind: str
    dataset: str
    severity: Severity
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

    @property
    def state(self) -> State:
        if self.resolved_at is not None:
            return State.RESOLVED
        return State.OPEN if self.acknowledged_at is None else State.ACKNOWLEDGED


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """Something that happened to an alert, with the severity and the words that it had then.

    Attributes:
        alert_id: of the alert.
        by: who did it: a person, the name of an API key, or `hearth`.
        text: the summary; of a resolution, why.
    """

    id: int
    alert_id: int
    event: EventKind
    at: datetime
    severity: Severity
    by: str
    text: str
