"""Every call belongs to a trace: the one that its metadata `traceparent` names, or a new one, which is in the metadata of the response.

It is wrapped around the calls when they are registered: an interceptor of gRPC would make its wrapper anew for each call.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc

from grpc_service.errors import Context
from hearth.tracing.context import CURRENT
from hearth.tracing.spans import TRACER, Span
from hearth.tracing.traceparent import HEADER, TraceContext, parse_traceparent

Handler = Any  # a named tuple of grpc, whose type cannot be subscripted


class TracedServer:
    """The part of a server that `LimitedServer` uses to add a service; its calls run in their traces."""

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Do nothing: `add_registered_method_handlers` gets the same handlers by name, and adds them in both forms."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Add the calls of a service."""
        traced = {name: _traced(handler, service, name) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, traced),))
        self._server.add_registered_method_handlers(service, traced)


def _traced(handler: Handler, service: str, method: str) -> Handler:
    attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
    name = f"{service}/{method}"

    def begin(context: Context) -> Span:
        return TRACER.begin(name, "server", _callers_place(context), attributes=attributes)

    if handler.response_streaming and handler.request_streaming:
        return handler._replace(stream_stream=_stream(handler.stream_stream, begin))
    return handler._replace(unary_unary=_call(handler.unary_unary, begin))


def _call(answer: Callable[[Any, Context], Any], begin: Callable[[Context], Span]) -> Callable[[Any, Context], Any]:
    async def traced(request: object, context: Context) -> object:
        work = begin(context)
        context.set_trailing_metadata(((HEADER, str(work.context)),))
        with _running(work, context):
            return await answer(request, context)

    return traced


def _stream(
    answer: Callable[[Any, Context], AsyncIterator[Any]], begin: Callable[[Context], Span]
) -> Callable[[Any, Context], AsyncIterator[Any]]:
    async def traced(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        work = begin(context)
        await context.send_initial_metadata(((HEADER, str(work.context)),))  # a stream may be open for long
        with _running(work, context):
            async for response in answer(requests, context):
                yield response

    return traced


@contextmanager
def _running(work: Span, context: Context) -> Iterator[None]:
    # Never reset: gRPC has a task for each call. And where the caller cancels a stream while a response is written, the generator is left
    # to the loop, which closes it in another task, where this one's token is not valid.
    CURRENT.set(work.context)
    try:
        yield
    except BaseException as error:
        work.fail(error)
        raise
    finally:
        if work.is_recorded:
            work.set({"rpc.grpc.status_code": _number(context.code())})
            work.end()


def _number(code: object) -> int:
    """Return the number of a status, which gRPC gives as an enumeration, as a number, or not at all if nobody has set one."""
    number = code.value[0] if isinstance(code, grpc.StatusCode) else code
    return number if isinstance(number, int) else 0


def _callers_place(context: Context) -> TraceContext | None:
    """Return the place in a trace that the caller names; None if it names none, one that cannot be read, or several."""
    found = [value for name, value in context.invocation_metadata() or () if name == HEADER]
    return parse_traceparent(found[0]) if len(found) == 1 and isinstance(found[0], str) else None
