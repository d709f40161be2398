"""How the stream is: what waits in it, for how long, and what has died."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query

from hearth_api.resources import Opened, Resources
from hearth_api.schemas.errors import ErrorBody
from hearth_api.schemas.stream import DeadLetterInfo, StreamInfo
from hearth_api.state import Service

router = APIRouter(tags=["stream"], responses={503: {"model": ErrorBody, "description": "The stream is away"}})


@router.get("/stream", summary="How the stream is", responses={422: {"model": ErrorBody}})
async def stream_state(
    service: Service,
    opened: Opened,
    letters: Annotated[int, Query(ge=0, le=100, description="so many of the latest dead letters")] = 10,
) -> StreamInfo:
    """What waits for the workers, for how long, and the latest messages that could never be scored."""
    settings = service.settings
    return await to_thread.run_sync(
        _look, opened, settings.stream_name, settings.stream_group, settings.stream_max_length, letters, limiter=opened.stream_threads
    )


def _look(opened: Resources, name: str, group: str, bound: int, letters: int) -> StreamInfo:
    state = opened.workers_stream.state()
    latest = opened.letters.latest(letters) if letters else ()
    return StreamInfo(
        stream=name,
        group=group,
        length=state.length,
        bound=bound,
        lag=state.lag,
        pending=state.pending,
        oldest_seconds=state.oldest_seconds,
        newest_seconds=state.newest_seconds,
        dead_letters=state.dead,
        latest_dead_letters=[
            DeadLetterInfo(message_id=letter.message_id, error=letter.error, reason=letter.reason, time=letter.time) for letter in latest
        ],
    )
