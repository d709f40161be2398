"""Who a request is from, for the audit trail; and the changes of alerts that both REST and GraphQL make."""

from starlette.requests import HTTPConnection

from hearth.alerts import Alert
from hearth.audit import Action, Actor, Draft, recorded
from hearth.audit.actor import ACTOR
from hearth_api.state import ServiceState


def act_for(connection: HTTPConnection, door: str, name: str | None) -> None:
    """Let what this request does from now on be done for its caller: the holder of the key of this name, or nobody we know."""
    address = connection.client.host if connection.client else ""
    ACTOR.set(Actor("key" if name else "nobody", name or "", door, address))


def acknowledge(service: ServiceState, alert_id: int, by: str) -> Alert:
    """Take an alert up. Raises what `Outbox.acknowledge` raises."""
    with recorded(service.audit, Action.ALERT_ACKNOWLEDGED, Draft(subject=str(alert_id), detail={"by": by})) as draft:
        alert = service.alerts.acknowledge(alert_id, by)
        draft.dataset, draft.detail["kind"] = alert.dataset, alert.kind
    return alert


def resolve(service: ServiceState, alert_id: int, why: str, by: str) -> Alert:
    """Say that an alert is over. Raises what `Outbox.resolve_id` raises."""
    with recorded(service.audit, Action.ALERT_RESOLVED, Draft(subject=str(alert_id), detail={"by": by})) as draft:
        alert = service.alerts.resolve_id(alert_id, why, by)
        draft.dataset, draft.detail["kind"] = alert.dataset, alert.kind
    return alert
