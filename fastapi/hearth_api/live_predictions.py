"""Predictions as they are stored, for those who watch: one look at the store serves all of them, and none happens while nobody watches."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

from hearth.errors import PredictionsUnavailable
from hearth.predictions import Prediction, PredictionStore

_LOGGER = logging.getLogger(__name__)
_LOOK_SECONDS = 0.5
_NEWEST = 200  # at most so many are shown of what came in between two looks
_REMEMBERED = 10 * _NEWEST
_WAITING = 1_000  # a watcher who is slower than this loses the oldest


class LivePredictions:
    """Looks at the newest stored predictions and hands what is new to every watcher. Belongs to one event loop."""

    def __init__(self, store: PredictionStore, look_seconds: float = _LOOK_SECONDS) -> None:
        self._store = store
        self._look_seconds = look_seconds
        self._watchers: set[asyncio.Queue[Prediction]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._seen: dict[tuple[str, int], None] = {}

    async def watch(self) -> AsyncIterator[Prediction]:
        """Yield predictions that are stored from now on, in the order in which they are seen."""
        with self._watching() as waiting:
            while True:
                yield await waiting.get()

    @contextmanager
    def _watching(self) -> Iterator["asyncio.Queue[Prediction]"]:
        waiting: asyncio.Queue[Prediction] = asyncio.Queue(_WAITING)
        self._watchers.add(waiting)
        if self._looking is None:
            self._seen.clear()
            self._looking = asyncio.create_task(self._look_again_and_again())
        try:
            yield waiting
        finally:
            self._watchers.discard(waiting)
            if not self._watchers and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _look_again_and_again(self) -> None:
        away = first = False
        first = True
        while True:
            try:
                found = await asyncio.to_thread(self._store.page, _NEWEST)
            except PredictionsUnavailable as error:
                if not away:
                    _LOGGER.warning("live predictions: %s", error)
                away = True
            else:
                away = False
                self._hand_out(found, silent=first)
                first = False
            await asyncio.sleep(self._look_seconds)

    def _hand_out(self, newest_first: Sequence[Prediction], *, silent: bool) -> None:
        """Give the watchers what was not there at the look before; what was there when they came is not new."""
        for prediction in reversed(newest_first):
            key = prediction.message_id, prediction.row
            if key in self._seen:
                continue
            self._seen[key] = None
            if not silent:
                for waiting in self._watchers:
                    if waiting.full():
                        with contextlib.suppress(asyncio.QueueEmpty):
                            waiting.get_nowait()
                    waiting.put_nowait(prediction)
        while len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
