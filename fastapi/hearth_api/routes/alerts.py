"""Alerts: what somebody should look at. People acknowledge and resolve them here; Prometheus posts its own."""

from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body, Depends, Path, Query, Request

from hearth.alerts.prometheus import report
from hearth_api.audit import acknowledge, resolve
from hearth_api.errors import InvalidBody
from hearth_api.middleware.api_keys import Admin
from hearth_api.requests.bodies import Limit, parse_body_json, receive_body, refuse_repeated_keys
from hearth_api.requests.parameters import TEXT
from hearth_api.schemas.alert_builders import alert_history, alert_info, alert_list, person
from hearth_api.schemas.alerts import (
    Acknowledgement,
    AlertHistory,
    AlertInfo,
    AlertList,
    ReportedAlerts,
    Resolution,
    SeverityName,
    StateName,
)
from hearth_api.schemas.errors import ErrorBody
from hearth_api.state import Service

MOST_ALERTS = 500
_RESPONSES: dict[int | str, dict[str, object]] = {503: {"model": ErrorBody, "description": "The predictions store is away"}}
_ONE_RESPONSES: dict[int | str, dict[str, object]] = {404: {"model": ErrorBody, "description": "There is no such alert"}}
_CHANGE_RESPONSES: dict[int | str, dict[str, object]] = {
    **_ONE_RESPONSES,
    401: {"model": ErrorBody, "description": "No API key, or an unknown one"},
    403: {"model": ErrorBody, "description": "The key does not have the scope admin"},
    409: {"model": ErrorBody, "description": "The alert is resolved"},
    429: {"model": ErrorBody, "description": "Too many wrong keys from this address"},
}
_POST_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "array",
                    "items": {"type": "object", "required": ["labels"], "properties": {"labels": {"type": "object"}}},
                },
                "example": [{"labels": {"alertname": "NoChampion", "severity": "critical"}, "annotations": {"summary": "No champion"}}],
            }
        },
    }
}
AlertId = Annotated[int, Path(ge=1, le=2**63 - 1)]

router = APIRouter(tags=["alerts"], responses=_RESPONSES)


@router.get("/alerts", summary="List alerts")
async def get_alerts(
    service: Service,
    state: Annotated[StateName | None, Query(description="Only open, acknowledged or resolved ones.")] = None,
    dataset: Annotated[str | None, Query(pattern=TEXT, description="Only those of a data set; empty: those of the stack.")] = None,
    severity: Annotated[SeverityName | None, Query(description="Only those of this severity.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ALERTS)] = 100,
) -> AlertList:
    """Open ones first, then acknowledged, then resolved; the most urgent and the newest first."""
    read = partial(service.alerts.alerts, state, dataset, limit, severity=severity)
    alerts = await to_thread.run_sync(read, limiter=service.store_threads)
    counts = await to_thread.run_sync(service.alerts.state_counts, limiter=service.store_threads)
    return alert_list(alerts, counts)


@router.get("/alerts/{alert_id}", summary="Get an alert with what happened to it", responses=_ONE_RESPONSES)
async def get_alert(service: Service, alert_id: AlertId) -> AlertHistory:
    """Its events, and whether each was sent to the channels of the settings."""

    def read() -> AlertHistory:
        alert = service.alerts.alert(alert_id)
        return alert_history(alert, service.alerts.events(alert_id), service.alerts.deliveries(alert_id))

    return await to_thread.run_sync(read, limiter=service.store_threads)


@router.post(
    "/alerts/{alert_id}/acknowledge",
    summary="Take an alert up",
    responses=_CHANGE_RESPONSES,
    dependencies=[Depends(refuse_repeated_keys)],
)
async def acknowledge_alert(
    service: Service, key: Admin, alert_id: AlertId, who: Annotated[Acknowledgement | None, Body()] = None
) -> AlertInfo:
    """Write down who looks at it; whoever did so first stays. A rise of the severity opens it again."""
    work = partial(acknowledge, service, alert_id, person(who.by if who else None, key))
    return alert_info(await to_thread.run_sync(work, limiter=service.admin_threads))


@router.post(
    "/alerts/{alert_id}/resolve",
    summary="Say that an alert is over",
    responses=_CHANGE_RESPONSES,
    dependencies=[Depends(refuse_repeated_keys)],
)
async def resolve_alert(service: Service, key: Admin, alert_id: AlertId, why: Annotated[Resolution | None, Body()] = None) -> AlertInfo:
    """Trouble that is still there opens a new one when it is reported again. One that is resolved stays as it is."""
    said = why or Resolution(by=None)
    work = partial(resolve, service, alert_id, said.why, person(said.by, key))
    return alert_info(await to_thread.run_sync(work, limiter=service.admin_threads))


@router.post("/api/v2/alerts", summary="Report alerts as Prometheus does", openapi_extra=_POST_BODY)
async def post_alerts(service: Service, request: Request) -> ReportedAlerts:
    """The form of Alertmanager's API v2: a list, each with `labels`, `annotations`, `startsAt`, `endsAt` and `generatorURL`.

    `endsAt` in the past resolves. An alert that cannot be read costs the others nothing; it is named in the error. Where keys are required,
    this needs one with the scope `alert`.
    """
    settings = service.settings
    content = await receive_body(request.scope, request.receive, Limit(settings.api_max_body_bytes), settings.api_body_seconds)
    try:
        outcome = await to_thread.run_sync(report, service.alerts, parse_body_json(content), limiter=service.store_threads)
    except ValueError as error:
        raise InvalidBody(f"The body {error}.") from error
    if outcome.problems:
        done = f"{outcome.firing} firing and {outcome.resolved} resolved alerts are stored"
        raise InvalidBody(f"{'; '.join(outcome.problems[:10])}. {done}.")
    return ReportedAlerts(firing=outcome.firing, resolved=outcome.resolved)
