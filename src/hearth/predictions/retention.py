"""Deletes predictions after a number of days, in small steps that do not block other users of the table, and warns when it grows large."""

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Self

from hearth.errors import PredictionsUnavailable
from hearth.predictions.store import PredictionStore

logger = logging.getLogger(__name__)

_STEP_ROWS = 5_000
_POLL_SECONDS = 60.0
_PAUSE_SECONDS = 0.1
_JOIN_SECONDS = 5.0
_GIGABYTE = 1e9


def prune(store: PredictionStore, older_than: datetime) -> int:
    """Delete predictions that were scored before a moment and return their number; none while another process deletes.

    Raises:
        PredictionsUnavailable: the store does not answer; some rows may be deleted.
    """
    deleted = 0
    while rows := store.delete_before(older_than, _STEP_ROWS):
        deleted += rows
    return deleted


class Retention:
    """A thread that deletes predictions older than `keep_days`, once a minute; 0 keeps them for ever. Several processes may run one.

    It warns when the table has grown over `warn_gigabytes`, and at each doubling; 0: never.
    """

    def __init__(self, store: PredictionStore, keep_days: float, warn_gigabytes: float = 0) -> None:
        self._store, self._keep = store, timedelta(days=keep_days)
        self._warn_bytes = warn_gigabytes * _GIGABYTE
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def __enter__(self) -> Self:
        if self._keep or self._warn_bytes:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            if deleted := self._prune() if self._keep else 0:
                logger.info("%d predictions of more than %g days ago are deleted", deleted, self._keep / timedelta(days=1))
            self._watch_size()
            self._stop.wait(_POLL_SECONDS)

    def _watch_size(self) -> None:
        if not self._warn_bytes:
            return
        try:
            size = self._store.size()
        except PredictionsUnavailable:
            return  # logged by the code that stores predictions
        if size >= self._warn_bytes:
            kept = f"{self._keep / timedelta(days=1):g} days" if self._keep else "ever"
            logger.warning(
                "the stored predictions take %.1f GB and are kept for %s: set HEARTH_PREDICTIONS_KEEP_DAYS, or store a share of them"
                " (HEARTH_RECORD_PREDICTIONS)",
                size / _GIGABYTE,
                kept,
            )
            while self._warn_bytes <= size:
                self._warn_bytes *= 2

    def _prune(self) -> int:
        deleted = 0
        try:
            while not self._stop.is_set() and (rows := self._store.delete_before(datetime.now(UTC) - self._keep, _STEP_ROWS)):
                deleted += rows
                self._stop.wait(_PAUSE_SECONDS)
        except PredictionsUnavailable:
            pass  # logged by the code that stores predictions; retried in a minute
        return deleted
