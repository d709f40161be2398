"""Refused API keys, counted: those of one caller in a minute are one row, and callers beyond a number share one.

Whoever guesses keys decides neither how many rows are written nor what is in them: no key, path or other text of a caller is kept.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from hearth.audit.actor import Actor
from hearth.audit.entry import Action, Entry, Result, new_entry
from hearth.audit.minutes import OTHER_ADDRESSES, Clock, Minutes

MOST_CALLERS = 20  # a minute and process; with the row that the others share, about 13 MB a day at most

_OTHERS = Actor("nobody", "", "", OTHER_ADDRESSES)


@dataclass
class _Refusals:
    """What was refused to a caller since its first attempt of this minute. `scopes` has those that would have let it in."""

    attempts: int = 0
    scopes: set[str] = field(default_factory=set)


class RefusedKeys:
    """Counts refusals. Threads may share one; `take` is called every few seconds, and at the end with `everything`."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._minutes: Minutes[tuple[Actor, str], _Refusals] = Minutes(_Refusals, lambda _: (_OTHERS, ""), MOST_CALLERS, clock)

    def count(self, actor: Actor, error: str, scopes: Iterable[str]) -> None:
        """Count that a caller was refused: `error` is the code of why, and one of `scopes` was needed."""

        def add(refusals: _Refusals) -> None:
            refusals.attempts += 1
            refusals.scopes.update(scopes)

        self._minutes.count((actor, error), add)

    def take(self, *, everything: bool = False) -> list[Entry]:
        """Return a row for each minute that is over, and forget it."""
        return [_entry(actor, error, since, refusals) for (actor, error), since, refusals in self._minutes.take(everything=everything)]


def _entry(actor: Actor, error: str, since: datetime, refusals: _Refusals) -> Entry:
    detail: dict[str, object] = {"attempts": refusals.attempts, "since": since.isoformat(), "scopes": sorted(refusals.scopes)}
    if error:
        detail["error"] = error
    return new_entry(Action.KEY_REFUSED, result=Result.REFUSED, detail=detail, actor=actor)
