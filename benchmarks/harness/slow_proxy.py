"""A TCP proxy that can make a server slow: every byte of the server arrives so many seconds later, however fast it was sent."""

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self

_CHUNK = 65_536
_QUEUE = 1_000  # chunks under way in one direction of one connection


class SlowProxy:
    """Forwards connections to a port of 127.0.0.1. `delay_seconds` may be changed while it runs, also for open connections.

    The delay is of the answers, so a round trip takes that much longer, and as many bytes a second go through as before. A server that is
    away is away through the proxy: the connection is accepted and closed. One that stands still is silent.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.delay_seconds = 0.0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{port}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._server is not None  # noqa: S101 - `_open` made it
        self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a callback of a server is one
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        there = asyncio.create_task(self._forward(reader, upstream_writer, slow=False))
        back = asyncio.create_task(self._forward(upstream_reader, writer, slow=True))
        try:
            await asyncio.wait([there, back], return_when=asyncio.ALL_COMPLETED)
        finally:
            for direction in (there, back):
                direction.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
            for end in (writer, upstream_writer):
                end.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool) -> None:
        """Forward one direction until its end, which is forwarded too."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUE)
        sending = asyncio.create_task(self._send(queue, writer))
        data = b"-"
        try:
            while data:
                try:
                    data = await reader.read(_CHUNK)
                except OSError:
                    data = b""
                await queue.put((self._loop.time() + (self.delay_seconds if slow else 0.0), data))
            await sending
        finally:
            sending.cancel()

    async def _send(self, queue: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = await queue.get()
                await asyncio.sleep(due - self._loop.time())
                if not data:
                    # The other end is told, and both close: no server of ours goes on with half a connection
                    writer.close()
                    return
                writer.write(data)
                await writer.drain()
        while (await queue.get())[1]:  # the other end has gone: what still comes is dropped
            pass
