"""What was predicted, and what became of a message."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Literal
from urllib.parse import urlencode

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime

from hearth.contracts import Contract
from hearth.predictions import Cursor, Prediction, class_values
from hearth.streaming.message_status import MessageStatus
from hearth_api.resources import Opened
from hearth_api.schemas.errors import ErrorBody
from hearth_api.schemas.stream import DeadRecords, MessageOutcome, PredictionPage, StoredPrediction
from hearth_api.state import Service

_MOST = 1_000
_TEXT = r"^[^\x00]*$"  # what PostgreSQL can compare
_RESPONSES: dict[int | str, dict[str, object]] = {503: {"model": ErrorBody, "description": "The predictions store or the stream is away"}}

router = APIRouter(tags=["stored predictions"], responses=_RESPONSES)


@router.get("/predictions", summary="Stored predictions, newest first", responses={422: {"model": ErrorBody}})
async def list_predictions(  # noqa: PLR0913, PLR0917 - what one may choose by
    request: Request,
    service: Service,
    opened: Opened,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 100,
    after: Annotated[str | None, Query(description="the cursor of the page before")] = None,
    dataset: Annotated[str | None, Query(pattern=_TEXT, description="of this data set only")] = None,
    model: Annotated[str | None, Query(pattern=_TEXT, description="made under this alias only")] = None,
    source: Annotated[Literal["stream", "rest", "graphql", "grpc", "file"] | None, Query(description="that came this way only")] = None,
    role: Annotated[
        Literal["answer", "challenger"], Query(description="what was answered, or what a challenger said in shadow")
    ] = "answer",
    since: Annotated[AwareDatetime | None, Query(description="scored at this time or later, such as 2026-01-31T08:00:00Z")] = None,
) -> PredictionPage:
    """A page of what was predicted; `next` leads to the one behind it. What is added meanwhile is newer than every page that follows."""
    before = Cursor.decode(after) if after is not None else None
    read = partial(service.store.page, limit + 1, before, dataset=dataset, alias=model, role=role, source=source)
    found = await to_thread.run_sync(read, limiter=opened.store_threads)
    if since is not None:
        found = [prediction for prediction in found if prediction.scored_at >= since]
    page = found[:limit]
    cursor = Cursor.after(page[-1]).encode() if len(found) > limit else None
    chosen = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
    return PredictionPage(
        predictions=[_stored(service.contracts, prediction) for prediction in page],
        cursor=cursor,
        next=f"{request.url.path}?{urlencode([*chosen, ('after', cursor)])}" if cursor else None,
    )


@router.get("/predictions/{message_id}", summary="What became of a message", responses={404: {"model": ErrorBody}})
async def find_prediction(service: Service, opened: Opened, message_id: str) -> MessageOutcome:
    """Its predictions if they are stored, why its records are dead if some are, or that it still waits."""
    outcome = await to_thread.run_sync(opened.outcomes.find, message_id, limiter=opened.store_threads)
    return _outcome(service.contracts, outcome)


def _outcome(contracts: Mapping[str, Contract], outcome: MessageStatus) -> MessageOutcome:
    letter = outcome.letter
    return MessageOutcome(
        message_id=outcome.message_id,
        status=outcome.status,
        predictions=[_stored(contracts, prediction) for prediction in outcome.predictions],
        dead=DeadRecords(error=letter.error, reason=letter.reason, time=letter.time) if letter else None,
        problem=outcome.problem,
    )


def _stored(contracts: Mapping[str, Contract], given: Prediction) -> StoredPrediction:
    value, names = class_values(given, contracts.get(given.dataset))
    return StoredPrediction(
        message_id=given.message_id,
        row=given.row,
        dataset=given.dataset,
        alias=given.alias,
        version=given.version,
        family=given.family,
        prediction=value,
        label=given.label,
        probabilities=dict(zip(names, given.probabilities, strict=True)),
        record=given.record,
        source=given.source,
        role=given.role,
        enqueued_at=given.enqueued_at,
        scored_at=given.scored_at,
    )
