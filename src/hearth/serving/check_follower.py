"""The newest checks of the monitor, read again every half minute, for metrics: a scrape waits for no database."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Generic, Self, TypeVar

from hearth.errors import PredictionsUnavailable

_LOGGER = logging.getLogger(__name__)
POLL_SECONDS = 30.0
_JOIN_SECONDS = 5.0

Check = TypeVar("Check")


class CheckFollower(Generic[Check]):
    """A thread that polls the store while its context is open. While the store does not answer, the last checks stay."""

    def __init__(self, read: Callable[[], Sequence[Check]], what: str, poll_seconds: float = POLL_SECONDS) -> None:
        self._read, self._what, self._poll_seconds = read, what, poll_seconds
        self._checks: Sequence[Check] = ()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=what, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_JOIN_SECONDS)

    def checks(self) -> Sequence[Check]:
        """Return the newest check of each data set, as of the last poll."""
        return self._checks

    def _run(self) -> None:
        answered = True
        while not self._stop.is_set():
            try:
                self._checks = self._read()
                answered = True
            except PredictionsUnavailable as error:
                if answered:  # once for each outage
                    _LOGGER.warning("checks of %s cannot be read: %s", self._what, error)
                answered = False
            self._stop.wait(self._poll_seconds)
