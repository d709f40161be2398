"""Versions that are tried on a share of the champion's requests: what runs and what happened, and what a person does to it."""

from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body, Depends, Query

from hearth.serving.rollouts.admin import Action
from hearth_api.middleware.api_keys import Admin
from hearth_api.requests.bodies import refuse_repeated_keys
from hearth_api.schemas.errors import ErrorBody
from hearth_api.schemas.rollout_builders import rollout_info, rollout_list
from hearth_api.schemas.rollouts import NewRollout, RolloutInfo, RolloutList
from hearth_api.state import Service, ServiceState

_MOST = 200
_RESPONSES: dict[int | str, dict[str, object]] = {
    404: {"model": ErrorBody, "description": "No such data set or version, or no rollout runs"},
    503: {"model": ErrorBody, "description": "The predictions store or the registry is away"},
}
_STEER_RESPONSES: dict[int | str, dict[str, object]] = {
    401: {"model": ErrorBody, "description": "No API key, or an unknown one"},
    403: {"model": ErrorBody, "description": "The key does not have the scope admin"},
    409: {"model": ErrorBody, "description": "Another rollout runs, or the version must not be tried; nothing was moved"},
    429: {"model": ErrorBody, "description": "Too many wrong keys from this address"},
}

router = APIRouter(tags=["rollouts"], responses=_RESPONSES)


@router.get("/rollouts/{dataset}", summary="List rollouts, with the one that runs")
async def get_rollouts(service: Service, dataset: str, limit: Annotated[int, Query(ge=1, le=_MOST)] = 20) -> RolloutList:
    """The share of the champion's requests that a candidate answers, what both versions did, what happened, and those that have ended."""
    contract = service.contract(dataset)
    views = await to_thread.run_sync(service.rollout_admin.history, contract.name, limit, limiter=service.store_threads)
    return rollout_list(dataset, views)


@router.post(
    "/models/{dataset}/rollout/start",
    summary="Try a version on a share of the champion's requests",
    responses=_STEER_RESPONSES,
    dependencies=[Depends(refuse_repeated_keys)],
)
async def start_rollout(service: Service, key: Admin, dataset: str, rollout: Annotated[NewRollout, Body()]) -> RolloutInfo:
    """It becomes champion after its steps, or is rolled back by itself. While one runs another one is refused."""
    contract = service.contract(dataset)
    work = partial(service.rollout_admin.start, contract, rollout.version, key.name, steps=rollout.steps, force=rollout.over_gate)
    view = await to_thread.run_sync(work, limiter=service.admin_threads)
    await _follow(service)
    return rollout_info(view)


@router.post("/models/{dataset}/rollout/{action}", summary="Step forward, pause, resume or stop a rollout", responses=_STEER_RESPONSES)
async def steer_rollout(service: Service, key: Admin, dataset: str, action: Action) -> RolloutInfo:
    """`step`: the next share now, after the last one the end. `pause`: no step until `resume`. `stop`: the champion answers all again."""
    work = partial(service.rollout_admin.act, service.contract(dataset), action, key.name)
    view = await to_thread.run_sync(work, limiter=service.admin_threads)
    await _follow(service)
    return rollout_info(view)


async def _follow(service: ServiceState) -> None:
    """Serve what the registry says now in this process before the response; others follow within HEARTH_ALIAS_POLL_SECONDS."""
    await to_thread.run_sync(service.models.poll, limiter=service.admin_threads)
