"""A limit of requests in a time, counted in the memory of the process or in a Redis-protocol server, where all processes count together."""

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
_ANSWER_SECONDS = 0.5  # how long the server may take: a caller waits for it
_AWAY_SECONDS = 5.0  # how long a server that did not answer is left alone
_TIDY_SECONDS = 30.0


class RateLimit:
    """At most so many requests of one caller in a sliding window, such as `100/minute`.

    With a server, all processes that name it share the count; while it is away each counts in its own memory. For one event loop.
    """

    def __init__(self, limit: str, what: str, redis_url: str = "") -> None:
        """Prepare; asks nothing of the server. `what` says in errors what is counted, and keeps limits apart in the server.

        Raises:
            InvalidSettings: the limit cannot be read.
        """
        try:
            self._limit = parse(limit)
        except ValueError as error:
            raise InvalidSettings(f"{limit!r} is no limit of {what}: expected a number and a time, such as 100/minute.") from error
        self._what = what
        self.shown = f"{self._limit.amount} {what} in {self._limit.get_expiry()} s"
        self._memory = _TidyMemory()
        self._own = SlidingWindowCounterRateLimiter(self._memory)
        self._shared = _shared(redis_url) if redis_url else None
        self._away_until = 0.0
        self._away = False

    async def hit(self, caller: str) -> None:
        """Count a request.

        Raises:
            TooManyRequests: it is one too many, and not counted.
        """
        limiter = self._own
        if self._shared is not None and time.monotonic() >= self._away_until:
            try:
                passed = await self._shared.hit(self._limit, self._what, caller)
            except StorageError as error:
                self._leave_alone(error)
            else:
                self._found_again()
                if passed:
                    return
                limiter = self._shared
        self._memory.put_off_tidying()
        if limiter is self._own and await self._own.hit(self._limit, self._what, caller):
            return
        raise TooManyRequests(self.shown, await self._wait_seconds(limiter, caller))

    async def close(self) -> None:
        """Close the connections to the server."""
        if self._shared is not None:
            await self._shared.storage.bridge.storage.aclose()  # type: ignore[attr-defined]  # limits has no way to close

    async def _wait_seconds(self, limiter: SlidingWindowCounterRateLimiter, caller: str) -> int:
        try:
            free_at = (await limiter.get_window_stats(self._limit, self._what, caller)).reset_time
        except StorageError:
            return self._limit.get_expiry()
        return max(1, math.ceil(free_at - time.time()))

    def _leave_alone(self, error: StorageError) -> None:
        self._away_until = time.monotonic() + _AWAY_SECONDS
        if not self._away:
            self._away = True
            _LOGGER.warning("%s are counted in each process alone, the Redis server does not answer: %s", self._what, error.__cause__)

    def _found_again(self) -> None:
        if self._away:
            self._away = False
            _LOGGER.info("%s are counted together again", self._what)


class _TidyMemory(MemoryStorage):
    """Looks through all callers for those that can be forgotten from time to time, and not at every request."""

    _pause: asyncio.Future[None] | None = None

    def put_off_tidying(self) -> None:
        """The library tidies up, in a task, whenever the last one is done. After each, a pause stands in its place."""
        if self.timer is None or (self.timer.done() and self.timer is not self._pause):
            loop = asyncio.get_running_loop()
            self._pause = loop.create_future()
            loop.call_later(_TIDY_SECONDS, self._pause.cancel)
            self.timer = self._pause  # type: ignore[assignment]  # it is only asked whether it is done


def _shared(url: str) -> SlidingWindowCounterRateLimiter:
    storage = storage_from_string(
        f"async+{url}",
        implementation="redispy",
        wrap_exceptions=True,
        key_prefix="hearth:limits",
        socket_timeout=_ANSWER_SECONDS,
        socket_connect_timeout=_ANSWER_SECONDS,
        retry=None,  # type: ignore[arg-type]  # the client's own tries again are slow, and a caller waits
    )
    return SlidingWindowCounterRateLimiter(storage)
