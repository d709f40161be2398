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
    """The process was asked to stop while it waited for a server."""


class Retrier:
    """Repeats calls while a server is unavailable, until the process is asked to stop.

    All threads share one instance, so an outage is logged once.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._lock = threading.Lock()
        self._outages: dict[type[HearthError], float] = {}  # start of each outage, on the monotonic clock
        self._stopping_since: float | None = None

    @property
    def stopping(self) -> bool:
        """Whether the process was asked to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the process to stop."""
        self._stop.set()

    def stopping_for(self, seconds: float) -> bool:
        """Whether the stop was requested at least this long ago, counted from the first call of this method after the request."""
        if not self.stopping:
            return False
        self._stopping_since = self._stopping_since or time.monotonic()
        return time.monotonic() - self._stopping_since >= seconds

    def sleep(self, seconds: float) -> None:
        """Sleep for up to `seconds`; return early when the process is asked to stop."""
        self._stop.wait(seconds)

    def is_waiting_for(self, error: type[HearthError]) -> bool:
        """Whether a call is being repeated because of this kind of error."""
        return error in self._outages

    def call(self, action: Callable[[], _Result]) -> _Result:
        """Repeat an idempotent action until its server answers. The log has one line for an outage and one for its end.

        Raises:
            Stopped: the process was asked to stop first.
        """
        pause = _FIRST_PAUSE_SECONDS
        failures: set[type[HearthError]] = set()
        while True:
            try:
                result = action()
            except (PredictionsUnavailable, StreamUnavailable) as error:
                failures.add(type(error))
                self._log_outage(error)
            else:
                for failure in failures:
                    self._log_recovery(failure)
                return result
            if self._stop.wait(pause):
                raise Stopped
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _log_outage(self, error: HearthError) -> None:
        with self._lock:
            is_new = type(error) not in self._outages
            self._outages.setdefault(type(error), time.monotonic())
        if is_new:
            logger.warning("waiting: %s", error)

    def _log_recovery(self, error: type[HearthError]) -> None:
        with self._lock:
            since = self._outages.pop(error, None)
        if since is not None:
            logger.info("going on after %.1f s", time.monotonic() - since)


def wait_while_full(length: Callable[[], int], max_length: int, retrier: Retrier) -> bool:
    """Wait until the stream holds fewer messages than the bound, or the process is asked to stop; return whether it waited.

    Raises:
        Stopped: the process was asked to stop while the server was unavailable.
    """
    waited = False
    while not retrier.stopping and (messages := retrier.call(length)) >= max_length:
        if not waited:
            logger.warning("waiting: the stream holds %d messages, the bound is %d: is a worker running?", messages, max_length)
            waited = True
        retrier.sleep(_FULL_PAUSE_SECONDS)
    if waited:
        logger.info("going on")
    return waited
