"""When a call that failed is sent again, and after how long."""

from dataclasses import dataclass
from random import uniform

from hearth.client.calls import Call, Repeat
from hearth.client.errors import ApiError, ClientError, ServiceUnreachable, UnexpectedAnswer

_PASSING = {429, 502, 503, 504}
# The service refuses with these codes before it scores or queues anything. `stream_unavailable` is not among them: the connection to
# Redis may have broken after the messages were added.
_REFUSED = {"too_many_requests", "too_busy", "stream_full", "model_unavailable"}
_FIRST_PAUSE_SECONDS = 0.2


@dataclass
class Attempts:
    """The attempts of one call: at most `retries` after the first, with at most `max_wait_seconds` of pauses in all."""

    call: Call[object]
    retries: int
    max_wait_seconds: float
    failures: int = 0
    waited_seconds: float = 0

    def pause(self, error: ClientError) -> float:
        """Return the seconds to wait before the call is sent again; raises the error if it must not be, or the limits are reached."""
        if self.failures >= self.retries or not _may_repeat(self.call.repeat, error):
            raise error
        requested = error.retry_seconds if isinstance(error, ApiError) else None
        seconds = _FIRST_PAUSE_SECONDS * 2**self.failures * uniform(0.5, 1.5) if requested is None else requested  # noqa: S311 - no secret
        if self.waited_seconds + seconds > self.max_wait_seconds:
            raise error
        self.failures += 1
        self.waited_seconds += seconds
        return seconds


def _may_repeat(repeat: Repeat, error: ClientError) -> bool:
    if repeat is Repeat.NEVER:
        return False
    if isinstance(error, ServiceUnreachable):
        return not error.may_have_arrived or (repeat is Repeat.SAFE and not error.timed_out)
    if repeat is Repeat.SAFE:
        return isinstance(error, ApiError | UnexpectedAnswer) and error.status in _PASSING
    return isinstance(error, ApiError) and error.code in _REFUSED
