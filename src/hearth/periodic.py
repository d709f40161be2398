"""A thread that does a piece of work again and again, and which no error ends; and steps of such work that do not hold up each other."""

import logging
import threading
from collections.abc import Callable
from typing import Self

from hearth.errors import HearthError

_LOGGER = logging.getLogger(__name__)


def in_turn(stopping: threading.Event, *steps: Callable[[], object]) -> None:
    """Do each step, whatever becomes of those before it: one that fails at every pass must not keep the others from ever being done.

    Once `stopping` is set no further one begins: with a server that is away each of them takes a time-out.

    Raises:
        Exception: the first error that is not ours, else the first one, when all steps have been tried.
    """
    errors: list[Exception] = []
    for step in steps:
        if stopping.is_set():
            break
        try:
            step()
        except Exception as error:  # noqa: BLE001 - raised below
            errors.append(error)
    if errors:
        raise next((error for error in errors if not isinstance(error, HearthError)), errors[0])


class PeriodicThread:
    """Calls `work` now, and then every `seconds` after it has returned, until it is closed.

    An error is logged and the work is repeated: ours as a warning that begins with `trouble`, when it is of another kind than that of the
    pass before, so once for each outage; any other with its traceback, when its text is another. What ends is logged, too.

    Attributes:
        stopping: set when it is asked to stop, for work that takes long. Several threads may be given one.
    """

    def __init__(  # noqa: PLR0913 - what and how often, and how it begins and ends
        self,
        work: Callable[[], object],
        name: str,
        seconds: float | Callable[[], float],
        *,
        trouble: str,
        waits_first: bool = False,
        join_seconds: float = 5.0,
        stopping: threading.Event | None = None,
    ) -> None:
        self._work, self._seconds, self._trouble = work, seconds, trouble
        self._waits_first, self._join_seconds = waits_first, join_seconds
        self._problem = ""
        self.stopping = stopping or threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> Self:
        """Begin; once."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop: a pause ends at once, and work that runs may take `join_seconds` to end. Nothing happens if it has not begun."""
        self.stopping.set()
        if self._thread.ident is not None:
            self._thread.join(self._join_seconds)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def run_once(self) -> None:
        """Do the work in this thread, as the thread does it: what it raises is logged."""
        try:
            self._work()
        except HearthError as error:
            self._note(type(error).__name__, error, is_expected=True)
        except Exception as error:  # noqa: BLE001 - logged with its traceback; the work of the next pass must not be lost with this one
            self._note(f"{type(error).__name__}: {error}", error, is_expected=False)
        else:
            if self._problem:
                _LOGGER.info("%s: over", self._trouble)
            self._problem = ""

    def _run(self) -> None:
        if self._waits_first:
            self._pause()
        while not self.stopping.is_set():
            self.run_once()
            self._pause()

    def _pause(self) -> None:
        self.stopping.wait(self._seconds() if callable(self._seconds) else self._seconds)

    def _note(self, problem: str, error: Exception, *, is_expected: bool) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        if is_expected:
            _LOGGER.warning("%s: %s", self._trouble, error)
        else:
            _LOGGER.error("%s, which nobody expected; it is repeated: %s", self._trouble, problem, exc_info=error)
