"""Load on a gRPC service. Clients are processes of their own that send prepared bytes and do not read the answers."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import grpc
import psutil

from benchmarks.harness.load import LoadError

METHOD = "/hearth.v1.Prediction/Predict"
CLIENTS = 2
_CALLS_AT_ONCE = 16


class Calls:
    """The load of one turn: calls a second, latencies in milliseconds, and its own processor time in microseconds a call."""

    def __init__(self, milliseconds: Sequence[float], seconds: float, processor_seconds: float) -> None:
        self.per_second = len(milliseconds) / seconds
        *_, self.p99 = cuts = statistics.quantiles(milliseconds, n=100)
        self.p50 = cuts[49]
        self.microseconds = processor_seconds / len(milliseconds) * 1e6


def measure(clients: ProcessPoolExecutor, port: int, pid: int, messages: Sequence[bytes], seconds: float) -> Calls:
    """Send the messages in turn, 16 at once.

    Raises:
        LoadError: a call failed.
    """
    process = psutil.Process(pid)
    before = process.cpu_times()
    turns = [clients.submit(_send, port, list(messages), seconds, _CALLS_AT_ONCE // CLIENTS) for _ in range(CLIENTS)]
    try:
        milliseconds = [latency for turn in turns for latency in turn.result()]
    except grpc.RpcError as error:
        raise LoadError(f"a call failed: {error}") from error
    after = process.cpu_times()
    return Calls(milliseconds, seconds, after.user + after.system - before.user - before.system)


def _send(port: int, messages: list[bytes], seconds: float, at_once: int) -> list[float]:
    return asyncio.run(_send_all(port, messages, seconds, at_once))


async def _send_all(port: int, messages: list[bytes], seconds: float, at_once: int) -> list[float]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await channel.channel_ready()
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
        milliseconds: list[float] = []
        end = time.perf_counter() + seconds

        async def one_after_the_other(first: int) -> None:
            turn, began = first, time.perf_counter()
            while began < end:
                await call(messages[turn % len(messages)])
                now = time.perf_counter()
                milliseconds.append((now - began) * 1e3)
                turn, began = turn + at_once, now

        await asyncio.gather(*(one_after_the_other(first) for first in range(at_once)))
    return milliseconds
