"""What has to be done to alerts as time passes: those that are no longer reported resolve, those of long ago are deleted."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Self

from hearth.alerts.alert_store import KEEP_DAYS, AlertStore
from hearth.periodic import PeriodicThread, in_turn

_LOGGER = logging.getLogger(__name__)
_POLL_SECONDS = 30.0


class AlertHousekeeping:
    """Looks while the context is open, and counts the open alerts for metrics. Any number of processes may run one."""

    def __init__(self, store: AlertStore, poll_seconds: float = _POLL_SECONDS, keep: timedelta = timedelta(days=KEEP_DAYS)) -> None:
        self._store, self._keep = store, keep
        self._counts: dict[tuple[str, str, str], int] = {}
        self._thread = PeriodicThread(self._look, "alerts", poll_seconds, trouble="alerts cannot be read")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.close()

    def open_counts(self) -> dict[tuple[str, str, str], int]:
        """Return the alerts that are not resolved, by kind, data set and severity, as of the last look."""
        return self._counts

    def _look(self) -> None:
        in_turn(self._thread.stopping, self._resolve_expired, self._delete_old, self._count)

    def _resolve_expired(self) -> None:
        for alert in self._store.resolve_expired():
            _LOGGER.info(
                "alert %d (%s of %s) is resolved: it was not reported any more", alert.id, alert.kind, alert.dataset or "the stack"
            )

    def _delete_old(self) -> None:
        if deleted := self._store.delete_resolved(datetime.now(UTC) - self._keep):
            _LOGGER.info("%d alerts that were resolved more than %g days ago are deleted", deleted, self._keep / timedelta(days=1))

    def _count(self) -> None:
        self._counts = self._store.open_counts()
