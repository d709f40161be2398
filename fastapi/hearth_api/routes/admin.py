"""What only those may do who hold a key with the scope `admin`."""

from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body

from hearth.serving.alias_admin import Move, PromotionRequest
from hearth.serving.model_follower import AliasStatus
from hearth_api.middleware.api_keys import Admin
from hearth_api.resources import Opened
from hearth_api.schemas.admin import MovedAliases, Promotion, Reloaded, ReloadedAlias
from hearth_api.schemas.errors import ErrorBody
from hearth_api.state import Service, ServiceState

_RESPONSES: dict[int | str, dict[str, object]] = {
    401: {"model": ErrorBody, "description": "No API key, or one that nobody has"},
    403: {"model": ErrorBody, "description": "The key does not have the scope admin"},
    429: {"model": ErrorBody, "description": "Too many wrong keys came from this address"},
}
_MOVE_RESPONSES: dict[int | str, dict[str, object]] = {
    404: {"model": ErrorBody, "description": "No such data set, alias or version"},
    409: {"model": ErrorBody, "description": "It must not be moved, or cannot as things are; nothing was"},
    503: {"model": ErrorBody, "description": "The registry is away"},
}

router = APIRouter(tags=["administration"], responses=_RESPONSES)


@router.post("/model/reload", summary="Look at the registry now")
@router.post("/reload-cache", summary="The same", include_in_schema=False)
async def reload(service: Service, opened: Opened, _: Admin) -> Reloaded:
    """Load what has moved and answer what is served. Other processes follow by themselves, within HEARTH_ALIAS_POLL_SECONDS."""
    await to_thread.run_sync(service.models.poll, limiter=opened.admin_threads)
    status = service.models.status()
    return Reloaded(problem=status.problem, aliases=[_alias(alias) for alias in status.aliases])


@router.post("/models/{dataset}/rollback", summary="Back to the champion before", responses=_MOVE_RESPONSES)
async def roll_back(service: Service, opened: Opened, key: Admin, dataset: str) -> MovedAliases:
    """Champion and previous change places; the next training may choose the best of the families again."""
    ask = partial(opened.administration.roll_back, service.contract(dataset), key.name)
    move = await to_thread.run_sync(ask, limiter=opened.admin_threads)
    return await _followed(service, opened, move, key.name)


@router.post("/models/{dataset}/promote", summary="Give a version an alias", responses={**_MOVE_RESPONSES, 422: {"model": ErrorBody}})
async def promote(service: Service, opened: Opened, key: Admin, dataset: str, asked: Annotated[Promotion, Body()]) -> MovedAliases:
    """Make a version champion, or give it another alias; a champion that is replaced becomes previous."""
    promotion = PromotionRequest(asked.version or asked.from_ or "", asked.to, asked.over_gate)
    ask = partial(opened.administration.promote, service.contract(dataset), promotion, key.name)
    move = await to_thread.run_sync(ask, limiter=opened.admin_threads)
    return await _followed(service, opened, move, key.name)


async def _followed(service: ServiceState, opened: Opened, move: Move, by: str) -> MovedAliases:
    """Serve what was moved before the answer says that it was."""
    await to_thread.run_sync(service.models.poll, limiter=opened.admin_threads)
    serving = {status.alias: status.serving for status in service.models.status().aliases if status.dataset == move.dataset}
    return MovedAliases(
        dataset=move.dataset,
        alias=move.alias,
        version=move.version,
        family=move.family,
        gate=move.gate,
        moved=move.before != move.after,
        before=dict(move.before),
        after=dict(move.after),
        serving=serving[move.alias],
        by=by,
    )


def _alias(status: AliasStatus) -> ReloadedAlias:
    return ReloadedAlias(
        dataset=status.dataset, alias=status.alias, version=status.serving, registered=status.registered, problem=status.problem
    )
