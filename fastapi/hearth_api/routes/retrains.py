"""Decisions about training again; the DAG makes them, REST reads. And erasures, which keep records out of it."""

from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query

from hearth.audit import Action, Draft, recorded
from hearth.predictions.erasure_store import Erasure
from hearth_api.middleware.api_keys import Admin
from hearth_api.retrains import read_retrains
from hearth_api.schemas.errors import ErrorBody
from hearth_api.schemas.retrain_builders import erasure_info
from hearth_api.schemas.retrains import ErasureInfo, RetrainList
from hearth_api.state import Service

_MOST = 500
_LAST_ROW = 2**31 - 1
_AWAY: dict[int | str, dict[str, object]] = {503: {"model": ErrorBody, "description": "The predictions store is away"}}
_UNKNOWN_DATASET: dict[int | str, dict[str, object]] = {404: {"model": ErrorBody, "description": "No such data set"}}
_ERASURE_RESPONSES: dict[int | str, dict[str, object]] = {
    401: {"model": ErrorBody, "description": "No API key, or an unknown one"},
    403: {"model": ErrorBody, "description": "The key does not have the scope admin"},
    404: {"model": ErrorBody, "description": "Nothing is stored under this id, and nothing was"},
}

router = APIRouter(responses=_AWAY)


@router.get("/retrains/{dataset}", summary="List decisions about training again", tags=["retraining"], responses=_UNKNOWN_DATASET)
async def list_retrains(service: Service, dataset: str, limit: Annotated[int, Query(ge=1, le=_MOST)] = 50) -> RetrainList:
    """The newest first; `next` is what would be decided now."""
    contract = service.contract(dataset)
    return await to_thread.run_sync(partial(read_retrains, service, contract, limit), limiter=service.store_threads)


@router.delete(  # an id may hold a slash: callers choose those of requests
    "/predictions/{message_id:path}", summary="Erase a stored record for good", tags=["stored predictions"], responses=_ERASURE_RESPONSES
)
async def forget_prediction(
    service: Service,
    key: Admin,
    message_id: str,
    row: Annotated[int | None, Query(ge=0, le=_LAST_ROW, description="Only this record of the message; all by default.")] = None,
) -> ErasureInfo:
    """Delete its predictions and labels, and remember its id and row so that it is never stored or trained on again.

    The answer names the data and versions that were trained on it before. Doing it again is safe.
    """

    def work() -> Erasure:
        with recorded(service.audit, Action.PREDICTIONS_ERASED, Draft(subject=message_id, detail={"row": row})) as draft:
            erased = service.erasures.forget(message_id, row, key.name)
            draft.dataset = erased.dataset
            draft.detail |= {"predictions": erased.predictions, "labels": erased.labels}
        return erased

    return erasure_info(await to_thread.run_sync(work, limiter=service.admin_threads))
