"""Reads of stored predictions.

The first of a caller is a row before anything is handed out; those of the next minute are one row together.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hearth.audit.actor import Actor, current_actor
from hearth.audit.entry import Action, Entry, new_entry

WINDOW_SECONDS = 60.0
_MOST_CALLERS = 1_000

Clock = Callable[[], float]


@dataclass
class _Window:
    """What a caller has read since its row."""

    actor: Actor
    dataset: str
    selection: dict[str, object]
    ends: float
    reads: int = 0
    rows: int = 0


@dataclass
class ReadTrail:
    """Counts reads. Threads may share one; `flush` is called now and then, and at the end with `everything`.

    `require` writes a row or raises PredictionsUnavailable; `record` writes it now or later.
    """

    require: Callable[[Entry], None]
    record: Callable[[Entry], None]
    clock: Clock = time.monotonic
    _windows: dict[str, _Window] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, dataset: str | None, selection: Mapping[str, object], rows: int) -> None:
        """Note that the current actor is about to get `rows` predictions, chosen by `selection`, which holds filters and no values.

        Raises:
            PredictionsUnavailable: the row cannot be written, so nothing may be handed out.
        """
        actor = current_actor()
        chosen = {name: value for name, value in selection.items() if value is not None}
        name = json.dumps([actor.kind, actor.name, actor.door, actor.address, dataset, chosen], default=str, sort_keys=True)
        with self._lock:
            if window := self._windows.get(name):
                window.reads += 1
                window.rows += rows
                return
        self.require(_entry(actor, dataset or "", chosen, 1, rows))
        with self._lock:
            if len(self._windows) < _MOST_CALLERS:  # another first read may have begun a window that counts already
                self._windows.setdefault(name, _Window(actor, dataset or "", chosen, self.clock() + WINDOW_SECONDS))

    def flush(self, *, everything: bool = False) -> None:
        """Write a row for each window that is over and in which more was read."""
        now = self.clock()
        with self._lock:
            over = [name for name, window in self._windows.items() if everything or window.ends <= now]
            windows = [self._windows.pop(name) for name in over]
        for window in windows:
            if window.reads:
                self.record(_entry(window.actor, window.dataset, window.selection, window.reads, window.rows))


def _entry(actor: Actor, dataset: str, selection: dict[str, object], reads: int, rows: int) -> Entry:
    return new_entry(Action.PREDICTIONS_READ, dataset=dataset, detail={"filter": selection, "reads": reads, "rows": rows}, actor=actor)
