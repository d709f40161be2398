"""Administration: every route needs a key with the scope `admin`."""

from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body, Depends, Query

from hearth.serving.alias_admin import Move, PromotionRequest
from hearth.serving.alias_view import AliasStatus
from hearth_api.middleware.api_keys import Admin
from hearth_api.requests.bodies import refuse_repeated_keys
from hearth_api.schemas.admin import MovedAliases, Promotion, Reloaded, ReloadedAlias
from hearth_api.schemas.errors import ErrorBody
from hearth_api.state import Service, ServiceState

_RESPONSES: dict[int | str, dict[str, object]] = {
    401: {"model": ErrorBody, "description": "No API key, or an unknown one"},
    403: {"model": ErrorBody, "description": "The key does not have the scope admin"},
    429: {"model": ErrorBody, "description": "Too many wrong keys from this address"},
}
_MOVE_RESPONSES: dict[int | str, dict[str, object]] = {
    404: {"model": ErrorBody, "description": "No such data set, alias or version"},
    409: {"model": ErrorBody, "description": "The alias must not or cannot move; nothing was moved"},
    503: {"model": ErrorBody, "description": "The registry is away"},
}

OverGate = Annotated[bool, Query(description="go back even if the previous champion breaks a bound of the contract")]

router = APIRouter(tags=["administration"], responses=_RESPONSES)


@router.post("/model/reload", summary="Follow the registry now")
@router.post("/reload-cache", include_in_schema=False)
async def reload(service: Service, _: Admin) -> Reloaded:
    """Load what has moved, in this process; others follow within HEARTH_ALIAS_POLL_SECONDS. `/reload-cache` is the same."""
    await to_thread.run_sync(service.models.poll, limiter=service.admin_threads)
    status = service.models.status()
    return Reloaded(problem=status.problem, aliases=[_alias(alias) for alias in status.aliases])


@router.post("/models/{dataset}/rollback", summary="Go back to the previous champion", responses=_MOVE_RESPONSES)
async def roll_back(service: Service, key: Admin, dataset: str, over_gate: OverGate = False) -> MovedAliases:
    """Swap `champion` and `previous`. A later training may choose the best family again.

    A previous champion that breaks a bound of the contract on the present test set needs `over_gate`, which is recorded.
    """
    work = partial(service.alias_admin.roll_back, service.contract(dataset), key.name, force=over_gate)
    move = await to_thread.run_sync(work, limiter=service.admin_threads)
    return await _follow(service, move, key.name)


@router.post(
    "/models/{dataset}/promote", summary="Give a version an alias", responses=_MOVE_RESPONSES, dependencies=[Depends(refuse_repeated_keys)]
)
async def promote(service: Service, key: Admin, dataset: str, promotion: Annotated[Promotion, Body()]) -> MovedAliases:
    """Make a version champion, or give it another alias. A champion that is replaced becomes `previous`."""
    request = PromotionRequest(promotion.version or promotion.from_ or "", promotion.to, promotion.over_gate)
    work = partial(service.alias_admin.promote, service.contract(dataset), request, key.name)
    move = await to_thread.run_sync(work, limiter=service.admin_threads)
    return await _follow(service, move, key.name)


async def _follow(service: ServiceState, move: Move, by: str) -> MovedAliases:
    """Serve the moved alias in this process before the response."""
    await to_thread.run_sync(service.models.poll, limiter=service.admin_threads)
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
