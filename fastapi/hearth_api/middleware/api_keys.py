"""API keys in HTTP: the header `X-API-Key`, or `Authorization: Bearer`. `hearth.serving.access` decides who may call, and how often."""

import re
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import ASGIApp, Receive, Scope, Send

from hearth.errors import HearthError
from hearth.serving.access import Access, Key
from hearth_api.errors import error_response

_HEADER, _BEARER = "X-API-Key", b"bearer "
_NAME = _HEADER.lower().encode()
_POLICY_VIOLATION = 1008  # WebSocket's word for it

# What is open to everybody although predictions are not: how the service is, what it serves, and its documentation. Administration has a
# scope of its own. All else, also what is added later, is taken for predictions.
_OPEN = {"/", "/health", "/ready", "/metrics", "/models", "/list-models", "/model-info", "/model/info", "/docs", "/openapi.json"} | {
    "/ping",
    "/version",
    "/v2",
}
_ALSO_OPEN = re.compile(
    r"/datasets(/[^/]+)?|/[^/]+/model-info|/static-offline-docs/.*|/model/reload|/reload-cache|/models/[^/]+/(rollback|promote)"
    r"|/v2/health/(live|ready)|/v2/models/[^/]+(/versions/[^/]+)?(/ready)?"
)


class Guard:
    """Middleware that lets requests for predictions in, or not. A service whose predictions are open to everybody does without it."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or _is_open(scope):
            return await self._app(scope, receive, send)
        try:
            await self._access.admit_prediction(_secret(scope), _address(scope))
        except HearthError as error:
            if scope["type"] == "websocket":
                return await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": error.code})
            return await error_response(error)(scope, receive, send)
        return await self._app(scope, receive, send)


async def _admit_admin(
    request: Request,
    _: Annotated[str | None, Security(APIKeyHeader(name=_HEADER, scheme_name="API key", auto_error=False))],
    __: Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(scheme_name="Bearer", auto_error=False))],
) -> Key:
    """The two schemes are for the documentation, which has a button for each."""
    access = request.app.state.access
    assert isinstance(access, Access)  # noqa: S101 - `protect` has put it there
    return await access.admit_admin(_secret(request.scope), _address(request.scope))


Admin = Annotated[Key, Depends(_admit_admin)]


def protect(app: FastAPI, access: Access) -> None:
    """Let only those in who may come in; call it before middleware is added that shall also see who is refused."""
    app.state.access = access
    if access.is_open:
        return
    app.add_middleware(Guard, access=access)
    describe = app.openapi

    def described_with_keys() -> dict[str, object]:
        return {**describe(), "security": [{"API key": []}, {"Bearer": []}]}

    app.openapi = described_with_keys  # type: ignore[method-assign]  # as FastAPI's documentation has it


def _is_open(scope: Scope) -> bool:
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return path in _OPEN or _ALSO_OPEN.fullmatch(path) is not None


def _secret(scope: Scope) -> str | None:
    """Return the key that a request carries; of two, the one under our own name."""
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
