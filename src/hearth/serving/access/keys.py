"""API keys: `HEARTH_API_ADMIN_KEY` is the key `admin`, `HEARTH_API_KEYS` holds `name:scopes:secret` for each further one."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from hearth.errors import InvalidKey, InvalidSettings, MissingScope

ADMIN, PREDICT, READ, FEEDBACK, ALERT = "admin", "predict", "read", "feedback", "alert"
SCOPES = (ADMIN, PREDICT, READ, FEEDBACK, ALERT)

_SHORTEST_SECRET = 16


@dataclass(frozen=True)
class Key:
    """A caller and its scopes; only a digest of the secret is stored."""

    name: str
    scopes: frozenset[str]
    digest: bytes = field(repr=False)


class Keys:
    """The keys of a service."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = tuple(keys)

    @classmethod
    def parse(cls, admin_key: str, further: str) -> Self:
        """Read the settings.

        Raises:
            InvalidSettings: if they are invalid; the message shows no secret.
        """
        keys = [_key("admin", frozenset(SCOPES), admin_key, "HEARTH_API_ADMIN_KEY")]
        for number, entry in enumerate(further.split(), 1):
            where = f"HEARTH_API_KEYS, key {number}"
            key = _parse(entry, where)
            if any(key.name == other.name or key.digest == other.digest for other in keys):
                raise InvalidSettings(f"{where}: it has the name or the secret of another.")
            keys.append(key)
        return cls(keys)

    def described(self) -> dict[str, str]:
        """Return for each name its scopes, and a word by which another secret is noticed and from which none can be found."""
        return {key.name: f"{'+'.join(sorted(key.scopes))} {hashlib.sha256(b'audit' + key.digest).hexdigest()[:8]}" for key in self._keys}

    def find(self, secret: str) -> Key:
        """Return the key with this secret, in a time that depends on no secret.

        Raises:
            InvalidKey: if there is none.
        """
        digest, match = _digest(secret), None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                match = key
        if match is None:
            raise InvalidKey("This API key is unknown.")
        return match


def require(key: Key | None, *scopes: str) -> Key:
    """Return the key if it has one of the scopes.

    Raises:
        InvalidKey: if there is no key.
        MissingScope: if it has none of them.
    """
    needed = " or ".join(map(repr, scopes))
    if key is None:
        raise InvalidKey(f"This needs an API key with the scope {needed}.")
    if key.scopes.isdisjoint(scopes):
        raise MissingScope(key.name, needed)
    return key


def _parse(entry: str, where: str) -> Key:
    name, _, rest = entry.partition(":")
    scopes, _, secret = rest.partition(":")
    scope_names = frozenset(scopes.split("+"))
    if not name or not secret or not scope_names <= set(SCOPES):
        raise InvalidSettings(f"{where}: expected name:scopes:secret, with scopes of {', '.join(SCOPES)}, joined by '+'.")
    return _key(name, scope_names, secret, where)


def _key(name: str, scopes: frozenset[str], secret: str, where: str) -> Key:
    if len(secret) < _SHORTEST_SECRET:
        raise InvalidSettings(f"{where}: the secret has less than {_SHORTEST_SECRET} characters. `make secrets` writes a strong one.")
    return Key(name, scopes, _digest(secret))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
