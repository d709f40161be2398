"""The one file that knows both our errors and HTTP.

Every answer that is not a success has this body: `error`, a stable word; `detail`, a sentence; and `errors`, what is wrong with which
record, if that is what it is about.
"""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from hearth.errors import (
    HearthError,
    InvalidRecords,
    ModelUnavailable,
    PredictionsUnavailable,
    RegistryError,
    StorageUnavailable,
    StreamUnavailable,
    UnknownAlias,
    UnknownDataset,
)

_LOGGER = logging.getLogger(__name__)
_RETRY_SECONDS = 5
_PROBLEMS_SHOWN = 100

STATUS: dict[type[HearthError], HTTPStatus] = {
    InvalidRecords: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnknownAlias: HTTPStatus.NOT_FOUND,
    UnknownDataset: HTTPStatus.NOT_FOUND,
    ModelUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    PredictionsUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    RegistryError: HTTPStatus.SERVICE_UNAVAILABLE,
    StorageUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    StreamUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


class InvalidBody(HearthError):
    """The body of a request is not what the route takes."""

    code = "invalid_body"


class BodyTooLarge(HearthError):
    """The body of a request has more bytes than are read."""

    code = "body_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body has more than {limit} bytes: send fewer records at once.")


STATUS |= {InvalidBody: HTTPStatus.UNPROCESSABLE_ENTITY, BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE}


def install_error_handlers(app: FastAPI) -> None:
    """Answer every error in the one shape."""
    app.add_exception_handler(HearthError, _hearth_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(Exception, _unexpected)


def status_of(error: HearthError) -> HTTPStatus:
    """Return the status of the nearest class that has one."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), HTTPStatus.INTERNAL_SERVER_ERROR)


def _hearth_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HearthError)  # noqa: S101 - registered for this class
    status = status_of(error)
    problems = list(error.problems) if isinstance(error, InvalidRecords) else []
    headers = {"Retry-After": str(_RETRY_SECONDS)} if status is HTTPStatus.SERVICE_UNAVAILABLE else None
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        _LOGGER.error("%s: %s", error.code, error)
    return _answer(status, error.code, str(error), [problem.to_dict() for problem in problems], headers)


def _http_error(_: Request, error: Exception) -> JSONResponse:
    """What the framework itself refuses: no such route, wrong method, a body that is too large."""
    assert isinstance(error, HTTPException)  # noqa: S101
    status = HTTPStatus(error.status_code)
    return _answer(status, status.phrase.lower().replace(" ", "_"), str(error.detail), [], dict(error.headers or {}))


def _invalid_request(_: Request, error: Exception) -> JSONResponse:
    """A parameter of the query or the path; the values that were sent are not echoed as they may not be JSON."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    details = "; ".join(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors())
    return _answer(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", details, [])


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    _LOGGER.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "The service failed; its log says why.", [])


def _answer(
    status: HTTPStatus, code: str, detail: str, problems: list[dict[str, object]], headers: dict[str, str] | None = None
) -> JSONResponse:
    body: dict[str, object] = {"error": code, "detail": detail, "errors": [_printable(problem) for problem in problems[:_PROBLEMS_SHOWN]]}
    if len(problems) > _PROBLEMS_SHOWN:
        body["more_errors"] = len(problems) - _PROBLEMS_SHOWN
    return JSONResponse(body, status, headers)


def _printable(problem: dict[str, object]) -> dict[str, object]:
    """A value that was refused can be anything that a parser makes; what JSON cannot say goes as text, and long things are cut."""
    value = problem["value"]
    if isinstance(value, bool | int | None):
        return problem if isinstance(value, bool | None) or abs(value) < 2**53 else {**problem, "value": _short(value)}
    return {**problem, "value": _short(value)}


def _short(value: object, longest: int = 200) -> str | float:
    if isinstance(value, float) and value == value and abs(value) != float("inf"):  # noqa: PLR0124 - NaN differs from itself
        return value
    text = value if isinstance(value, str) else repr(value)
    text = text.encode(errors="replace").decode()  # JSON escapes may hold halves of surrogate pairs
    return text if len(text) <= longest else f"{text[:longest]}…"
