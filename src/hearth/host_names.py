"""Under which names a service may be called: a page of another site must not reach it under a name of its own (DNS rebinding)."""

import re
from collections.abc import Iterable
from ipaddress import ip_address

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:@/\[\]]+)(:\d{1,5})?")


class HostNames:
    """The names that a service answers to beside `localhost` and every address.

    An address needs no mention: the attack needs a name, and probes, Prometheus and people of the network call by address. `*.example.org`
    stands for all names below a domain, `*` for all names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        lowered = {name.lower() for name in names}
        self._all = "*" in lowered
        self._names = frozenset({"localhost", *lowered})
        self._domains = tuple(name[1:] for name in lowered if name.startswith("*."))

    def allow(self, header: str | None) -> bool:
        """Tell whether a request with this `Host` header may be answered."""
        if self._all:
            return True
        found = _HOST.fullmatch((header or "").lower())
        if found is None:
            return False
        host = found[1]
        return host in self._names or host.endswith(self._domains) or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
