"""The newest check for drift of each data set, read again every half minute, for metrics: a scrape waits for no database."""

import logging
import threading
from collections.abc import Sequence
from typing import Self

from hearth.errors import PredictionsUnavailable
from hearth.monitoring.check import DriftCheck
from hearth.predictions.drift_store import DriftStore

_LOGGER = logging.getLogger(__name__)
_POLL_SECONDS = 30.0
_JOIN_SECONDS = 5.0


class DriftFollower:
    """A thread that polls the store while its context is open. While the store does not answer, the last checks stay."""

    def __init__(self, store: DriftStore, poll_seconds: float = _POLL_SECONDS) -> None:
        self._store, self._poll_seconds = store, poll_seconds
        self._checks: Sequence[DriftCheck] = ()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drift", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_JOIN_SECONDS)

    def checks(self) -> Sequence[DriftCheck]:
        """Return the newest check of each data set, as of the last poll."""
        return self._checks

    def _run(self) -> None:
        answered = True
        while not self._stop.is_set():
            try:
                self._checks = self._store.newest_checks()
                answered = True
            except PredictionsUnavailable as error:
                if answered:  # once for each outage
                    _LOGGER.warning("checks for drift cannot be read: %s", error)
                answered = False
            self._stop.wait(self._poll_seconds)
