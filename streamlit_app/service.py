"""The client of the REST service."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, cast

import httpx

Json = dict[str, Any]
Progress = Callable[[float, str], None]
"""Called with the progress of a file, from 0 to 1, and a description of the step."""

_ERRNO = re.compile(r"^\[Errno -?\d+\] ")
_TIMEOUT_SECONDS = 30.0
_FILE_TIMEOUT_SECONDS = 600.0
_UPLOAD_SHARE = 0.4  # of the progress of a file


class ServiceError(Exception):
    """A service does not answer, or refuses; the message is for people, and `code` is REST's word for it, if it has one."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class RefusedRecords(ServiceError):
    """Records break the contract: `problems` holds column, value and expectation of each."""

    def __init__(self, message: str, problems: list[Json]) -> None:
        super().__init__(message)
        self.problems = problems


@dataclass(frozen=True)
class ScoredFile:
    """A file with its predictions, and the numbers of its rows and of refused ones."""

    content: bytes
    rows: int
    refused: int


class Service:
    """One REST service at `address`, called with an API key if there is one. Threads may share it."""

    def __init__(self, address: str, key: str = "", client: httpx.Client | None = None) -> None:
        self._address = address.rstrip("/")
        self._headers = {"X-API-Key": key} if key else {}
        self._client = client or httpx.Client(timeout=_TIMEOUT_SECONDS)

    def with_key(self, key: str) -> "Service":
        """Return a client of the same service with another key."""
        return Service(self._address, key, self._client)

    def get(self, path: str, **query: str | int | None) -> Json:
        """Return the body of a GET.

        Raises:
            ServiceError: if the service does not answer, or refuses.
        """
        return _body(self._request("GET", path, query))

    def get_or_none(self, path: str, seconds: float) -> Json | None:
        """Return the body of a GET, None if there is no such thing.

        Raises:
            ServiceError: if the service does not answer in this time, or refuses for another reason.
        """
        with self._service_errors():
            answer = self._client.get(f"{self._address}{path}", headers=self._headers, timeout=seconds)
        return None if answer.status_code == httpx.codes.NOT_FOUND else _body(answer)

    def post(self, path: str, body: Json | None = None, **query: str | int | None) -> Json:
        """Return the body of a POST.

        Raises:
            RefusedRecords: if records break the contract.
            ServiceError: if the service does not answer, or refuses.
        """
        return _body(self._request("POST", path, query, json=body))

    def state(self) -> Json:
        """Return the body of /ready, whether or not the service is ready.

        Raises:
            ServiceError: if the service does not answer.
        """
        answer = self._request("GET", "/ready", {})
        body = _json(answer)
        if "servers" not in body:
            raise ServiceError(str(body.get("detail") or f"{answer.request.url} answered {answer.status_code}."))
        return body

    def score_file(self, dataset: str, model: str, file: IO[bytes], name: str, progress: Progress) -> ScoredFile:
        """Have a file scored; it is Parquet if its name ends so, else CSV.

        Raises:
            ServiceError: if the service does not answer, or refuses the file.
        """
        kind = "parquet" if name.endswith(".parquet") else "csv"
        upload = _Upload(file, lambda share: progress(_UPLOAD_SHARE * share, f"Sending {name}" if share < 1 else f"Checking {name}"))
        url = f"{self._address}/{dataset}/predict/{kind}"
        files = {"file": (name, cast("IO[bytes]", upload))}  # it has the methods that httpx uses
        request = self._client.stream(
            "POST", url, params={"model": model}, files=files, headers=self._headers, timeout=_FILE_TIMEOUT_SECONDS
        )
        with self._service_errors(), request as answer:
            if answer.is_error:
                answer.read()
                _body(answer)
            rows, content, lines = int(answer.headers["X-Rows"]), bytearray(), 0
            for part in answer.iter_bytes():
                content += part
                lines += part.count(b"\n")
                share = lines / (rows + 1) if kind == "csv" else len(content) / (len(content) + upload.size)
                progress(_UPLOAD_SHARE + (1 - _UPLOAD_SHARE) * min(1.0, share), f"Scoring {name}")
            return ScoredFile(bytes(content), rows, int(answer.headers["X-Rows-Refused"]))

    def _request(self, method: str, path: str, query: Mapping[str, str | int | None], json: Json | None = None) -> httpx.Response:
        params = {name: value for name, value in query.items() if value is not None}
        with self._service_errors():
            return self._client.request(method, f"{self._address}{path}", params=params, headers=self._headers, json=json)

    @contextmanager
    def _service_errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise ServiceError(does_not_answer("The REST service", self._address, error)) from error


def does_not_answer(service: str, address: str, error: Exception) -> str:
    """Return the message about a service that does not answer."""
    return f"{service} at {address} does not answer: {reason_of(error)}. Is it running? See `make status`."


def reason_of(error: Exception) -> str:
    """Return why a request failed, in words."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.HTTPStatusError):
        return f"status {error.response.status_code} {error.response.reason_phrase}"
    text = _ERRNO.sub("", str(error))
    return text[:1].lower() + text[1:] if text else type(error).__name__


class _Upload:
    """A file that reports how much of it has been read."""

    def __init__(self, file: IO[bytes], report: Callable[[float], None]) -> None:
        self._file, self._report = file, report
        self.size = max(1, file.seek(0, 2))
        file.seek(0)

    def read(self, size: int = -1) -> bytes:
        part = self._file.read(size)
        self._report(min(1.0, self._file.tell() / self.size))
        return part

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _json(answer: httpx.Response) -> Json:
    try:
        body: Json = answer.json()
    except ValueError as error:
        raise ServiceError(f"{answer.request.url} answered {answer.status_code}, but not in JSON.") from error
    return body


def _body(answer: httpx.Response) -> Json:
    body = _json(answer)
    if answer.is_success:
        return body
    if body.get("errors"):
        raise RefusedRecords(str(body.get("detail")), body["errors"])
    raise ServiceError(str(body.get("detail") or f"{answer.request.url} answered {answer.status_code}."), str(body.get("error", "")))
