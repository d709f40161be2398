"""Counts and times every request, by the template of its path: what a caller sends is in no label."""

from http import HTTPMethod
from time import perf_counter

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hearth.serving.metrics import Errors, Requests, new_registry, register_model_metrics, register_recorder_metrics
from hearth_api.errors import ERROR_CODE

_METHODS = frozenset(HTTPMethod)
_NO_ROUTE = "none"
_CLIENT_CLOSED, _FAILED = 499, 500


def measure(app: FastAPI) -> None:
    """Give an application metrics of its own; call it after all other middleware is added, so that it sees what that answers."""
    registry = app.state.metrics = new_registry()
    app.add_middleware(Measured, registry=registry)
    register_model_metrics(registry, lambda: app.state.service.models.status())  # noqa: PLW0108 - the service is made when the application starts
    register_recorder_metrics(registry, lambda: app.state.service.recorder.counts())  # noqa: PLW0108 - the same


class Measured:
    """Middleware around all others."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._requests = Requests(registry, "http_request", by=("method", "route"), outcome="status")
        self._errors = Errors(registry, "http")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        status = _CLIENT_CLOSED  # unless it is answered

        async def send_seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_seen)
        except Exception:
            status = _FAILED
            scope[ERROR_CODE] = "internal_error"
            raise
        finally:
            method = scope["method"]
            route = getattr(scope.get("route"), "path", _NO_ROUTE)
            self._requests.observe((method if method in _METHODS else "OTHER", route, str(status)), perf_counter() - started)
            if ERROR_CODE in scope:
                self._errors.count(scope[ERROR_CODE])
