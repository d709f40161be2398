"""Predictions as they are stored, for subscribers: one poll of the store serves all of them, and without subscribers there is none."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

from hearth.errors import PredictionsUnavailable
from hearth.predictions import Prediction, PredictionStore

_LOGGER = logging.getLogger(__name__)
_POLL_SECONDS = 0.5
_MAX_NEW = 200  # predictions that one poll reads: older ones of a larger burst are skipped
_MAX_REMEMBERED = 10 * _MAX_NEW
_QUEUE_SIZE = 1_000  # a slower subscriber loses the oldest

Queue = asyncio.Queue[Prediction]


class LivePredictions:
    """Polls the store and hands new predictions to every subscriber. Belongs to one event loop."""

    def __init__(self, store: PredictionStore, poll_seconds: float = _POLL_SECONDS) -> None:
        self._store = store
        self._poll_seconds = poll_seconds
        self._queues: set[Queue] = set()
        self._poller: asyncio.Task[None] | None = None
        self._remembered: dict[tuple[str, int], None] = {}

    async def subscribe(self) -> AsyncIterator[Prediction]:
        """Yield predictions that are stored from now on, in the order of storing."""
        with self._subscription() as queue:
            while True:
                yield await queue.get()

    @contextmanager
    def _subscription(self) -> Iterator[Queue]:
        queue = Queue(_QUEUE_SIZE)
        self._queues.add(queue)
        if self._poller is None:
            self._remembered.clear()
            self._poller = asyncio.create_task(self._poll_forever())
        try:
            yield queue
        finally:
            self._queues.discard(queue)
            if not self._queues and self._poller is not None:
                self._poller.cancel()
                self._poller = None

    async def _poll_forever(self) -> None:
        unavailable, first = False, True
        while True:
            try:
                page = await asyncio.to_thread(self._store.page, _MAX_NEW)
            except PredictionsUnavailable as error:
                if not unavailable:
                    _LOGGER.warning("live predictions: %s", error)
                unavailable = True
            else:
                self._publish(page, silent=first)
                unavailable = first = False
            await asyncio.sleep(self._poll_seconds)

    def _publish(self, newest_first: Sequence[Prediction], *, silent: bool) -> None:
        """Hand out the predictions that the polls before did not return; the first poll only remembers what is stored already."""
        for prediction in reversed(newest_first):
            key = prediction.message_id, prediction.row
            if key in self._remembered:
                continue
            self._remembered[key] = None
            for queue in () if silent else self._queues:
                if queue.full():
                    with contextlib.suppress(asyncio.QueueEmpty):
                        queue.get_nowait()
                queue.put_nowait(prediction)
        while len(self._remembered) > _MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
