"""Our errors in HTTP: the only file that knows both.

Every error response has the same body: `error`, a stable word; `detail`, a sentence; and `errors`, one entry for each problem of a record.
"""

import logging
import math
from collections.abc import Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from hearth.errors import ErrorKind, HearthError, InvalidRecords
from hearth.logs import about
from hearth.tracing.context import in_trace
from hearth.tracing.traceparent import HEADER as TRACE_HEADER
from hearth.tracing.traceparent import TraceContext
from hearth_api.middleware.request_ids import HEADER

_LOGGER = logging.getLogger(__name__)
ERROR_CODE = "hearth.error"  # the key in a request's scope
INTERNAL_DETAIL = "The service failed; its log says why."

STATUS: dict[ErrorKind, HTTPStatus] = {
    ErrorKind.CALLER: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorKind.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    ErrorKind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorKind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorKind.CONFLICT: HTTPStatus.CONFLICT,
    ErrorKind.UNSUPPORTED: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ErrorKind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorKind.TOO_SLOW: HTTPStatus.REQUEST_TIMEOUT,
    ErrorKind.TOO_MANY: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorKind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorKind.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_TEMPORARY = {ErrorKind.TOO_MANY, ErrorKind.UNAVAILABLE}


class ServiceStarting(HearthError):
    """The process lives, and still loads what it needs."""

    code = "starting"
    kind = ErrorKind.UNAVAILABLE


class InvalidBody(HearthError):
    """The body of a request is not what the route takes."""

    code = "invalid_body"
    kind = ErrorKind.CALLER


class BodyTooLarge(HearthError):
    """The body of a request has more bytes than the limit."""

    code = "body_too_large"
    kind = ErrorKind.TOO_LARGE

    def __init__(self, limit: int, setting: str) -> None:
        super().__init__(f"The body has more than {limit} bytes, the limit of {setting}: send fewer records at once.")


class BodyTooSlow(HearthError):
    """The body of a request did not arrive in time."""

    code = "body_too_slow"
    kind = ErrorKind.TOO_SLOW

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The body did not arrive within {seconds:g} seconds (HEARTH_API_BODY_SECONDS): send fewer records at once.")


def install_error_handlers(app: FastAPI) -> None:
    """Answer every error with the same body."""
    app.add_exception_handler(HearthError, _hearth_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(Exception, _unexpected)


def status_of(error: HearthError) -> HTTPStatus:
    """Return the status of an error."""
    return STATUS[error.kind]


def error_response(error: HearthError) -> JSONResponse:
    """Return the response to a request that failed with one of our errors."""
    problems, count = (error.problems, error.count) if isinstance(error, InvalidRecords) else ((), 0)
    headers = {"Retry-After": str(math.ceil(error.retry_seconds))} if error.kind in _TEMPORARY else {}
    if error.kind is ErrorKind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.kind is ErrorKind.INTERNAL:
        _LOGGER.error("%s: %s", error.code, error)
    return _answer(status_of(error), error.code, str(error), [problem.to_dict() for problem in problems], headers, count)


def _hearth_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HearthError)  # noqa: S101 - registered for this class
    return error_response(error)


def _http_error(_: Request, error: Exception) -> JSONResponse:
    """What the framework refuses by itself: an unknown path, a wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101
    status = HTTPStatus(error.status_code)
    return _answer(status, status.phrase.lower().replace(" ", "_"), str(error.detail), [], dict(error.headers or {}))


def _invalid_request(_: Request, error: Exception) -> JSONResponse:
    """A parameter of the query or the path; its value is not echoed, because it may not be valid JSON."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    details = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors())
    return _answer(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", details, [])


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    request_id = str(request.state.request_id)
    trace: TraceContext = request.state.trace
    with in_trace(trace):  # this handler runs outside the middleware that does so, and that adds the headers to other responses
        _LOGGER.error(
            "%s %s failed, request %s", request.method, request.url.path, request_id, exc_info=error, extra=about(request_id=request_id)
        )
    headers = {HEADER: request_id, TRACE_HEADER: str(trace)}
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", INTERNAL_DETAIL, [], headers)


def _answer(  # noqa: PLR0913, PLR0917 - the parts of an answer
    status: HTTPStatus,
    code: str,
    detail: str,
    problems: Sequence[dict[str, object]],
    headers: dict[str, str] | None = None,
    count: int = 0,
) -> JSONResponse:
    body: dict[str, object] = {"error": code, "detail": detail, "errors": [_printable(problem) for problem in problems]}
    if count > len(problems):
        body["more_errors"] = count - len(problems)
    return _ErrorAnswer(code, body, status, headers)


class _ErrorAnswer(JSONResponse):
    """Leaves the code in the scope of the request, for the metrics."""

    def __init__(self, code: str, body: dict[str, object], status: HTTPStatus, headers: dict[str, str] | None) -> None:
        super().__init__(body, status, headers)
        self.code = code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ERROR_CODE] = self.code
        await super().__call__(scope, receive, send)


def _printable(problem: dict[str, object]) -> dict[str, object]:
    """Return a problem whose value fits into JSON: other values become text, and long ones are cut, as long names of columns are."""
    problem, value = {**problem, "column": _short(problem["column"])}, problem["value"]
    if isinstance(value, bool | int | None):
        return problem if isinstance(value, bool | None) or abs(value) < 2**53 else {**problem, "value": _short(value)}
    return {**problem, "value": _short(value)}


def _short(value: object, longest: int = 200) -> str | float:
    if isinstance(value, float) and value == value and abs(value) != float("inf"):  # noqa: PLR0124 - NaN differs from itself
        return value
    text = value if isinstance(value, str) else repr(value)
    text = text.encode(errors="replace").decode()  # JSON escapes can hold half a surrogate pair
    return text if len(text) <= longest else f"{text[:longest]}…"
