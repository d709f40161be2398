"""Stored predictions, and the state of a message of the stream."""

from functools import partial
from typing import Annotated, Literal
from urllib.parse import urlencode

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime

from hearth.predictions import Cursor
from hearth_api.audit import act_for
from hearth_api.middleware.api_keys import caller_name
from hearth_api.requests.parameters import TEXT, alias_filter
from hearth_api.schemas.builders import stored_prediction
from hearth_api.schemas.errors import ErrorBody
from hearth_api.schemas.stream import DeadRecords, MessageOutcome, PredictionPage
from hearth_api.state import Service

_MAX_LIMIT = 1_000
_RESPONSES: dict[int | str, dict[str, object]] = {503: {"model": ErrorBody, "description": "The predictions store or the stream is away"}}

router = APIRouter(tags=["stored predictions"], responses=_RESPONSES)


@router.get("/predictions", summary="List stored predictions, newest first")
async def list_predictions(  # noqa: PLR0913, PLR0917 - filters
    request: Request,
    service: Service,
    model: Annotated[str | None, Depends(alias_filter)],
    limit: Annotated[int, Query(ge=1, le=_MAX_LIMIT)] = 100,
    after: Annotated[str | None, Query(description="The cursor of the page before.")] = None,
    dataset: Annotated[str | None, Query(pattern=TEXT, description="Only those of this data set.")] = None,
    source: Annotated[
        Literal["stream", "rest", "graphql", "grpc", "file", "batch"] | None, Query(description="Only those of this interface.")
    ] = None,
    role: Annotated[Literal["answer", "challenger"], Query(description="Answers, or a challenger's predictions in shadow.")] = "answer",
    since: Annotated[AwareDatetime | None, Query(description="Only those scored at this time or later: 2026-01-31T08:00:00Z.")] = None,
) -> PredictionPage:
    """A page of predictions; `next` is the path of the page after it. New predictions never shift the pages that follow."""
    before = Cursor.decode(after) if after is not None else None
    read = partial(service.store.page, limit + 1, before, dataset=dataset, alias=model, role=role, source=source)
    predictions = await to_thread.run_sync(read, limiter=service.store_threads)
    if since is not None:
        predictions = [prediction for prediction in predictions if prediction.scored_at >= since]
    page = predictions[:limit]
    act_for(request, "rest", caller_name(request))
    chosen = {"alias": model, "source": source, "role": role, "since": since and since.isoformat()}
    note = partial(service.audit.reads.read, dataset, chosen, len(page))
    await to_thread.run_sync(note, limiter=service.store_threads)
    cursor = Cursor.after(page[-1]).encode() if len(predictions) > limit else None
    filters = [(name, value) for name, value in request.query_params.items() if name != "after"]
    return PredictionPage(
        predictions=[stored_prediction(service.contracts, prediction) for prediction in page],
        cursor=cursor,
        next=f"{request.url.path}?{urlencode([*filters, ('after', cursor)])}" if cursor else None,
    )


@router.get(  # an id may hold a slash: callers choose those of requests
    "/predictions/{message_id:path}", summary="Get the state of a message", responses={404: {"model": ErrorBody}}
)
async def find_prediction(request: Request, service: Service, message_id: str) -> MessageOutcome:
    """Its predictions if they are stored, the reason if its records are dead, or that it still waits."""
    status = await to_thread.run_sync(service.messages.find, message_id, limiter=service.store_threads)
    if status.predictions:
        act_for(request, "rest", caller_name(request))
        note = partial(service.audit.reads.read, status.predictions[0].dataset, {"id": status.message_id}, len(status.predictions))
        await to_thread.run_sync(note, limiter=service.store_threads)
    letter = status.letter
    return MessageOutcome(
        message_id=status.message_id,
        status=status.status,
        predictions=[stored_prediction(service.contracts, prediction) for prediction in status.predictions],
        dead=DeadRecords(error=letter.error, reason=letter.reason, time=letter.time, trace_id=letter.trace_id) if letter else None,
        problem=status.problem,
    )
