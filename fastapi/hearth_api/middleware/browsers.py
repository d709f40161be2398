"""What pages in browsers may do: the origins whose pages may call the service (CORS), and the host names that it answers to."""

from fastapi import FastAPI
from starlette._utils import get_route_path
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from hearth.errors import ErrorKind, HearthError
from hearth.host_names import HostNames
from hearth.settings import ApiSettings
from hearth_api.errors import error_response

_READABLE_HEADERS = (
    *("X-Request-ID", "traceparent", "Retry-After", "X-Rows", "X-Rows-Refused", "X-Understood"),
    *("X-Model-Alias", "X-Model-Version", "Content-Disposition"),
)


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
        app.add_middleware(AllowedHosts, hosts=HostNames(settings.api_allowed_hosts))


class ForbiddenHost(HearthError):
    """The Host header of a request names no allowed host."""

    code = "forbidden_host"
    kind = ErrorKind.FORBIDDEN


class AllowedHosts:
    """Refuses requests to other host names. `/health` stays open for probes that send a name of their own, and tells nothing."""

    def __init__(self, app: ASGIApp, hosts: HostNames) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._hosts.allow(Headers(scope=scope).get("host")) or get_route_path(scope) == "/health":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": ForbiddenHost.code})
        else:
            error = ForbiddenHost("The Host header names no host of this service: add its name to HEARTH_API_ALLOWED_HOSTS.")
            await error_response(error)(scope, receive, send)
