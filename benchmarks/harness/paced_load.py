"""A load at a rate, mild enough for a machine that others use: each caller has a thread, a door and a beat.

What it counts are answers, so what is found does not hang on how fast the machine is.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from benchmarks.harness.doors import FAILURES, Door, describe

_MOST_FAILURES = 200  # that are remembered with their texts


@dataclass(frozen=True)
class Outcome:
    """One request. `at` is monotonic time when it was sent; `problem` is empty if it was answered."""

    door: str
    at: float
    seconds: float
    request_id: str
    rows: int
    version: str
    problem: str = ""


@dataclass
class Tally:
    """What came of the requests of a load, by all callers; a long load keeps no outcomes."""

    keep_outcomes: bool = True
    sent: int = 0
    failed: int = 0
    failures: list[Outcome] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count an outcome; the caller holds the lock of the load."""
        self.sent += 1
        self.slowest = max(self.slowest, outcome.seconds)
        if outcome.problem:
            self.failed += 1
            if len(self.failures) < _MOST_FAILURES:
                self.failures.append(outcome)
        elif outcome.version:
            self.versions[outcome.version] = self.versions.get(outcome.version, 0) + 1
        if self.keep_outcomes:
            self.outcomes.append(outcome)


class PacedLoad:
    """Callers that ask until they are stopped. A context manager; `take` hands over what was counted since it was taken last."""

    def __init__(self, doors: Iterable[tuple[Callable[[], Door], float]], *, keep_outcomes: bool = True) -> None:
        """`doors` are made in the threads of their callers; each with its number of requests a second."""
        self._keep = keep_outcomes
        self._tally = Tally(keep_outcomes)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=(make, 1 / rate, number), name=f"caller-{number}", daemon=True)
            for number, (make, rate) in enumerate(doors)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Send no more, and wait for the answers of what was sent."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def take(self) -> Tally:
        """Return what was counted since the last call."""
        with self._lock:
            taken, self._tally = self._tally, Tally(self._keep)
            return taken

    def _call(self, make: Callable[[], Door], beat: float, number: int) -> None:
        door = make()
        turn, due = number, time.monotonic() + beat * (number % 7) / 7  # callers of one rate do not call at once
        try:
            while not self._stop.wait(max(due - time.monotonic(), 0)):
                outcome = ask(door, turn)
                with self._lock:
                    self._tally.add(outcome)
                turn, due = turn + 1, max(due + beat, time.monotonic() - 1)  # after a long wait it does not catch up on everything
        finally:
            door.close()


def ask(door: Door, turn: int) -> Outcome:
    """Send one request and return what came of it; a failure is an outcome, too."""
    began = time.monotonic()
    try:
        answer = door.ask(turn)
    except FAILURES as error:
        return Outcome(door.name, began, time.monotonic() - began, "", 0, "", describe(error))
    return Outcome(door.name, began, time.monotonic() - began, answer.request_id, answer.rows, answer.version)


def percentile(seconds: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values lies; 0 for none."""
    ordered = sorted(seconds)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0
