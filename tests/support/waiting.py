"""How tests wait: on conditions, never for a time."""

import time
from collections.abc import Callable

LIMIT_SECONDS = 180.0  # a limit, not a measure: a busy machine takes long to start a process
_LOOK_SECONDS = 0.02


def until(reached: Callable[[], bool], seconds: float = LIMIT_SECONDS) -> None:
    """Return when the condition holds."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(_LOOK_SECONDS)
