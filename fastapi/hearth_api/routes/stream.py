"""The state of the stream: messages that wait, their age, and dead letters."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query

from hearth.streaming.dead_letters import StoredLetter
from hearth_api.requests.parameters import TEXT
from hearth_api.schemas.errors import ErrorBody
from hearth_api.schemas.stream import DeadLetterInfo, StreamInfo
from hearth_api.state import Service, ServiceState

_SEARCHED = 1_000

router = APIRouter(tags=["stream"], responses={503: {"model": ErrorBody, "description": "The stream is away"}})


@router.get("/stream", summary="Get the state of the stream")
async def get_stream(
    service: Service,
    letters: Annotated[int, Query(ge=0, le=100, description="How many of the latest dead letters to list.")] = 10,
    dataset: Annotated[
        str | None, Query(pattern=TEXT, description="List only dead letters of this data set, among the latest thousand.")
    ] = None,
) -> StreamInfo:
    """What waits for the workers, for how long, and the latest messages that could never be scored."""
    return await to_thread.run_sync(_stream_info, service, letters, dataset, limiter=service.stream_threads)


def _stream_info(service: ServiceState, letters: int, dataset: str | None) -> StreamInfo:
    settings, state = service.settings, service.workers_stream.state()
    latest = _latest(service, letters, dataset) if letters else []
    return StreamInfo(
        stream=settings.stream_name,
        group=settings.stream_group,
        length=state.length,
        bound=settings.stream_max_length,
        lag=state.lag,
        pending=state.pending,
        oldest_seconds=state.oldest_seconds,
        newest_seconds=state.newest_seconds,
        dead_letters=state.dead,
        latest_dead_letters=[
            DeadLetterInfo(
                message_id=letter.message_id,
                error=letter.error,
                reason=letter.reason,
                time=letter.time,
                trace_id=letter.trace_id,
                dataset=letter.dataset,
            )
            for letter in latest
        ],
    )


def _latest(service: ServiceState, count: int, dataset: str | None) -> list[StoredLetter]:
    """Return the latest letters; of one data set those among the latest thousand, so that a full stream is not read."""
    letters = service.letters.latest(count if dataset is None else _SEARCHED)
    return [letter for letter in letters if dataset in {None, letter.dataset}][:count]
