"""Alerts as REST and GraphQL answer them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from hearth.alerts import Alert, AlertEvent, State
from hearth.alerts.outbox import DeliveryState
from hearth.serving.access import Key
from hearth_api.schemas.alerts import AlertDelivery, AlertEventInfo, AlertHistory, AlertInfo, AlertList


def alert_info(alert: Alert) -> AlertInfo:
    return AlertInfo(**{**asdict(alert), "dataset": alert.dataset or None, "state": alert.state})


def alert_list(alerts: Sequence[Alert], counts: Mapping[State, int]) -> AlertList:
    return AlertList(
        alerts=[alert_info(alert) for alert in alerts], open=counts.get(State.OPEN, 0), acknowledged=counts.get(State.ACKNOWLEDGED, 0)
    )


def alert_history(alert: Alert, events: Sequence[AlertEvent], deliveries: Sequence[DeliveryState]) -> AlertHistory:
    names = {event.id: event.event for event in events}
    return AlertHistory(
        alert=alert_info(alert),
        events=[
            AlertEventInfo(event=event.event.value, at=event.at, severity=event.severity.value, by=event.by, text=event.text)
            for event in events
        ],
        deliveries=[
            AlertDelivery(
                event=names[delivery.event_id],
                channel=delivery.channel,
                attempts=delivery.attempts,
                sent_at=delivery.sent_at,
                next_at=delivery.next_at if delivery.sent_at is None and delivery.gave_up_at is None else None,
                gave_up_at=delivery.gave_up_at,
                error=delivery.error,
            )
            for delivery in deliveries
            if delivery.event_id in names
        ],
    )


def person(name: str | None, key: Key) -> str:
    """Return who did something: the key is known, the name is what its holder says."""
    return f"{name} (key {key.name})" if name else key.name
