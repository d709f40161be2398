"""Refused API keys, counted: those of one caller in a minute are one row, and callers beyond a number share one.

Whoever guesses keys decides neither how many rows are written nor what is in them: no key, path or other text of a caller is kept.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hearth.audit.actor import Actor
from hearth.audit.entry import Action, Entry, Result, new_entry

WINDOW_SECONDS = 60.0
MOST_CALLERS = 20  # a minute and process; with the row that the others share, about 13 MB a day at most

_OTHERS = Actor("nobody", "", "", "other addresses")

Clock = Callable[[], float]


@dataclass
class _Window:
    """What was refused to a caller since its first attempt of this minute. `scopes` has those that would have let it in."""

    ends: float
    since: datetime
    attempts: int = 0
    scopes: set[str] = field(default_factory=set)


class RefusedKeys:
    """Counts refusals. Threads may share one; `take` is called every few seconds, and at the end with `everything`."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[tuple[Actor, str], _Window] = {}
        self._lock = threading.Lock()

    def count(self, actor: Actor, error: str, scopes: Iterable[str]) -> None:
        """Count that a caller was refused: `error` is the code of why, and one of `scopes` was needed."""
        caller = actor, error
        with self._lock:
            if caller not in self._windows and len(self._windows) >= MOST_CALLERS:
                caller = _OTHERS, ""
            window = self._windows.get(caller)
            if window is None:
                window = self._windows[caller] = _Window(self._clock() + WINDOW_SECONDS, datetime.now(UTC))
            window.attempts += 1
            window.scopes.update(scopes)

    def take(self, *, everything: bool = False) -> list[Entry]:
        """Return a row for each minute that is over, and forget it."""
        now = self._clock()
        with self._lock:
            over = [caller for caller, window in self._windows.items() if everything or window.ends <= now]
            windows = [(caller, self._windows.pop(caller)) for caller in over]
        return [_entry(actor, error, window) for (actor, error), window in windows]


def _entry(actor: Actor, error: str, window: _Window) -> Entry:
    detail: dict[str, object] = {"attempts": window.attempts, "since": window.since.isoformat(), "scopes": sorted(window.scopes)}
    if error:
        detail["error"] = error
    return new_entry(Action.KEY_REFUSED, result=Result.REFUSED, detail=detail, actor=actor)
