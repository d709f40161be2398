"""Who works on the parts of large data: this process, or several. The results come in the order of the parts, whoever is done first."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

from hearth.settings import ExecutorSettings

Part = TypeVar("Part")
Result = TypeVar("Result")

_SMALL = 32 << 20  # bytes: to start a process takes as long as to read so many
_WAITING = 1  # parts for each process that are there before it asks for them: memory is bounded by these


class Executor(Protocol):
    """Applies a function to parts; at most a few of them are in memory at a time."""

    def map(self, function: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        """Yield the result of each part, in their order."""


class Loop:
    """This process, one part after the other."""

    def map(self, function: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        return map(function, parts)


class Processes:
    """Several processes; parts and results are pickled."""

    def __init__(self, pool: ProcessPoolExecutor, count: int) -> None:
        self._pool, self._most = pool, count * (1 + _WAITING)

    def map(self, function: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        waiting: deque[Future[Result]] = deque()
        try:
            for part in parts:
                waiting.append(self._pool.submit(function, part))
                if len(waiting) >= self._most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def find_executor(size: int, settings: ExecutorSettings | None = None) -> Iterator[Executor]:
    """Return the executor of the settings for data of this many bytes: small data stay in this process."""
    settings = settings or ExecutorSettings()
    if settings.executor == "loop" or size < _SMALL:
        yield Loop()
        return
    count = settings.executor_processes or os.cpu_count() or 1
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("forkserver")) as pool:
        yield Processes(pool, count)
