"""The newest checks of the monitor, read again every half minute, for metrics: a scrape waits for no database."""

from collections.abc import Callable, Sequence
from typing import Generic, Self, TypeVar

from hearth.periodic import PeriodicThread

POLL_SECONDS = 30.0

Check = TypeVar("Check")


class CheckFollower(Generic[Check]):
    """Polls the store while its context is open. While the store does not answer, the last checks stay."""

    def __init__(self, read: Callable[[], Sequence[Check]], what: str, poll_seconds: float = POLL_SECONDS) -> None:
        self._read = read
        self._checks: Sequence[Check] = ()
        self._thread = PeriodicThread(self._poll, what, poll_seconds, trouble=f"checks of {what} cannot be read")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.close()

    def checks(self) -> Sequence[Check]:
        """Return the newest check of each data set, as of the last poll."""
        return self._checks

    def _poll(self) -> None:
        self._checks = self._read()
