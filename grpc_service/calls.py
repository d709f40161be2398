from asyncio import CancelledError
from collections.abc import Awaitable
from time import perf_counter
from typing import TypeVar

from grpc_service.errors import Context, end_call
from grpc_service.metrics import Calls

Response = TypeVar("Response")


async def respond(calls: Calls, method: str, work: Awaitable[Response], context: Context) -> Response:
    """Return the response of a unary call, or end the call with its error; either is counted and timed."""
    started = perf_counter()
    try:
        response = await work
    except CancelledError:
        calls.cancelled(method, started)
        raise
    except Exception as error:  # noqa: BLE001 - ends the call with the error
        calls.failed(method, started, error)
        await end_call(context, error)
    calls.answered(method, started)
    return response
