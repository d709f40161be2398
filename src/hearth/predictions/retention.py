"""Deletes predictions, and labels without one, after a number of days, in small steps that block no other user of the tables.

It warns when the predictions grow large.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Self

from hearth.periodic import PeriodicThread, in_turn
from hearth.predictions.label_store import LabelStore
from hearth.predictions.store import PredictionStore

logger = logging.getLogger(__name__)

_STEP_ROWS = 5_000
_POLL_SECONDS = 60.0
_PAUSE_SECONDS = 0.1
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
    """Deletes predictions older than `keep_days`, once a minute; 0 keeps them for ever. Several processes may run one.

    Labels go with their predictions. With a store of `labels`, those that have waited for a prediction for `wait_days` are deleted, too.
    It warns when the table has grown over `warn_gigabytes`, and at each doubling; 0: never.
    """

    def __init__(
        self, store: PredictionStore, keep_days: float, warn_gigabytes: float = 0, *, labels: LabelStore | None = None, wait_days: float = 0
    ) -> None:
        self._store, self._keep = store, timedelta(days=keep_days)
        self._labels, self._wait = labels, timedelta(days=wait_days)
        self._warn_bytes = warn_gigabytes * _GIGABYTE
        self._thread = PeriodicThread(self._work, "retention", _POLL_SECONDS, trouble="old predictions are not deleted")

    def __enter__(self) -> Self:
        if self._keep or self._warn_bytes or self._wait:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.close()

    def _work(self) -> None:
        in_turn(self._thread.stopping, self._prune_predictions, self._prune_labels, self._watch_size)

    def _prune_predictions(self) -> None:
        self._prune("predictions", self._store.delete_before, self._keep)

    def _prune_labels(self) -> None:
        if self._labels is not None:
            self._prune("labels without a prediction", self._labels.delete_lonely, self._wait)

    def _watch_size(self) -> None:
        if not self._warn_bytes:
            return
        size = self._store.size()
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

    def _prune(self, what: str, delete: Callable[[datetime, int], int], age: timedelta) -> None:
        """Delete what is older than an age, step by step, and log how many; nothing with an age of 0."""
        deleted = 0
        try:
            while age and not self._thread.stopping.is_set() and (rows := delete(datetime.now(UTC) - age, _STEP_ROWS)):
                deleted += rows
                self._thread.stopping.wait(_PAUSE_SECONDS)
        finally:
            if deleted:
                logger.info("%d %s of more than %g days ago are deleted", deleted, what, age / timedelta(days=1))
