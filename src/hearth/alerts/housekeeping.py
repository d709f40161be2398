"""What has to be done to alerts as time passes: those that are no longer reported resolve, those of long ago are deleted."""

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Self

from hearth.alerts.alert_store import KEEP_DAYS, AlertStore
from hearth.errors import PredictionsUnavailable

_LOGGER = logging.getLogger(__name__)
_POLL_SECONDS = 30.0
_JOIN_SECONDS = 5.0


class AlertHousekeeping:
    """A thread that looks while the context is open, and counts the open alerts for metrics. Any number of processes may run one."""

    def __init__(self, store: AlertStore, poll_seconds: float = _POLL_SECONDS, keep: timedelta = timedelta(days=KEEP_DAYS)) -> None:
        self._store, self._poll_seconds, self._keep = store, poll_seconds, keep
        self._counts: dict[tuple[str, str, str], int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_JOIN_SECONDS)

    def open_counts(self) -> dict[tuple[str, str, str], int]:
        """Return the alerts that are not resolved, by kind, data set and severity, as of the last look."""
        return self._counts

    def _run(self) -> None:
        has_answered = True
        while not self._stop.is_set():
            try:
                self._look()
                has_answered = True
            except PredictionsUnavailable as error:
                if has_answered:  # once for each outage
                    _LOGGER.warning("alerts cannot be read: %s", error)
                has_answered = False
            self._stop.wait(self._poll_seconds)

    def _look(self) -> None:
        for alert in self._store.resolve_expired():
            _LOGGER.info(
                "alert %d (%s of %s) is resolved: it was not reported any more", alert.id, alert.kind, alert.dataset or "the stack"
            )
        if deleted := self._store.delete_resolved(datetime.now(UTC) - self._keep):
            _LOGGER.info("%d alerts that were resolved more than %g days ago are deleted", deleted, self._keep / timedelta(days=1))
        self._counts = self._store.open_counts()
