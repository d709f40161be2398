"""Alerts, what happened to them, and what people say about them."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

StateName = Literal["open", "acknowledged", "resolved"]
SeverityName = Literal["info", "warning", "critical"]


class AlertInfo(BaseModel):
    """Something that somebody should look at. Its texts may come from outside: show them as text."""

    id: int
    kind: str = Field(description="of trouble, such as drift; a data set has one open alert of a kind")
    dataset: str | None = Field(description="null: it is about the stack")
    severity: SeverityName = Field(description="info, warning or critical")
    state: StateName = Field(description="open, acknowledged or resolved")
    summary: str
    detail: dict[str, object] = Field(description="by kind")
    times: int = Field(description="how often the trouble was reported while the alert was open")
    opened_at: datetime
    updated_at: datetime = Field(description="when it was reported last")
    expires_at: datetime | None = Field(description="when it resolves by itself unless it is reported again")
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    resolved_by: str | None = Field(description="hearth: by itself")
    resolution: str | None = Field(description="why it was resolved")


class AlertList(BaseModel):
    """Alerts: open ones first, then acknowledged, then resolved; the most urgent and the newest first."""

    alerts: list[AlertInfo]
    open: int = Field(description="alerts that nobody has taken up, of all data sets")
    acknowledged: int = Field(description="alerts that somebody has taken up and that are not over")


class AlertEventInfo(BaseModel):
    """Something that happened to an alert."""

    event: Literal["opened", "raised", "acknowledged", "resolved"] = Field(description="opened, raised, acknowledged or resolved")
    at: datetime
    severity: SeverityName
    by: str
    text: str


class AlertDelivery(BaseModel):
    """An event on its way to people."""

    event: str
    channel: str = Field(description="webhook or mail")
    attempts: int
    sent_at: datetime | None
    next_at: datetime | None = Field(description="when it is tried again; null if it was sent or given up")
    gave_up_at: datetime | None
    error: str | None = Field(description="of the last attempt")


class AlertHistory(BaseModel):
    """An alert with what happened to it, and to whom that was sent."""

    alert: AlertInfo
    events: list[AlertEventInfo]
    deliveries: list[AlertDelivery]


class Acknowledgement(BaseModel):
    """Who takes an alert up."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"by": "Ada"}]})

    by: str | None = Field(None, min_length=1, max_length=100, description="a person; by default the name of the API key")


class Resolution(Acknowledgement):
    """Who says that an alert is over, and why."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"by": "Ada", "why": "the sensor was replaced"}]})

    why: str = Field("It was resolved by hand.", min_length=1, max_length=1_000)


class ReportedAlerts(BaseModel):
    """What became of alerts that were posted."""

    firing: int
    resolved: int
