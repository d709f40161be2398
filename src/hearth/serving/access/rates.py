"""Rate limits, counted in the memory of the process or in a Redis-protocol server, where all processes count together."""

import asyncio
import logging
import math
import time

from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from limits.storage import storage_from_string

from hearth.errors import InvalidSettings, TooManyRequests

_LOGGER = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 0.5  # of the server: a caller waits for it
_PAUSE_SECONDS = 5.0  # without the server, after it did not answer
_TIDY_SECONDS = 30.0


class RateLimit:
    """Limits the requests of one caller in a sliding window, such as `100/minute`.

    With a server, all processes that name it share the count; while it is away each counts in its own memory. Belongs to one event loop.
    """

    def __init__(self, limit: str, subject: str, redis_url: str = "") -> None:
        """Prepare; connects to no server. `subject` names in errors what is counted, and keeps limits apart in the server.

        Raises:
            InvalidSettings: if the limit is invalid.
        """
        try:
            self._limit = parse(limit)
        except ValueError as error:
            raise InvalidSettings(f"{limit!r} is no limit of {subject}: expected a number and a time, such as 100/minute.") from error
        self._subject = subject
        self.description = f"{self._limit.amount} {subject} in {self._limit.get_expiry()} s"
        self._memory = _TidyMemory()
        self._own = SlidingWindowCounterRateLimiter(self._memory)
        self._shared = _shared(redis_url) if redis_url else None
        self._paused_until = 0.0
        self._is_away = False

    async def hit(self, caller: str) -> None:
        """Count a request.

        Raises:
            TooManyRequests: if the limit is reached; the request is then not counted.
        """
        limiter = self._own
        if self._shared is not None and time.monotonic() >= self._paused_until:
            try:
                passed = await self._shared.hit(self._limit, self._subject, caller)
            except StorageError as error:
                self._pause(error)
            else:
                self._resume()
                if passed:
                    return
                limiter = self._shared
        self._memory.put_off_tidying()
        if limiter is self._own and await self._own.hit(self._limit, self._subject, caller):
            return
        raise TooManyRequests(self.description, await self._wait_seconds(limiter, caller))

    async def close(self) -> None:
        """Close the connections to the server."""
        if self._shared is not None:
            await self._shared.storage.bridge.storage.aclose()  # type: ignore[attr-defined]  # limits has no way to close

    async def _wait_seconds(self, limiter: SlidingWindowCounterRateLimiter, caller: str) -> int:
        try:
            free_at = (await limiter.get_window_stats(self._limit, self._subject, caller)).reset_time
        except StorageError:
            return self._limit.get_expiry()
        return max(1, math.ceil(free_at - time.time()))

    def _pause(self, error: StorageError) -> None:
        self._paused_until = time.monotonic() + _PAUSE_SECONDS
        if not self._is_away:
            self._is_away = True
            _LOGGER.warning("%s are counted in each process alone, the Redis server does not answer: %s", self._subject, error.__cause__)

    def _resume(self) -> None:
        if self._is_away:
            self._is_away = False
            _LOGGER.info("%s are counted together again", self._subject)


class _TidyMemory(MemoryStorage):
    """Looks for callers that it can forget every thirty seconds, and not at every request."""

    _pause: asyncio.Future[None] | None = None

    def put_off_tidying(self) -> None:
        """Replace the task of the library, which starts one whenever the last is done, by a pause."""
        if self.timer is None or (self.timer.done() and self.timer is not self._pause):
            loop = asyncio.get_running_loop()
            self._pause = loop.create_future()
            loop.call_later(_TIDY_SECONDS, self._pause.cancel)
            self.timer = self._pause  # type: ignore[assignment]  # the library only reads whether it is done


def _shared(url: str) -> SlidingWindowCounterRateLimiter:
    storage = storage_from_string(
        f"async+{url}",
        implementation="redispy",
        wrap_exceptions=True,
        key_prefix="hearth:limits",
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        retry=None,  # type: ignore[arg-type]  # the client's own retries are slow, and a caller waits
    )
    return SlidingWindowCounterRateLimiter(storage)
