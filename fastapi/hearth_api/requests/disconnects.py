"""Work for a client that has gone is for nobody, so it stops."""

import asyncio
from typing import TYPE_CHECKING, TypeVar

from starlette.requests import Request

from hearth.errors import ErrorKind, HearthError

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")

_LOOK_SECONDS = 0.5


class ClientGone(HearthError):
    """The client has closed the connection; nobody reads this error."""

    code = "client_gone"
    kind = ErrorKind.CALLER


async def require_client(request: Request) -> None:
    """Raise ClientGone if the client has closed the connection. The body must have been received."""
    if await request.is_disconnected():
        raise ClientGone("The client has closed the connection.")


async def unless_gone(request: Request, work: "Future[T]") -> T:
    """Return the result of work in another thread; it is cancelled if the client goes.

    Raises:
        ClientGone: the client went first.
    """
    waiting = asyncio.wrap_future(work)
    try:
        while not waiting.done():
            await asyncio.wait([waiting], timeout=_LOOK_SECONDS)
            if not waiting.done():
                await require_client(request)
        return waiting.result()
    finally:
        waiting.cancel()
