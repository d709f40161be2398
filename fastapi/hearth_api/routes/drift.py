"""What the monitor has found; it writes, REST reads."""

from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from hearth.errors import NoDriftCheck
from hearth_api.schemas.drift import DriftHistory, DriftInfo
from hearth_api.schemas.drift_builders import drift_history, drift_info
from hearth_api.schemas.errors import ErrorBody
from hearth_api.state import Service

_MOST_CHECKS = 500
_RESPONSES: dict[int | str, dict[str, object]] = {
    404: {"model": ErrorBody, "description": "No such data set, or it was never checked"},
    503: {"model": ErrorBody, "description": "The predictions store is away"},
}

router = APIRouter(tags=["drift"], responses=_RESPONSES)


@router.get("/drift/{dataset}", summary="Get the newest check for drift")
async def get_drift(
    service: Service,
    dataset: str,
    at: Annotated[AwareDatetime | None, Query(description="The newest check that was made by this time: 2026-01-31T08:00:00Z.")] = None,
) -> DriftInfo:
    """The level, and each column against what the champion was trained on, with both distributions."""
    contract = service.contract(dataset)
    check = await to_thread.run_sync(service.drift.check_at, contract.name, at, limiter=service.store_threads)
    if check is None:
        raise NoDriftCheck(dataset)
    return drift_info(check)


@router.get("/drift/{dataset}/history", summary="List checks for drift, oldest first")
async def get_drift_history(
    service: Service,
    dataset: str,
    limit: Annotated[int, Query(ge=1, le=_MOST_CHECKS)] = 100,
    since: Annotated[AwareDatetime | None, Query(description="Only checks of this time or later.")] = None,
) -> DriftHistory:
    """The newest checks with the level and the statistics of each column, without distributions."""
    contract = service.contract(dataset)
    read = partial(service.drift.history, contract.name, limit, since)
    return drift_history(dataset, await to_thread.run_sync(read, limiter=service.store_threads))
