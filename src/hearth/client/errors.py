"""Every error that a client raises on purpose.

ClientError
├── ServiceUnreachable     no answer came: no connection, a time limit, or the connection broke
├── UnexpectedAnswer       an answer that no Hearth service gives, such as the page of a proxy
└── ApiError               the service refused or failed the request: `status`, `code`, `detail`, `problems`
    ├── InvalidRequest     the request is wrong (400, 408, 413, 422); with code `invalid_records`, `problems` say what and where
    ├── NotAuthenticated   no API key, or a wrong one (401)
    ├── NotAllowed         the key lacks the scope (403)
    ├── NotFound           no such data set, alias, version or message (404)
    ├── Conflict           it cannot be done in the present state (409)
    ├── TooManyRequests    a limit is reached, or the stream is full (429)
    ├── ServiceUnavailable a model or a server is away; later it works (503)
    └── ServiceFailed      the service failed; its log says why (500)

The text of an ApiError has the code, and each problem on a line of its own.
"""

import httpx
from pydantic import ValidationError

from hearth.client.answers import ErrorBody
from hearth.errors import Problem

_LISTED = 5


class ClientError(Exception):
    """Base of all errors of a client."""


class ServiceUnreachable(ClientError):
    """No answer came.

    Attributes:
        may_have_arrived: False if the request certainly was not processed.
        timed_out: whether the answer did not come within the time limit.
    """

    def __init__(self, url: str, reason: str, *, may_have_arrived: bool, timed_out: bool) -> None:
        super().__init__(f"{url} does not answer: {reason}.")
        self.may_have_arrived, self.timed_out = may_have_arrived, timed_out


class UnexpectedAnswer(ClientError):
    """The answer is none of a Hearth service."""

    def __init__(self, response: httpx.Response, reason: str) -> None:
        super().__init__(f"{response.request.method} {response.request.url} answered {response.status_code}, and {reason}.")
        self.status = response.status_code


class ApiError(ClientError):
    """The service refused or failed a request.

    Attributes:
        status: the HTTP status.
        code: the stable word for the error, such as `unknown_alias`.
        detail: the sentence of the service.
        problems: what is wrong with which record, at most the first hundred.
        more_problems: how many more there are.
        request_id: the id under which the service's log has the request.
        retry_seconds: after how many seconds the service expects a success, if it says so.
    """

    def __init__(self, response: httpx.Response, body: ErrorBody) -> None:
        self.status, self.code, self.detail = response.status_code, body.error, body.detail
        self.problems = tuple(Problem(**entry.model_dump()) for entry in body.errors)
        self.more_problems = body.more_errors
        self.request_id = response.headers.get("X-Request-ID", "")
        self.retry_seconds = _seconds(response.headers.get("Retry-After", ""))
        super().__init__(self._text())

    def _text(self) -> str:
        """Return the detail, or where there are several problems the first of them, one a line."""
        if len(self.problems) <= 1:
            return f"{self.code}: {self.detail}"
        count = len(self.problems) + self.more_problems
        lines = [f"  {problem}" for problem in self.problems[:_LISTED]]
        if count > _LISTED:
            lines.append(f"  and {count - _LISTED} more")
        return "\n".join([f"{self.code}: {count} problems", *lines])


class InvalidRequest(ApiError):
    """The request is wrong; sent again it is refused again."""


class NotAuthenticated(ApiError):
    """The request has no API key, or one that does not exist."""


class NotAllowed(ApiError):
    """The API key lacks the scope."""


class NotFound(ApiError):
    """There is no such data set, alias, version, message or route."""


class Conflict(ApiError):
    """It must not be done, or cannot in the present state; nothing was changed."""


class TooManyRequests(ApiError):
    """A rate limit is reached, or the stream is full."""


class ServiceUnavailable(ApiError):
    """A model or a server that is needed is away; later it works."""


class ServiceFailed(ApiError):
    """The service failed; its log says why."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidRequest,
    401: NotAuthenticated,
    403: NotAllowed,
    404: NotFound,
    408: InvalidRequest,
    409: Conflict,
    413: InvalidRequest,
    422: InvalidRequest,
    429: TooManyRequests,
    500: ServiceFailed,
    503: ServiceUnavailable,
}


def api_error(response: httpx.Response) -> ClientError:
    """Return the error that an answer without success stands for."""
    try:
        body = ErrorBody.model_validate_json(response.content)
    except ValidationError:
        return UnexpectedAnswer(response, "the body is not an error of Hearth: is this the address of a Hearth service?")
    return _BY_STATUS.get(response.status_code, ApiError)(response, body)


def unreachable(url: str, error: httpx.TransportError) -> ServiceUnreachable:
    """Return our error for one of httpx."""
    before_sending = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.UnsupportedProtocol)
    reason = str(error) or type(error).__name__
    return ServiceUnreachable(url, reason, may_have_arrived=not before_sending, timed_out=isinstance(error, httpx.TimeoutException))


def _seconds(text: str) -> float | None:
    """Return the seconds of a Retry-After; its other form, a date, is not what the service sends."""
    return float(text) if text.isascii() and text.isdigit() else None
