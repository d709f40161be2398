"""Measures what a case of `benchmarks.bombs` costs the service that it is sent to."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil

MAX_MEGABYTES, MAX_SECONDS, MAX_STALL = 300.0, 2.0, 0.2
MEGABYTE = 1e6


@dataclass(frozen=True)
class Answer:
    """What a case was answered, and the seconds that count where it also prepares something."""

    text: str
    seconds: float


@dataclass(frozen=True)
class Case:
    """An input, and how it is sent: `send` returns the answer as text, or as an Answer."""

    name: str
    send: Callable[[], object]


@dataclass(frozen=True)
class Measured:
    """What a case cost."""

    megabytes: float
    seconds: float
    stall: float
    answer: str

    @property
    def is_good(self) -> bool:
        """Whether it stays below all aims."""
        return self.megabytes <= MAX_MEGABYTES and self.seconds <= MAX_SECONDS and self.stall <= MAX_STALL


class Watch:
    """Polls memory and health of a service while a case runs."""

    def __init__(self, pid: int, health: Callable[[], object]) -> None:
        self._process, self._health = psutil.Process(pid), health

    def measure(self, case: Case) -> Measured:
        """Send a case and watch the service until it is answered."""
        before = self._memory()
        over, peak, stalls = threading.Event(), [before], [0.0]

        def watch_memory() -> None:
            while not over.wait(0.01):
                peak[0] = max(peak[0], self._memory())

        def watch_health() -> None:
            while not over.wait(0.01):
                start = time.perf_counter()
                self._health()
                stalls[0] = max(stalls[0], time.perf_counter() - start)

        with ThreadPoolExecutor(2) as threads:
            watching = [threads.submit(watch_memory), threads.submit(watch_health)]
            time.sleep(0.2)
            start = time.perf_counter()
            try:
                answer = case.send()
            finally:
                seconds = time.perf_counter() - start
                time.sleep(0.2)
                over.set()
            for thread in watching:
                thread.result()
        if not isinstance(answer, Answer):
            answer = Answer(str(answer), seconds)
        return Measured((peak[0] - before) / MEGABYTE, answer.seconds, stalls[0], answer.text)

    def _memory(self) -> int:
        return int(self._process.memory_info().rss)


class Table:
    """The table of what was measured; `only` is a part of the names of the cases that are sent."""

    def __init__(self, only: str) -> None:
        self._only, self._measured = only, dict[str, Measured]()
        print("| case | MB more | s | longest /health, ms | answer |\n|---|---:|---:|---:|---|")

    @property
    def bad(self) -> list[str]:
        """The names of the cases above an aim."""
        return [name for name, cost in self._measured.items() if not cost.is_good]

    def wants(self, *names: str) -> bool:
        """Return whether one of these cases is to be sent."""
        return any(self._only in name for name in names)

    def measure(self, cases: Sequence[Case], watch: Watch) -> None:
        """Send cases one after the other."""
        for case in cases:
            if self.wants(case.name):
                self.add(case.name, watch.measure(case))

    def add(self, name: str, cost: Measured) -> None:
        """Print a row."""
        self._measured[name] = cost
        print(f"| {name} | {cost.megabytes:.0f} | {cost.seconds:.2f} | {cost.stall * 1000:.0f} | {cost.answer} |", flush=True)
