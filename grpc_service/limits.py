"""Bounds of open calls. Predictions have one number of places, streams a part of it, and health and reflection places of their own.

gRPC's own bound counts all calls alike: a thousand streams that wait would also shut out the health service, which a supervisor asks
before it starts the process again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc

from grpc_service.errors import Context, end_call
from grpc_service.traces import TracedServer
from hearth.errors import ErrorKind, HearthError
from hearth.settings import GrpcSettings

Handler = Any  # a named tuple of grpc, whose type cannot be subscripted

OTHER_CALLS = 100  # open at once of health, and of reflection
_SMALL_BYTES = 500_000  # a message below this is read at once, whatever it holds
_KEY_TAG = b"\n"  # the byte that an entry of a map has before its key, as protobuf writes it
_TAGS_A_VALUE = 2  # of a record: one before the entry of its map, one before the key
_ON_ITS_WAY = 300  # calls that are being refused


class TooManyCalls(HearthError):
    """A limit of open calls is reached."""

    code = "too_many_calls"
    kind = ErrorKind.TOO_MANY


class IdleStream(HearthError):
    """A stream was open without a message."""

    code = "idle_stream"
    kind = ErrorKind.TOO_SLOW


class TooManyValues(HearthError):
    """A message may hold so many values that reading it would stop everything else: protobuf reads a message in one piece."""

    code = "too_many_values"
    kind = ErrorKind.TOO_LARGE


class Places:
    """A number of calls that may be open, of which a part may be streams. Belongs to one event loop."""

    def __init__(self, calls: int, streams: int, names: tuple[str, str] | None = None) -> None:
        """`names` are the settings of both numbers, for the errors."""
        self._limits = {"calls": calls, "streams": streams}
        self._names = {"calls": names[0], "streams": names[1]} if names else {}
        self._open = {"calls": 0, "streams": 0}

    @contextmanager
    def take(self, *kinds: str) -> Iterator[None]:
        """Hold a place among the calls, and among the streams.

        Raises:
            TooManyCalls: there is none.
        """
        for kind in kinds:
            if self._open[kind] >= self._limits[kind]:
                setting = f" ({self._names[kind]})" if self._names else ""
                raise TooManyCalls(f"{self._limits[kind]} {kind} are open, which is the limit{setting}: close some, or try again later.")
        for kind in kinds:
            self._open[kind] += 1
        try:
            yield
        finally:
            for kind in kinds:
                self._open[kind] -= 1


class LimitedServer:
    """The part of a server that generated code uses to add a service; its calls take places, and its messages have a bound of values."""

    def __init__(self, server: grpc.aio.Server | TracedServer, places: Places, idle_seconds: float, max_values: int) -> None:
        self._server, self._places, self._idle_seconds, self._max_values = server, places, idle_seconds, max_values

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Do nothing: `add_registered_method_handlers` gets the same handlers by name, and adds them in both forms."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Add the calls of a service."""
        limited = {name: self._limit(handler) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, limited),))
        self._server.add_registered_method_handlers(service, limited)

    def _limit(self, handler: Handler) -> Handler:
        handler = handler._replace(request_deserializer=self._reader(handler.request_deserializer))
        if handler.response_streaming and handler.request_streaming:
            return handler._replace(stream_stream=self._stream(handler.stream_stream))
        if handler.response_streaming:
            return handler._replace(unary_stream=self._call(handler.unary_stream, "streams"))
        assert not handler.request_streaming  # noqa: S101 - no interface has such a call
        return handler._replace(unary_unary=self._call(handler.unary_unary))

    def _reader(self, read: Callable[[bytes], object]) -> Callable[[bytes], object]:
        """Return a function that reads a message, or returns TooManyValues: gRPC would turn an error that is raised into its own."""

        def bounded(message: bytes) -> object:
            # counting a byte takes a hundredth of the time of reading, and gives no less than there are entries of maps
            if len(message) > _SMALL_BYTES and message.count(_KEY_TAG) > _TAGS_A_VALUE * self._max_values:
                return TooManyValues(
                    f"The message may hold more than {self._max_values} values (HEARTH_GRPC_MAX_VALUES): send the records in"
                    " several messages, or packed."
                )
            return read(message)

        return bounded

    def _call(self, answer: Callable[[Any, Context], Any], *kinds: str) -> Callable[[Any, Context], Any]:
        """Limit a call that has one request, and one response or writes its responses itself."""

        async def limited(request: object, context: Context) -> object:
            try:
                with self._places.take("calls", *kinds):
                    return await answer(_readable(request), context)
            except (TooManyCalls, TooManyValues) as error:
                await end_call(context, error)

        return limited

    def _stream(self, answer: Callable[[Any, Context], AsyncIterator[Any]]) -> Callable[[Any, Context], AsyncIterator[Any]]:
        """Limit a call that has an iterator of requests, and of responses."""

        async def limited(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
            try:
                with self._places.take("calls", "streams"):
                    async for response in answer(self._awaited(requests), context):
                        yield response
            except (TooManyCalls, TooManyValues, IdleStream) as error:
                await end_call(context, error)

        return limited

    async def _awaited(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Yield the messages of a caller. Raises IdleStream if there is none for too long, TooManyValues if one was not read."""
        iterator = aiter(requests)
        while True:
            try:
                async with asyncio.timeout(self._idle_seconds):
                    request = await anext(iterator)
            except StopAsyncIteration:
                return
            except TimeoutError:
                setting = "HEARTH_GRPC_STREAM_IDLE_SECONDS"
                detail = f"The stream had no message for {self._idle_seconds:g} s ({setting}): open another one when there is one."
                raise IdleStream(detail) from None
            yield _readable(request)


def _readable(request: object) -> object:
    """Return a message that was read; raise TooManyValues if it was not."""
    if isinstance(request, TooManyValues):
        raise request
    return request


def server_options(settings: GrpcSettings) -> list[tuple[str, int]]:
    """Return the options of the server."""
    return [
        ("grpc.max_receive_message_length", settings.grpc_max_message_bytes),
        ("grpc.so_reuseport", int(settings.grpc_reuse_port)),
        # a client that vanished without closing its connection gives its places back
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ]


def most_calls(settings: GrpcSettings) -> int:
    """Return gRPC's own bound, above those of all places, so that an error says which of them is reached."""
    return settings.grpc_max_concurrent_calls + 2 * OTHER_CALLS + _ON_ITS_WAY
