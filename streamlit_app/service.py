"""The REST service as the page asks it."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, cast

import httpx

Json = dict[str, Any]
Progress = Callable[[float, str], None]
"""Is told how far a file has come, from 0 to 1, and what happens to it."""

_SYSTEMS_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
_SECONDS = 30.0
_FILE_SECONDS = 600.0
_SENT = 0.4  # of the progress of a file that is sent, scored and received


class ServiceError(Exception):
    """A service is away, or has refused; the message is for people."""


class RefusedRecords(ServiceError):
    """Records break the contract: `problems` holds column, value and expectation of each."""

    def __init__(self, message: str, problems: list[Json]) -> None:
        super().__init__(message)
        self.problems = problems


@dataclass(frozen=True)
class ScoredFile:
    """A file with its predictions, how many rows it has, and how many of them were refused."""

    content: bytes
    rows: int
    refused: int


class Service:
    """One REST service. `address` is where this process reaches it; `key` is sent if there is one. Many threads may share it."""

    def __init__(self, address: str, key: str = "", client: httpx.Client | None = None) -> None:
        self._address = address.rstrip("/")
        self._headers = {"X-API-Key": key} if key else {}
        self._client = client or httpx.Client(timeout=_SECONDS)

    def with_key(self, key: str) -> "Service":
        """Return the same service, asked with another key."""
        return Service(self._address, key, self._client)

    def get(self, path: str, **query: str | int | None) -> Json:
        """Return what a path answers.

        Raises:
            ServiceError: it is away, or refuses.
        """
        return _body(self._ask("GET", path, query))

    def post(self, path: str, body: Json | None = None, **query: str | int | None) -> Json:
        """Return what a path answers to a body.

        Raises:
            RefusedRecords: the body holds records that break the contract.
            ServiceError: it is away, or refuses.
        """
        return _body(self._ask("POST", path, query, json=body))

    def state(self) -> Json:
        """Return what /ready answers, whether or not all is well.

        Raises:
            ServiceError: it is away, or cannot tell.
        """
        answer = self._ask("GET", "/ready", {})
        body = _json(answer)
        if "servers" not in body:
            raise ServiceError(str(body.get("detail") or f"{answer.request.url} answered {answer.status_code}."))
        return body

    def score_file(self, dataset: str, model: str, file: IO[bytes], name: str, progress: Progress) -> ScoredFile:
        """Have a file scored; its name tells of which kind it is.

        Raises:
            ServiceError: it is away, or refuses the file.
        """
        kind = "parquet" if name.endswith(".parquet") else "csv"
        watched = _Watched(file, lambda share: progress(_SENT * share, f"Sending {name}" if share < 1 else f"Checking {name}"))
        where = f"{self._address}/{dataset}/predict/{kind}"
        files = {"file": (name, cast("IO[bytes]", watched))}  # it has what httpx uses of a file
        asked = self._client.stream("POST", where, params={"model": model}, files=files, headers=self._headers, timeout=_FILE_SECONDS)
        with self._reaching(), asked as answer:
            if answer.is_error:
                answer.read()
                _body(answer)
            rows, content, ended = int(answer.headers["X-Rows"]), bytearray(), 0
            for part in answer.iter_bytes():
                content += part
                ended += part.count(b"\n")
                share = ended / (rows + 1) if kind == "csv" else len(content) / (len(content) + watched.size)
                progress(_SENT + (1 - _SENT) * min(1.0, share), f"Scoring {name}")
            return ScoredFile(bytes(content), rows, int(answer.headers["X-Rows-Refused"]))

    def _ask(self, method: str, path: str, query: Mapping[str, str | int | None], json: Json | None = None) -> httpx.Response:
        chosen = {name: value for name, value in query.items() if value is not None}
        with self._reaching():
            return self._client.request(method, f"{self._address}{path}", params=chosen, headers=self._headers, json=json)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise ServiceError(does_not_answer("The REST service", self._address, error)) from error


def does_not_answer(service: str, address: str, error: Exception) -> str:
    """Return who does not answer, where, and why, in words."""
    return f"{service} at {address} does not answer: {reason_of(error)}. Is it running? `make status` tells."


def reason_of(error: Exception) -> str:
    """Return what went wrong on the way to another service, as people say it."""
    if isinstance(error, httpx.TimeoutException):
        return "it takes too long"
    if isinstance(error, httpx.HTTPStatusError):
        return f"it says {error.response.status_code} {error.response.reason_phrase}"
    said = _SYSTEMS_NUMBER.sub("", str(error))
    return said[:1].lower() + said[1:] if said else type(error).__name__


class _Watched:
    """A file of which is told how much has been read."""

    def __init__(self, file: IO[bytes], seen: Callable[[float], None]) -> None:
        self._file, self._seen = file, seen
        self.size = max(1, file.seek(0, 2))
        file.seek(0)

    def read(self, size: int = -1) -> bytes:
        part = self._file.read(size)
        self._seen(min(1.0, self._file.tell() / self.size))
        return part

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _json(answer: httpx.Response) -> Json:
    try:
        body: Json = answer.json()
    except ValueError as error:
        raise ServiceError(f"{answer.request.url} answered {answer.status_code}, and not in JSON.") from error
    return body


def _body(answer: httpx.Response) -> Json:
    body = _json(answer)
    if answer.is_success:
        return body
    if body.get("errors"):
        raise RefusedRecords(str(body.get("detail")), body["errors"])
    raise ServiceError(str(body.get("detail") or f"{answer.request.url} answered {answer.status_code}."))
