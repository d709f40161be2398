"""Who is let in: one policy for every protocol, which gives it what its headers say and gets back an error or nothing."""

import math
import time
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Self

from hearth.errors import InvalidKey, TooManyRequests
from hearth.serving.access.keys import ADMIN, PREDICT, Key, Keys, require
from hearth.serving.access.rates import RateLimit
from hearth.settings import AccessSettings

_IPV6_NETWORK_BITS = 64  # what one customer has; otherwise each could call from 2^64 addresses
_MAX_BLOCKED = 10_000


class Access:
    """The keys and limits of a service. For one event loop."""

    def __init__(self, keys: Keys, failures: RateLimit, *, requests: RateLimit | None = None, require_key: bool = False) -> None:
        self._keys, self._failures, self._requests, self._require_key = keys, failures, requests, require_key
        self._blocked: dict[str, float] = {}  # until when no key of an address is looked at

    @classmethod
    def from_settings(cls, settings: AccessSettings) -> Self:
        """Make what the environment asks for; asks nothing of any server.

        Raises:
            InvalidSettings: a key or a limit cannot be read.
        """
        url = settings.redis_url.get_secret_value()
        # Requests are counted in memory unless asked otherwise: with a server each waits for it, and half as many are served.
        shared = url if settings.api_rate_limit_shared else ""
        return cls(
            Keys.parse(settings.api_admin_key.get_secret_value(), settings.api_keys.get_secret_value()),
            RateLimit(settings.api_failed_keys_limit, "refused keys", url),
            requests=RateLimit(settings.api_rate_limit, "requests", shared) if settings.api_rate_limit else None,
            require_key=settings.api_require_key,
        )

    @property
    def is_open(self) -> bool:
        """Whether predictions are for everybody, as often as they like: then nobody needs to ask."""
        return not self._require_key and self._requests is None

    async def admit_prediction(self, secret: str | None, address: str) -> None:
        """Let a request for predictions in; `secret` is the key that it carries, if any, `address` where it comes from.

        Raises:
            InvalidKey: a key is required and there is none, or it carries one that nobody has.
            MissingScope: a key is required and this one is not for predictions.
            TooManyRequests: the caller has asked too often, or has sent too many wrong keys.
        """
        key = await self._identify(secret, address)
        if self._require_key:
            require(key, PREDICT)
        if self._requests is not None:
            await self._requests.hit(f"key {key.name}" if key else f"address {_network(address)}")

    async def admit_admin(self, secret: str | None, address: str) -> Key:
        """Let a request for administration in and say whose it is.

        Raises:
            InvalidKey: it carries no key, or one that nobody has.
            MissingScope: its key is not for administration.
            TooManyRequests: too many wrong keys came from this address.
        """
        return require(await self._identify(secret, address), ADMIN)

    async def close(self) -> None:
        """Close the connections to servers."""
        await self._failures.close()
        if self._requests is not None:
            await self._requests.close()

    async def _identify(self, secret: str | None, address: str) -> Key | None:
        """Find whose key it is. After too many wrong ones from an address its keys are not even looked at: guessing is over."""
        if secret is None:
            return None
        network = _network(address)
        if (left := self._blocked.get(network, 0.0) - time.monotonic()) > 0:
            raise TooManyRequests(self._failures.shown, math.ceil(left))
        try:
            return self._keys.find(secret)
        except InvalidKey:
            try:
                await self._failures.hit(network)
            except TooManyRequests as error:
                self._block(network, error.retry_seconds)
                raise
            raise

    def _block(self, network: str, seconds: float) -> None:
        now = time.monotonic()
        if len(self._blocked) >= _MAX_BLOCKED:
            self._blocked = {other: until for other, until in self._blocked.items() if until > now}
        self._blocked[network] = now + seconds


@lru_cache(maxsize=4_096)
def _network(address: str) -> str:
    """Return what stands for a caller without a key: the address, of IPv6 the network; what is no address stands for itself."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, _IPV6_NETWORK_BITS), strict=False))
    return str(parsed)
