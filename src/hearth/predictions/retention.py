"""Predictions are kept for a number of days, and then deleted bit by bit, so that nobody waits for it."""

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Self

from hearth.errors import PredictionsUnavailable
from hearth.predictions.store import PredictionStore

logger = logging.getLogger(__name__)

_ROWS_AT_ONCE = 5_000
_LOOK_SECONDS = 60.0
_PAUSE_SECONDS = 0.1
_LEAVE_SECONDS = 5.0


def prune(store: PredictionStore, older_than: datetime) -> int:
    """Delete what was scored before a moment and return how much that was; nothing, if another process is about it.

    Raises:
        PredictionsUnavailable: the store does not answer; some may be deleted already.
    """
    deleted = 0
    while found := store.delete_before(older_than, _ROWS_AT_ONCE):
        deleted += found
    return deleted


class Retention:
    """Deletes what is older than so many days, in a thread, once a minute; zero days: nothing, ever. Many processes may do so at once."""

    def __init__(self, store: PredictionStore, keep_days: float) -> None:
        self._store, self._keep = store, timedelta(days=keep_days)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def __enter__(self) -> Self:
        if self._keep:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._keep:
            self._thread.join(_LEAVE_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            deleted = self._prune()
            if deleted:
                logger.info("%d predictions of more than %g days ago are deleted", deleted, self._keep / timedelta(days=1))
            self._stop.wait(_LOOK_SECONDS)

    def _prune(self) -> int:
        deleted = 0
        try:
            while not self._stop.is_set() and (found := self._store.delete_before(datetime.now(UTC) - self._keep, _ROWS_AT_ONCE)):
                deleted += found
                self._stop.wait(_PAUSE_SECONDS)
        except PredictionsUnavailable:
            pass  # whoever stores predictions says so; the next look is in a minute
        return deleted
