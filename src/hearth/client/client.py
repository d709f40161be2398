"""The two clients: the same calls, sent by httpx with and without asyncio."""

import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

import anyio
import httpx

from hearth.client import calls, feedback
from hearth.client.answers import ScoredFile
from hearth.client.calls import Call, FileCall, Pages
from hearth.client.errors import ClientError, api_error, unreachable
from hearth.client.retrying import Attempts

P = ParamSpec("P")
T = TypeVar("T")
_FILE_SECONDS = 600.0  # the service checks a whole file before it sends the first byte
_CHUNK_BYTES = 65_536
# uvicorn closes a connection that was idle for 5 seconds: one that is reused at that moment breaks
_LIMITS = httpx.Limits(max_keepalive_connections=20, keepalive_expiry=2)


class _Configuration:
    """What both clients are made from."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = 30,
        retries: int = 2,
        max_wait_seconds: float = 30,
    ) -> None:
        """Prepare a client of the service at `url`, such as `http://127.0.0.1:8800`; nothing is sent yet.

        `timeout` limits the connection and each read, in seconds. A call that may be sent again is, up to `retries` times and with up to
        `max_wait_seconds` of pauses, which honour Retry-After; a longer one raises the error at once.

        Raises:
            ValueError: the address is not http:// or https://.
        """
        if not url.startswith(("http://", "https://")):
            message = f"{url!r} is not an address such as http://127.0.0.1:8800"
            raise ValueError(message)
        self.url = url.rstrip("/")
        self._retries, self._max_wait_seconds = retries, max_wait_seconds
        self._options: dict[str, Any] = {
            "base_url": self.url,
            "timeout": timeout,
            "limits": _LIMITS,
            "verify": self.url.startswith("https://"),  # reading the certificates takes longer than a prediction
            "headers": {"X-API-Key": api_key} if api_key else {},
        }

    def _attempts(self, call: Call[Any]) -> Attempts:
        return Attempts(call, self._retries, self._max_wait_seconds)

    @contextmanager
    def _own_errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            raise unreachable(self.url, error) from error


def _blocking(describe: Callable[P, Call[T]]) -> Callable[Concatenate["Client", P], T]:
    def method(client: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return client.send(describe(*args, **kwargs))

    return _like(describe, method)


def _blocking_pages(describe: Callable[P, Pages[T]]) -> Callable[Concatenate["Client", P], Iterator[T]]:
    def method(client: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        pages, cursor = describe(*args, **kwargs), None
        while True:
            items, cursor = pages.split(client.send(pages.call(cursor)))
            yield from items
            if cursor is None:
                return

    return _like(describe, method)


def _awaitable(describe: Callable[P, Call[T]]) -> Callable[Concatenate["AsyncClient", P], Awaitable[T]]:
    async def method(client: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await client.send(describe(*args, **kwargs))

    return _like(describe, method)


def _awaitable_pages(describe: Callable[P, Pages[T]]) -> Callable[Concatenate["AsyncClient", P], AsyncIterator[T]]:
    async def method(client: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        pages, cursor = describe(*args, **kwargs), None
        while True:
            items, cursor = pages.split(await client.send(pages.call(cursor)))
            for item in items:
                yield item
            if cursor is None:
                return

    return _like(describe, method)


def _like(described: Callable[..., object], method: T) -> T:
    """Give a method the name, the docstring and the parameters of the call that it sends."""
    assert inspect.isfunction(method)  # noqa: S101 - made above
    method.__name__, method.__doc__ = described.__name__, described.__doc__
    method.__qualname__ = method.__name__
    signature = inspect.signature(described)
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]  # what inspect reads first
        parameters=[this, *signature.parameters.values()], return_annotation=inspect.Signature.empty
    )
    return method


class Client(_Configuration):
    """A client that waits for each answer. Use it as a context, or `close` it; threads may share one."""

    def __init__(self, url: str, *, transport: httpx.BaseTransport | None = None, **options: Any) -> None:  # noqa: ANN401 - of the base
        super().__init__(url, **options)
        self._http = httpx.Client(transport=transport, **self._options)

    __init__.__doc__ = _Configuration.__init__.__doc__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    service = _blocking(calls.service)
    health = _blocking(calls.health)
    ready = _blocking(calls.ready)
    datasets = _blocking(calls.datasets)
    dataset = _blocking(calls.dataset)
    data = _blocking(calls.data)
    samples = _blocking(calls.samples)
    models = _blocking(calls.models)
    model_info = _blocking(calls.model_info)
    versions = _blocking(calls.versions)
    card = _blocking(calls.card)
    challenge = _blocking(calls.challenge)
    rollouts = _blocking(calls.rollouts)
    start_rollout = _blocking(calls.start_rollout)
    steer_rollout = _blocking(calls.steer_rollout)
    drift = _blocking(calls.drift)
    drift_history = _blocking(calls.drift_history)
    quality = _blocking(calls.quality)
    quality_history = _blocking(calls.quality_history)
    retrains = _blocking(calls.retrains)
    forget = _blocking(calls.forget)
    alerts = _blocking(calls.alerts)
    alert = _blocking(calls.alert)
    audit = _blocking(calls.audit)
    acknowledge_alert = _blocking(calls.acknowledge_alert)
    resolve_alert = _blocking(calls.resolve_alert)
    predict = _blocking(calls.predict)
    predict_file = _blocking(calls.predict_file)
    predict_stream = _blocking(calls.predict_stream)
    explain = _blocking(calls.explain)
    send_feedback = _blocking(feedback.send_feedback)
    prediction = _blocking(calls.prediction)
    predictions = _blocking_pages(calls.predictions)
    predictions_page = _blocking(calls.predictions_page)
    stream = _blocking(calls.stream)
    promote = _blocking(calls.promote)
    roll_back = _blocking(calls.roll_back)
    reload = _blocking(calls.reload)

    def send(self, call: Call[T]) -> T:
        """Send a call, again where that is safe, and return its answer."""
        attempts = self._attempts(call)
        while True:
            try:
                with self._own_errors():
                    return cast("T", self._send_file(call)) if isinstance(call, FileCall) else self._send(call)
            except ClientError as error:
                seconds = attempts.pause(error)
            time.sleep(seconds)

    def _send(self, call: Call[T]) -> T:
        return call.read(self._http.request(call.method, call.path, params=call.query, content=call.content, headers=dict(call.headers)))

    def _send_file(self, call: FileCall) -> ScoredFile:
        with (
            call.source.open("rb") as source,
            self._http.stream(
                "POST", call.path, params=call.query, content=source, headers=dict(call.headers), timeout=_FILE_SECONDS
            ) as response,
        ):
            if response.status_code != httpx.codes.OK:
                response.read()
                raise api_error(response)
            with _whole(call.target) as part, part.open("wb") as target:
                for chunk in response.iter_bytes():
                    target.write(chunk)
            return call.read(response)


class AsyncClient(_Configuration):
    """A client for asyncio or trio. Use it as a context, or `close` it; tasks may share one."""

    def __init__(self, url: str, *, transport: httpx.AsyncBaseTransport | None = None, **options: Any) -> None:  # noqa: ANN401 - of the base
        super().__init__(url, **options)
        self._http = httpx.AsyncClient(transport=transport, **self._options)

    __init__.__doc__ = _Configuration.__init__.__doc__

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    service = _awaitable(calls.service)
    health = _awaitable(calls.health)
    ready = _awaitable(calls.ready)
    datasets = _awaitable(calls.datasets)
    dataset = _awaitable(calls.dataset)
    data = _awaitable(calls.data)
    samples = _awaitable(calls.samples)
    models = _awaitable(calls.models)
    model_info = _awaitable(calls.model_info)
    versions = _awaitable(calls.versions)
    card = _awaitable(calls.card)
    challenge = _awaitable(calls.challenge)
    rollouts = _awaitable(calls.rollouts)
    start_rollout = _awaitable(calls.start_rollout)
    steer_rollout = _awaitable(calls.steer_rollout)
    drift = _awaitable(calls.drift)
    drift_history = _awaitable(calls.drift_history)
    quality = _awaitable(calls.quality)
    quality_history = _awaitable(calls.quality_history)
    retrains = _awaitable(calls.retrains)
    forget = _awaitable(calls.forget)
    alerts = _awaitable(calls.alerts)
    alert = _awaitable(calls.alert)
    audit = _awaitable(calls.audit)
    acknowledge_alert = _awaitable(calls.acknowledge_alert)
    resolve_alert = _awaitable(calls.resolve_alert)
    predict = _awaitable(calls.predict)
    predict_file = _awaitable(calls.predict_file)
    predict_stream = _awaitable(calls.predict_stream)
    explain = _awaitable(calls.explain)
    send_feedback = _awaitable(feedback.send_feedback)
    prediction = _awaitable(calls.prediction)
    predictions = _awaitable_pages(calls.predictions)
    predictions_page = _awaitable(calls.predictions_page)
    stream = _awaitable(calls.stream)
    promote = _awaitable(calls.promote)
    roll_back = _awaitable(calls.roll_back)
    reload = _awaitable(calls.reload)

    async def send(self, call: Call[T]) -> T:
        """Send a call, again where that is safe, and return its answer."""
        attempts = self._attempts(call)
        while True:
            try:
                with self._own_errors():
                    return cast("T", await self._send_file(call)) if isinstance(call, FileCall) else await self._send(call)
            except ClientError as error:
                seconds = attempts.pause(error)
            await anyio.sleep(seconds)

    async def _send(self, call: Call[T]) -> T:
        return call.read(
            await self._http.request(call.method, call.path, params=call.query, content=call.content, headers=dict(call.headers))
        )

    async def _send_file(self, call: FileCall) -> ScoredFile:
        content = _chunks(call.source)
        async with self._http.stream(
            "POST", call.path, params=call.query, content=content, headers=dict(call.headers), timeout=_FILE_SECONDS
        ) as response:
            if response.status_code != httpx.codes.OK:
                await response.aread()
                raise api_error(response)
            with _whole(call.target) as part:
                async with await anyio.open_file(part, "wb") as target:
                    async for chunk in response.aiter_bytes():
                        await target.write(chunk)
            return call.read(response)


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        while chunk := await file.read(_CHUNK_BYTES):
            yield chunk


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """Give the path of a part that becomes the target when the block ends, and is removed if it fails."""
    part = target.with_name(f"{target.name}.part")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
