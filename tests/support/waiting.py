"""How tests wait: for conditions, never for a time."""

import inspect
import time
from collections.abc import Callable

LIMIT_SECONDS = 180.0  # a limit, not a measure: a busy machine takes long to start a process
_POLL_SECONDS = 0.01


def wait_until(condition: Callable[[], object], seconds: float = LIMIT_SECONDS, *, problem: Callable[[], object] | None = None) -> None:
    """Return when the condition holds.

    Raises:
        AssertionError: if it does not hold within the limit; names the condition, and what `problem` returns then.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            detail = "" if problem is None else f": {problem()}"
            raise AssertionError(f"{_name(condition)} did not hold within {seconds:g} seconds{detail}")
        time.sleep(_POLL_SECONDS)


def _name(condition: Callable[[], object]) -> str:
    """Return the line that makes the condition, or its name."""
    code = getattr(condition, "__code__", None)
    if code is None or code.co_name != "<lambda>":
        return f"`{getattr(condition, '__name__', condition)}`"
    try:
        return f"`{inspect.getsource(condition).strip()}`"
    except OSError:
        return f"the condition at {code.co_filename}:{code.co_firstlineno}"
