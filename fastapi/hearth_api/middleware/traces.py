"""Every request belongs to a trace: the one that its header `traceparent` names, or a new one; the response names it."""

from starlette._utils import get_route_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hearth.tracing.context import CURRENT
from hearth.tracing.spans import TRACER
from hearth.tracing.traceparent import HEADER, TraceContext, new_trace, parse_traceparent
from hearth_api.errors import ERROR_CODE

_NAME = HEADER.encode()
_METHODS = frozenset(("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"))
_NOT_TRACED = frozenset(("/health", "/ready", "/metrics"))  # asked every few seconds, by whoever watches the service
CLIENT_CLOSED, FAILED = 499, 500  # the status of a request without a response, and of one that ended by an error
STATE = "trace"
STATUS = "hearth.status"  # the key in a request's scope: the status of its response, once that has begun


class Traces:
    """Runs each request in its trace, and where spans are exported makes one of it.

    A span has the template of the path and never the path itself, nor the query: both hold what callers send. The status of each response
    is noted here, for metrics too: one function is between the application and the server instead of one for each who wants to know.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
        elif TRACER.maker is None or scope["type"] == "websocket" or get_route_path(scope) in _NOT_TRACED:
            await self._run(scope, receive, send, _callers_place(scope) or new_trace())
        else:
            await self._run_in_span(scope, receive, send)

    async def _run(self, scope: Scope, receive: Receive, send: Send, place: TraceContext) -> None:
        scope.setdefault("state", {})[STATE] = place
        value = str(place).encode()

        async def send_with_trace(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.accept"}:
                scope[STATUS] = message.get("status")
                message["headers"] = [*message.get("headers", ()), (_NAME, value)]
            await send(message)

        token = CURRENT.set(place)
        try:
            await self._app(scope, receive, send_with_trace)
        finally:
            CURRENT.reset(token)

    async def _run_in_span(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        work = TRACER.begin(method, "server", _callers_place(scope), attributes={"http.request.method": method})
        if not work.is_recorded:
            await self._run(scope, receive, send, work.context)
            return
        has_failed = False
        try:
            await self._run(scope, receive, send, work.context)
        except BaseException as error:
            has_failed = isinstance(error, Exception)
            work.fail(error)
            raise
        finally:
            status = FAILED if has_failed else scope.get(STATUS, CLIENT_CLOSED)
            work.set({"http.response.status_code": status, "hearth.request_id": scope["state"].get("request_id", "")})
            if route := getattr(scope.get("route"), "path_format", None):
                work.rename(f"{method} {route}")
                work.set({"http.route": route})
            if status >= FAILED:
                work.fail(scope.get(ERROR_CODE, "internal_error"))
            work.end()


def _callers_place(scope: Scope) -> TraceContext | None:
    """Return the place in a trace that the caller names; None if it names none, one that cannot be read, or several."""
    found = None
    for name, value in scope["headers"]:
        if name == _NAME:
            if found is not None:
                return None
            found = value
    return None if found is None else parse_traceparent(found.decode("latin-1"))
