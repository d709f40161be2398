"""The event loop in which queries are executed.

GraphQL reads variables, calls resolvers and writes answers value by value in Python. In the event loop of the service a query with some
thousand records would hold up every other request, `/health` too.
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from anyio import CapacityLimiter

Result = TypeVar("Result")

_THREADS = 4


class GraphqlThread:
    """An event loop in a thread of its own; a context manager.

    Attributes:
        threads: for resolvers that wait for a server. A limiter belongs to one event loop.
    """

    def __init__(self) -> None:
        self.threads = CapacityLimiter(_THREADS)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="graphql", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel what runs, and end the thread."""
        asyncio.run_coroutine_threadsafe(self._cancel_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in the thread; it is cancelled if the caller is."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
