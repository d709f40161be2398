"""API keys in HTTP: the header `X-API-Key`, or `Authorization: Bearer`. `hearth.serving.access` decides who may call, and how often."""

import asyncio
import re
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from starlette._utils import get_route_path
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from hearth.audit import Actor
from hearth.audit.actor import ACTOR
from hearth.errors import HearthError
from hearth.serving.access import ADMIN, ALERT, FEEDBACK, PREDICT, READ, Access, Key
from hearth_api.documentation import API_KEY, BEARER
from hearth_api.errors import error_response

_HEADER, _BEARER = "X-API-Key", b"bearer "
_NAME = _HEADER.lower().encode()
_POLICY_VIOLATION = 1008  # a close code of WebSocket

# Paths that need no key even where predictions do: the state of the service, what it serves, and its documentation. Administration checks
# its own scope. Every other path, also one that is added later, needs a key.
_OPEN_PATHS = {"/", "/health", "/ready", "/metrics", "/models", "/list-models", "/model-info", "/model/info", "/docs", "/openapi.json"} | {
    "/ping",
    "/version",
    "/v2",
}
_OPEN_PATTERN = re.compile(
    r"/datasets(/[^/]+)?|/[^/]+/model-info|/static-offline-docs/.*|/model/reload|/reload-cache|/models/[^/]+/(rollback|promote|rollout/[^/]+)"
    r"|/alerts/[^/]+/(acknowledge|resolve)|/audit"
    r"|/v2/health/(live|ready)|/v2/models/[^/]+(/versions/[^/]+)?(/ready)?"
)


# What was stored of everybody's records is read with a scope of its own, erased by an administrator, and what they turned out to be is
# written with another. GraphQL serves all: its fields check which of them they need. Prometheus reports what it has found, and no more.
_READ_PATTERN = re.compile(r"/predictions(/.*)?|/(drift|quality|retrains|rollouts)/.*|/alerts(/[^/]+)?|/stream", re.DOTALL)
_FEEDBACK_PATTERN = re.compile(r"/feedback(/.*)?")
_ALERT_PATTERN = re.compile(r"/api/v2/alerts")
_GRAPHQL_PATTERN = re.compile(r"/graphql(/.*)?")
_CALLER = "caller"


class Guard:
    """Middleware that admits or refuses requests for predictions and for what is stored.

    It is left out where predictions need no key and have no limit.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The `$` of Starlette's routes is also before a newline at the end, so that such a path is served: it is the same path
        if scope["type"] == "lifespan" or is_open(path := get_route_path(scope).removesuffix("\n")):
            return await self._app(scope, receive, send)
        try:
            door = "graphql" if _GRAPHQL_PATTERN.fullmatch(path) else "rest"
            caller = await self._access.admit_call(_secret(scope), _address(scope), _scopes(path, scope.get("method", "")), door)
        except HearthError as error:
            if scope["type"] == "websocket":
                return await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": error.code})
            return await error_response(error)(scope, receive, send)
        scope.setdefault("state", {})[_CALLER] = caller
        return await self._app(scope, receive, send)


async def _admit_admin(
    request: Request,
    _: Annotated[str | None, Security(APIKeyHeader(name=_HEADER, scheme_name=API_KEY, auto_error=False))],
    __: Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(scheme_name=BEARER, auto_error=False))],
) -> Key:
    """Admit a request for administration. The two schemes are for the documentation, which has a button for each."""
    access = request.app.state.access
    assert isinstance(access, Access)  # noqa: S101 - `protect` puts it there
    key = await access.admit_admin(_secret(request.scope), _address(request.scope), "rest")
    ACTOR.set(Actor("key", key.name, "rest", _address(request.scope)))
    return key


Admin = Annotated[Key, Depends(_admit_admin)]


def protect(app: FastAPI, access: Access) -> None:
    """Check keys and limits; middleware that should also see refused requests must be added after it."""
    app.state.access = access
    if not access.is_open:
        app.add_middleware(Guard, access=access)


def caller_name(connection: HTTPConnection) -> str | None:
    """Return the name of the key of a request; None if it has none, or no key had to be checked."""
    caller = connection.scope.get("state", {}).get(_CALLER)
    return caller.key.name if caller and caller.key else None


def is_open(path: str) -> bool:
    """Tell whether a path needs no key for predictions."""
    return path in _OPEN_PATHS or _OPEN_PATTERN.fullmatch(path) is not None


class FieldGuard:
    """Checks and counts the fields of GraphQL as REST does its requests; one for a request of HTTP or a connection of a WebSocket.

    `Guard` has counted the request or the connection itself, so its first field is free. It is made in the event loop of the service, and
    counts there: queries run in a thread of their own.
    """

    def __init__(self, connection: HTTPConnection) -> None:
        self._loop, self._scope = asyncio.get_running_loop(), connection.scope
        self._access, self._caller = connection.app.state.access, connection.scope.get("state", {}).get(_CALLER)
        self._is_first = True

    async def admit(self, scope: str) -> None:
        """Admit a field that needs a scope.

        Raises:
            InvalidKey: if a key is required and there is none.
            MissingScope: if a key is required and this one lacks the scope.
            TooManyRequests: if the caller has reached its limit.
        """
        if self._caller is None:
            return  # no request has to be checked
        if self._is_first:
            self._is_first = False
            self._access.require_scope(self._caller, scope)
        else:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._access.admit(self._caller, scope), self._loop))

    async def admit_admin(self) -> Key:
        """Admit a field that administrates, as REST's routes are, whether or not others need a key, and return the key.

        Raises:
            InvalidKey: if there is no key, or an unknown one.
            MissingScope: if the key lacks the scope.
            TooManyRequests: if the key is unknown, and too many unknown keys came from this address.
        """
        admitted = self._access.admit_admin(_secret(self._scope), _address(self._scope), "graphql")
        key: Key = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(admitted, self._loop))
        ACTOR.set(Actor("key", key.name, "graphql", _address(self._scope)))
        return key


def _scopes(path: str, method: str) -> tuple[str, ...]:
    if _GRAPHQL_PATTERN.fullmatch(path):
        return PREDICT, READ, FEEDBACK, ADMIN
    if _ALERT_PATTERN.fullmatch(path):
        return (ALERT,)
    if _FEEDBACK_PATTERN.fullmatch(path):
        return (FEEDBACK,)
    if _READ_PATTERN.fullmatch(path):
        return (ADMIN,) if method == "DELETE" else (READ,)
    return (PREDICT,)


def _secret(scope: Scope) -> str | None:
    """Return the key of a request; `X-API-Key` wins over `Authorization`."""
    bearer = None
    for name, value in scope["headers"]:
        if name == _NAME:
            return str(value, "latin-1")
        if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
            bearer = str(value[len(_BEARER) :], "latin-1").strip()
    return bearer


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "unknown"
