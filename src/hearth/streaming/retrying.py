import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from hearth.errors import HearthError, PredictionsUnavailable, StreamUnavailable

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_FULL_PAUSE_SECONDS = 0.5
_Result = TypeVar("_Result")


class Stopped(Exception):
    """The process is asked to leave while it waits for a server."""


class Retrier:
    """Waits for servers that are away, until the process is asked to stop. Threads share one, and so the log says everything once."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._lock = threading.Lock()
        self._away: dict[type[HearthError], float] = {}  # since when
        self._ended_at: float | None = None  # when that was noticed

    @property
    def ended(self) -> bool:
        return self._stop.is_set()

    def ended_for(self, seconds: float) -> bool:
        """Whether the end came so long ago; the time runs from when this is asked first after it came."""
        if not self.ended:
            return False
        self._ended_at = self._ended_at or time.monotonic()
        return time.monotonic() - self._ended_at >= seconds

    def sleep(self, seconds: float) -> None:
        """Wait, but not beyond the end."""
        self._stop.wait(seconds)

    def waits_for(self, problem: type[HearthError]) -> bool:
        """Whether somebody waits for the server that this error is about."""
        return problem in self._away

    def call(self, action: Callable[[], _Result]) -> _Result:
        """Do what may be done twice, however long its server is away; the log has one line for the outage and one for its end.

        Raises:
            Stopped: the end came first.
        """
        pause = _FIRST_PAUSE_SECONDS
        failed: set[type[HearthError]] = set()
        while True:
            try:
                result = action()
            except (PredictionsUnavailable, StreamUnavailable) as error:
                failed.add(type(error))
                self._went(error)
            else:
                for problem in failed:
                    self._came_back(problem)
                return result
            if self._stop.wait(pause):
                raise Stopped
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _went(self, error: HearthError) -> None:
        with self._lock:
            known = type(error) in self._away
            self._away.setdefault(type(error), time.monotonic())
        if not known:
            logger.warning("waiting: %s", error)

    def _came_back(self, problem: type[HearthError]) -> None:
        with self._lock:
            since = self._away.pop(problem, None)
        if since is not None:
            logger.info("going on after %.1f s", time.monotonic() - since)


def wait_while_full(length: Callable[[], int], max_length: int, retrier: Retrier) -> bool:
    """Return when the stream holds fewer messages than the bound, or the end has come; tell whether there was anything to wait for.

    Raises:
        Stopped: the end came while the server was away.
    """
    waited = False
    while not retrier.ended and (found := retrier.call(length)) >= max_length:
        if not waited:
            logger.warning("waiting: the stream holds %d messages, at most %d are wanted: is a worker running?", found, max_length)
            waited = True
        retrier.sleep(_FULL_PAUSE_SECONDS)
    if waited:
        logger.info("going on")
    return waited
