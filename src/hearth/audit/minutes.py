"""Counts by caller and minute, so that whoever calls often does not decide how many rows the trail has."""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from hearth.audit.entry import Entry

WINDOW_SECONDS = 60.0
OTHER_ADDRESSES = "other addresses"

Clock = Callable[[], float]
Caller = TypeVar("Caller", bound=Hashable)
Tally = TypeVar("Tally")


class Counted(Protocol):
    """What a trail takes rows from every few seconds, and at its end with `everything`."""

    def take(self, *, everything: bool = False) -> list[Entry]: ...


@dataclass
class _Window(Generic[Tally]):
    ends: float
    since: datetime
    tally: Tally


class Minutes(Generic[Caller, Tally]):
    """A tally for each caller, of the minute since the first thing that it did. Threads may share one.

    Args:
        new: Makes an empty tally.
        shared: Returns under which name a caller is counted while `most_callers` others are.
        most_callers: With a tally of their own at a time.
        clock: Seconds.
    """

    def __init__(
        self, new: Callable[[], Tally], shared: Callable[[Caller], Caller], most_callers: int, clock: Clock = time.monotonic
    ) -> None:
        self._new, self._shared, self._most_callers, self._clock = new, shared, most_callers, clock
        self._windows: dict[Caller, _Window[Tally]] = {}
        self._lock = threading.Lock()

    def count(self, caller: Caller, add: Callable[[Tally], None]) -> None:
        """Let `add` count something in the tally of a caller; no other thread does so meanwhile."""
        with self._lock:
            if caller not in self._windows and len(self._windows) >= self._most_callers:
                caller = self._shared(caller)
            window = self._windows.get(caller)
            if window is None:
                window = self._windows[caller] = _Window(self._clock() + WINDOW_SECONDS, datetime.now(UTC), self._new())
            add(window.tally)

    def take(self, *, everything: bool = False) -> list[tuple[Caller, datetime, Tally]]:
        """Return caller, beginning and tally of each minute that is over, and forget it."""
        now = self._clock()
        with self._lock:
            over = [caller for caller, window in self._windows.items() if everything or window.ends <= now]
            windows = [(caller, self._windows.pop(caller)) for caller in over]
        return [(caller, window.since, window.tally) for caller, window in windows]
