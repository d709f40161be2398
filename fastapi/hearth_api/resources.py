"""What the routes of the stream, of stored predictions and of administration use. Opening it asks nothing of any server."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends
from starlette.requests import HTTPConnection

from hearth.predictions import PredictionStore
from hearth.serving.alias_admin import AliasAdmin, AliasRegistry
from hearth.settings import ApiSettings
from hearth.streaming.dead_letters import DeadLetters
from hearth.streaming.group import ConsumerGroup
from hearth.streaming.message_status import MessageStatuses
from hearth.streaming.pending import PendingMessages
from hearth_api.live_predictions import LivePredictions

_STREAM_THREADS, _STORE_THREADS, _ADMIN_THREADS = 8, 4, 2


@dataclass(frozen=True)
class Resources:
    """One for the whole process.

    Each server has threads of its own: while one is away those who ask it wait, and neither predictions nor questions to the others must
    wait with them.
    """

    outcomes: MessageStatuses
    letters: DeadLetters
    workers_stream: ConsumerGroup
    administration: AliasAdmin
    live: LivePredictions
    stream_threads: CapacityLimiter
    store_threads: CapacityLimiter
    admin_threads: CapacityLimiter


@contextmanager
def open_resources(settings: ApiSettings, registry: AliasRegistry, store: PredictionStore) -> Iterator[Resources]:
    """Give the resources of a service, which end before its store does."""
    url, name = settings.redis_url.get_secret_value(), settings.stream_name
    with ExitStack() as stack:
        room, letters = stack.enter_context(PendingMessages(url, name)), stack.enter_context(DeadLetters(url, name))
        workers = stack.enter_context(ConsumerGroup(url, name, settings.stream_group, settings.stream_keep_messages))
        yield Resources(
            outcomes=MessageStatuses(room, letters, store),
            letters=letters,
            workers_stream=workers,
            administration=AliasAdmin(registry),
            live=LivePredictions(store),
            stream_threads=CapacityLimiter(_STREAM_THREADS),
            store_threads=CapacityLimiter(_STORE_THREADS),
            admin_threads=CapacityLimiter(_ADMIN_THREADS),
        )


def resources_of(connection: HTTPConnection) -> Resources:
    """Return the resources of the service that a request has come to."""
    resources = connection.app.state.resources
    assert isinstance(resources, Resources)  # noqa: S101 - the lifespan has put it there
    return resources


Opened = Annotated[Resources, Depends(resources_of)]
