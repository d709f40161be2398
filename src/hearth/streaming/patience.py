import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from hearth.errors import PredictionsUnavailable, StreamUnavailable

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_Result = TypeVar("_Result")


class Stopped(Exception):
    """The process is asked to leave while it waits for a server."""


class Patience:
    """Waits for servers that are away, until the process is asked to stop."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    @property
    def ended(self) -> bool:
        return self._stop.is_set()

    def sleep(self, seconds: float) -> None:
        """Wait, but not beyond the end."""
        self._stop.wait(seconds)

    def keep_trying(self, action: Callable[[], _Result]) -> _Result:
        """Do what may be done twice, however long its server is away; the log has one line for the outage and one for its end.

        Raises:
            Stopped: the end came first.
        """
        pause, began = _FIRST_PAUSE_SECONDS, time.monotonic()
        while True:
            try:
                result = action()
            except (PredictionsUnavailable, StreamUnavailable) as error:
                if pause == _FIRST_PAUSE_SECONDS:
                    logger.warning("waiting: %s", error)
            else:
                if pause != _FIRST_PAUSE_SECONDS:
                    logger.info("going on after %.1f s", time.monotonic() - began)
                return result
            if self._stop.wait(pause):
                raise Stopped
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
