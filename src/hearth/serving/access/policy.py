"""Who is admitted: one policy for every protocol. A protocol passes the key and the address of a request."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Self

from hearth.audit import Actor, RefusedKeys
from hearth.errors import HearthError, InvalidKey, MissingScope, TooManyRequests
from hearth.serving.access.keys import ADMIN, PREDICT, Key, Keys, require
from hearth.serving.access.rates import RateLimit
from hearth.settings import AccessSettings

_IPV6_NETWORK_BITS = 64  # the network of one customer, who could otherwise call from 2^64 addresses
_MAX_BLOCKED = 10_000


@dataclass(frozen=True)
class Caller:
    """Who sends a request: the key, if there is one, the address, and the door: rest, graphql or grpc."""

    key: Key | None
    address: str
    door: str = ""

    @property
    def name(self) -> str:
        """The name under which requests are counted."""
        return f"key {self.key.name}" if self.key else f"address {network(self.address)}"


class Access:
    """The keys and limits of a service. For one event loop.

    Attributes:
        refused_keys: counts of those who were refused for their key, for the audit trail.
    """

    def __init__(self, keys: Keys, failures: RateLimit, *, requests: RateLimit | None = None, require_key: bool = False) -> None:
        self._keys, self._failures, self._requests, self._require_key = keys, failures, requests, require_key
        self.refused_keys = RefusedKeys()
        self._blocked: dict[str, float] = {}  # by network: until when wrong keys are answered without a count

    @classmethod
    def from_settings(cls, settings: AccessSettings) -> Self:
        """Make the policy that the settings describe; connects to no server.

        Raises:
            InvalidSettings: if a key or a limit is invalid.
        """
        url = settings.redis_url.get_secret_value()
        # Requests are counted in memory by default: counting in a server takes as long as serving a request.
        shared = url if settings.api_rate_limit_shared else ""
        return cls(
            Keys.parse(settings.api_admin_key.get_secret_value(), settings.api_keys.get_secret_value()),
            RateLimit(settings.api_failed_keys_limit, "refused keys", url),
            requests=RateLimit(settings.api_rate_limit, "requests", shared) if settings.api_rate_limit else None,
            require_key=settings.api_require_key,
        )

    @property
    def is_open(self) -> bool:
        """Whether predictions need no key and have no limit: then no request has to be checked."""
        return not self._require_key and self._requests is None

    async def admit_call(self, secret: str | None, address: str, scopes: Sequence[str] = (PREDICT,), door: str = "") -> Caller:
        """Admit a request that needs one of the scopes, count it, and return its caller.

        `secret` is its key, if it has one, `address` where it comes from. A right key is always accepted: whoever shares an address with a
        guesser must not be locked out by the guesses.

        Raises:
            InvalidKey: if the key is unknown, or one is required and there is none.
            MissingScope: if a key is required and this one has none of the scopes.
            TooManyRequests: if the caller has reached its limit, or the key is unknown and too many unknown keys came from this address.
        """
        caller = await self._identify(secret, address, scopes, door)
        await self.admit(caller, *scopes)
        return caller

    async def admit(self, caller: Caller, *scopes: str) -> None:
        """Admit a request of a known caller that needs one of the scopes, and count it.

        Raises:
            InvalidKey: if a key is required and there is none.
            MissingScope: if a key is required and this one has none of the scopes.
            TooManyRequests: if the caller has reached its limit.
        """
        self.require_scope(caller, *scopes)
        if self._requests is not None:
            await self._requests.hit(caller.name)

    def require_scope(self, caller: Caller, *scopes: str) -> None:
        """Check a request that is counted already for one of the scopes.

        Raises:
            InvalidKey: if a key is required and there is none.
            MissingScope: if a key is required and this one has none of the scopes.
        """
        if self._require_key:
            self._require(caller, scopes)

    async def admit_admin(self, secret: str | None, address: str, door: str = "") -> Key:
        """Admit a request for administration and return its key.

        Raises:
            InvalidKey: if it has no key, or an unknown one.
            MissingScope: if its key lacks the scope.
            TooManyRequests: if its key is unknown, and too many unknown keys came from this address.
        """
        return self._require(await self._identify(secret, address, (ADMIN,), door), (ADMIN,))

    async def close(self) -> None:
        """Close the connections to servers."""
        await self._failures.close()
        if self._requests is not None:
            await self._requests.close()

    async def _identify(self, secret: str | None, address: str, scopes: Sequence[str], door: str) -> Caller:
        if secret is None:
            return Caller(None, address, door)
        try:
            return Caller(self._keys.find(secret), address, door)
        except InvalidKey as error:
            self._count_refusal(Caller(None, address, door), error, scopes)
            await self._count_failure(network(address))
            raise

    def _require(self, caller: Caller, scopes: Sequence[str]) -> Key:
        try:
            return require(caller.key, *scopes)
        except (InvalidKey, MissingScope) as error:
            self._count_refusal(caller, error, scopes)
            raise

    def _count_refusal(self, caller: Caller, error: HearthError, scopes: Sequence[str]) -> None:
        key = caller.key
        actor = Actor("key" if key else "nobody", key.name if key else "", caller.door, network(caller.address))
        self.refused_keys.count(actor, error.code, scopes)

    async def _count_failure(self, network: str) -> None:
        if (left := self._blocked.get(network, 0.0) - time.monotonic()) > 0:
            raise TooManyRequests(self._failures.description, math.ceil(left))
        try:
            await self._failures.hit(network)
        except TooManyRequests as error:
            self._block(network, error.retry_seconds)
            raise

    def _block(self, network: str, seconds: float) -> None:
        now = time.monotonic()
        if len(self._blocked) >= _MAX_BLOCKED:
            self._blocked = {other: until for other, until in self._blocked.items() if until > now}
        self._blocked[network] = now + seconds


@lru_cache(maxsize=4_096)
def network(address: str) -> str:
    """Return the name of a caller without a key: its IPv4 address or IPv6 network; any other text is its own name."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, _IPV6_NETWORK_BITS), strict=False))
    return str(parsed)
