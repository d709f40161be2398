"""What labels show of the quality of what is served; the monitor writes it, REST reads."""

from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from hearth.errors import NoQualityCheck
from hearth_api.schemas.errors import ErrorBody
from hearth_api.schemas.quality import PastQualityInfo, QualityHistory, QualityInfo
from hearth_api.state import Service

_MOST_CHECKS = 500
_RESPONSES: dict[int | str, dict[str, object]] = {
    404: {"model": ErrorBody, "description": "No such data set, or its quality was never measured"},
    503: {"model": ErrorBody, "description": "The predictions store is away"},
}

router = APIRouter(tags=["quality"], responses=_RESPONSES)


@router.get("/quality/{dataset}", summary="Get the quality that labels show")
async def get_quality(
    service: Service,
    dataset: str,
    at: Annotated[AwareDatetime | None, Query(description="The newest check that was made by this time: 2026-01-31T08:00:00Z.")] = None,
) -> QualityInfo:
    """The level, and each version's metric, calibration, confusion and coverage, by day, alias and group."""
    contract = service.contract(dataset)
    check = await to_thread.run_sync(service.quality.check_at, contract.name, at, limiter=service.store_threads)
    if check is None:
        raise NoQualityCheck(dataset)
    return QualityInfo.model_validate(check)


@router.get("/quality/{dataset}/history", summary="List checks of quality, oldest first")
async def get_quality_history(
    service: Service,
    dataset: str,
    limit: Annotated[int, Query(ge=1, le=_MOST_CHECKS)] = 100,
    since: Annotated[AwareDatetime | None, Query(description="Only checks of this time or later.")] = None,
) -> QualityHistory:
    """The newest checks with the champion's metric and evidence."""
    contract = service.contract(dataset)
    read = partial(service.quality.history, contract.name, limit, since)
    checks = await to_thread.run_sync(read, limiter=service.store_threads)
    return QualityHistory(dataset=dataset, checks=[PastQualityInfo.model_validate(check) for check in checks])
