"""What the service needs of other servers, asked all at once and without patience."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

from hearth import storage
from hearth.errors import HearthError
from hearth.predictions import PredictionStore
from hearth.registry import Registry
from hearth.settings import ApiSettings
from hearth.streaming.client import StreamWriter

_LOGGER = logging.getLogger(__name__)
_PATIENCE_SECONDS = 2.0

Check = Callable[[], None]
"""Returns if a server answers, and raises what is wrong with it."""


@dataclass(frozen=True)
class Answer:
    """How a server is: `problem` is empty if nothing is wrong."""

    problem: str
    milliseconds: float


class Dependencies:
    """The servers that the service needs, by name. While one does not answer, no second question waits for it."""

    def __init__(self, checks: Mapping[str, Check], places: Mapping[str, str]) -> None:
        self._checks = dict(checks)
        self.places = places
        self._asked: dict[str, Future[Answer]] = {}

    async def ask(self) -> dict[str, Answer]:
        """Ask all of them and return how each is, after no longer than the patience lasts."""
        for name, check in self._checks.items():
            if name not in self._asked or self._asked[name].done():
                self._asked[name] = _in_background(name, check)
        waiting = [asyncio.wrap_future(asked) for asked in self._asked.values()]
        if waiting:
            await asyncio.wait(waiting, timeout=_PATIENCE_SECONDS)
        return {name: self._answer(asked) for name, asked in self._asked.items()}

    def _answer(self, asked: "Future[Answer]") -> Answer:
        if asked.done():
            return asked.result()
        return Answer(f"no answer within {_PATIENCE_SECONDS:g} seconds", _PATIENCE_SECONDS * 1000)


def checks_of(settings: ApiSettings, store: PredictionStore, stream: StreamWriter) -> dict[str, Check]:
    """Return what the service needs as the environment names it."""
    registry = Registry.from_settings(settings)
    return {
        "mlflow": lambda: registry.ping(_PATIENCE_SECONDS),
        "s3": lambda: storage.ping(settings.s3_endpoint_url, _PATIENCE_SECONDS),
        "redis": stream.ping,
        "postgresql": store.ping,
    }


def places_of(settings: ApiSettings, store: PredictionStore, stream: StreamWriter) -> dict[str, str]:
    """Return where each of them is looked for; without a user or a password."""
    return {"mlflow": settings.mlflow_tracking_uri, "s3": settings.s3_endpoint_url, "redis": stream.place, "postgresql": store.place}


def _in_background(name: str, check: Check) -> "Future[Answer]":
    """Run a check in a thread that nobody waits for when the process ends."""
    asked: Future[Answer] = Future()

    def run() -> None:
        problem, started = "", time.perf_counter()
        try:
            check()
        except HearthError as error:
            problem = str(error)
        except Exception as error:  # a check that is broken is a server of which nobody knows how it is
            _LOGGER.exception("the check of %s failed", name)
            problem = f"nobody knows: {type(error).__name__}"
        asked.set_result(Answer(problem, round((time.perf_counter() - started) * 1000, 1)))

    threading.Thread(target=run, name=f"check-{name}", daemon=True).start()
    return asked
