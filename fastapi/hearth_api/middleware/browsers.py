"""What pages in browsers may do: the origins whose pages may call the service (CORS), and the host names that it answers to."""

from collections.abc import Sequence
from ipaddress import ip_address

from fastapi import FastAPI
from starlette._utils import get_route_path, parse_host_header
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from hearth.errors import ErrorKind, HearthError
from hearth.settings import ApiSettings
from hearth_api.errors import error_response

_READABLE_HEADERS = ("X-Request-ID", "Retry-After", "X-Rows", "X-Rows-Refused", "X-Model-Alias", "X-Model-Version", "Content-Disposition")


def allow_browsers(app: FastAPI, settings: ApiSettings) -> None:
    """Answer CORS preflights, and refuse unknown host names; call it after `protect`, because a preflight carries no key."""
    if settings.api_cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.api_cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=_READABLE_HEADERS,
        )
    if "*" not in settings.api_allowed_hosts:
        app.add_middleware(AllowedHosts, hosts=settings.api_allowed_hosts)


class ForbiddenHost(HearthError):
    """The Host header of a request names no allowed host."""

    code = "forbidden_host"
    kind = ErrorKind.FORBIDDEN


class AllowedHosts:
    """Refuses requests to other host names, so that a page cannot reach the service under a name of its own (DNS rebinding).

    An address is always answered: the attack needs a name, and probes and Prometheus call by address. So is `localhost`. `/health` stays
    open for probes that send a name of their own, and tells nothing.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in ("localhost", *hosts) if not host.startswith("*."))
        self._domains = tuple(host[1:].lower() for host in hosts if host.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._is_allowed(Headers(scope=scope).get("host")) or get_route_path(scope) == "/health":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": ForbiddenHost.code})
        else:
            error = ForbiddenHost("The Host header names no host of this service: add its name to HEARTH_API_ALLOWED_HOSTS.")
            await error_response(error)(scope, receive, send)

    def _is_allowed(self, header: str | None) -> bool:
        parsed = parse_host_header(header)
        host = parsed.host.lower() if parsed else ""
        return host in self._hosts or host.endswith(self._domains) or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
