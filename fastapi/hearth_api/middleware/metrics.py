"""Counts and times every request by the template of its path: labels hold nothing that a caller sends."""

from http import HTTPMethod
from time import perf_counter

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from hearth.serving.metrics import (
    Errors,
    Requests,
    new_registry,
    register_alert_metrics,
    register_drift_metrics,
    register_label_metrics,
    register_model_metrics,
    register_recorder_metrics,
    register_rollout_metrics,
)
from hearth.serving.quality_metrics import register_quality_metrics
from hearth_api.errors import ERROR_CODE
from hearth_api.middleware.traces import CLIENT_CLOSED, FAILED, STATUS

_METHODS = frozenset(HTTPMethod)
_NO_ROUTE = "none"


def measure(app: FastAPI) -> None:
    """Give an application its metrics; call it after other middleware is added, so that the responses of that count too.

    `Traces`, which notes the status of each response, is added after it.
    """
    registry = app.state.metrics = new_registry()
    app.add_middleware(RequestMetrics, registry=registry)
    register_model_metrics(registry, lambda: app.state.service.models.status())  # noqa: PLW0108 - the service is made when the application starts
    register_recorder_metrics(registry, lambda: app.state.service.recorder.counts())  # noqa: PLW0108 - the same
    register_rollout_metrics(
        registry,
        lambda: app.state.service.models.splits(),  # noqa: PLW0108 - the same
        lambda: app.state.service.predictor.router.counter.by_version(),  # noqa: PLW0108 - the same
        lambda: app.state.service.rollout_controller.statuses(),  # noqa: PLW0108 - the same
        lambda: app.state.service.rollout_controller.ended(),  # noqa: PLW0108 - the same
    )
    register_drift_metrics(registry, lambda: app.state.service.drift_follower.checks())  # noqa: PLW0108 - the same
    register_quality_metrics(registry, lambda: app.state.service.quality_follower.checks())  # noqa: PLW0108 - the same
    register_alert_metrics(
        registry,
        lambda: app.state.service.alert_housekeeping.open_counts(),  # noqa: PLW0108 - the same
        lambda: app.state.service.alert_sender.outcomes,
    )
    register_label_metrics(registry, lambda: app.state.service.feedback.counts())  # noqa: PLW0108 - the same


class RequestMetrics:
    """Middleware that counts and times requests."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._requests = Requests(registry, "http_request", by=("method", "route"), outcome="status")
        self._errors = Errors(registry, "http")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = perf_counter()
        method = scope["method"]
        has_failed = False
        try:
            await self._app(scope, receive, send)
        except Exception:
            has_failed = True
            scope[ERROR_CODE] = "internal_error"
            raise
        finally:
            status = FAILED if has_failed else scope.get(STATUS, CLIENT_CLOSED)
            route = getattr(scope.get("route"), "path_format", _NO_ROUTE)  # as OpenAPI has it, without converters
            self._requests.observe((method if method in _METHODS else "OTHER", route, str(status)), perf_counter() - start)
            if ERROR_CODE in scope:
                self._errors.count(scope[ERROR_CODE])
