"""API keys: `HEARTH_API_ADMIN_KEY` is that of `admin`, `HEARTH_API_KEYS` holds `name:scopes:secret` for each further one."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from hearth.errors import InvalidKey, InvalidSettings, MissingScope

ADMIN, PREDICT = "admin", "predict"
SCOPES = (ADMIN, PREDICT)

_SHORTEST_SECRET = 16


@dataclass(frozen=True)
class Key:
    """Who calls, and for what; of the secret only its digest is kept."""

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
            InvalidSettings: they cannot be read; the message shows no secret.
        """
        keys = [_key("admin", frozenset(SCOPES), admin_key, "HEARTH_API_ADMIN_KEY")]
        for number, entry in enumerate(further.split(), 1):
            where = f"HEARTH_API_KEYS, key {number}"
            key = _parse(entry, where)
            if any(key.name == other.name or key.digest == other.digest for other in keys):
                raise InvalidSettings(f"{where}: it has the name or the secret of another.")
            keys.append(key)
        return cls(keys)

    def find(self, secret: str) -> Key:
        """Return the key that has this secret. How long that takes tells nothing about any secret.

        Raises:
            InvalidKey: nobody has it.
        """
        given, found = _digest(secret), None
        for key in self._keys:
            if hmac.compare_digest(key.digest, given):
                found = key
        if found is None:
            raise InvalidKey("Nobody has this API key.")
        return found


def require(key: Key | None, scope: str) -> Key:
    """Return the key if it is for this.

    Raises:
        InvalidKey: there is none.
        MissingScope: it is for something else.
    """
    if key is None:
        raise InvalidKey(f"This needs an API key with the scope {scope!r}.")
    if scope not in key.scopes:
        raise MissingScope(key.name, scope)
    return key


def _parse(entry: str, where: str) -> Key:
    name, _, rest = entry.partition(":")
    scopes, _, secret = rest.partition(":")
    given = frozenset(scopes.split("+"))
    if not name or not secret or not given <= set(SCOPES):
        raise InvalidSettings(f"{where}: it is not of the form name:scopes:secret, with scopes of {', '.join(SCOPES)}, joined by '+'.")
    return _key(name, given, secret, where)


def _key(name: str, scopes: frozenset[str], secret: str, where: str) -> Key:
    if len(secret) < _SHORTEST_SECRET:
        raise InvalidSettings(f"{where}: the secret has less than {_SHORTEST_SECRET} characters. `make secrets` writes a strong one.")
    return Key(name, scopes, _digest(secret))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
