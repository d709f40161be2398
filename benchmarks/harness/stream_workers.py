"""Stream workers as real processes between real servers, and the processor time of workers and servers."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import psutil
import psycopg

from benchmarks.harness.stream_messages import batches
from deploy.embedded.temporary_servers import ROOT
from hearth.streaming.client import StreamWriter
from hearth.streaming.consumer import StreamConsumer

_BATCH_MESSAGES = 500
_LIMIT_SECONDS = 300.0
_LOOK_SECONDS = 0.01
_READY = "scores the stream"  # the log of a worker whose models are loaded
_SERVERS = {"postgres": "PostgreSQL", "valkey-server": "Valkey"}


class BenchError(Exception):
    """A benchmark did not come to its end."""


@dataclass(frozen=True)
class Throughput:
    """Messages and records a second, and the processors that each kind of process kept busy."""

    messages: float
    records: float
    busy: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Latency:
    """Milliseconds from enqueueing a message to the commit of its prediction."""

    messages: int
    p50: float
    p99: float
    largest: float


class Field:
    """A stream of its own, the store, and workers between them."""

    def __init__(self, settings: Mapping[str, str], metrics_port: int = 0) -> None:
        self.name = f"bench-{uuid4().hex}"
        self._settings = {**settings, "HEARTH_STREAM_NAME": self.name, "HEARTH_WORKER_METRICS_PORT": str(metrics_port)}
        self._database = settings["HEARTH_PREDICTIONS_URL"]
        self._url = settings["HEARTH_REDIS_URL"]
        self.writer = StreamWriter(self._url, self.name)
        self._reader = StreamConsumer(self._url, self.name, settings["HEARTH_STREAM_GROUP"], "bench", 1_000)
        self._reader.join()

    @contextlib.contextmanager
    def workers(self, count: int) -> Iterator[list[psutil.Process]]:
        """Start workers and yield them when they have scored and stored."""
        with contextlib.ExitStack() as stack:
            processes = [stack.enter_context(self._worker(number)) for number in range(count)]
            for batch in batches(20 * count, 1, 1):  # the first ones connect and make room
                self.writer.send(batch)
            self.wait(*processes)
            yield processes

    @contextlib.contextmanager
    def _worker(self, number: int) -> Iterator[psutil.Process]:
        environment = {**os.environ, **self._settings, "HEARTH_STREAM_CONSUMER": f"worker-{number}"}
        with tempfile.NamedTemporaryFile() as log:
            process = subprocess.Popen([sys.executable, "-P", "-m", "hearth.streaming.worker"], cwd=ROOT, env=environment, stderr=log)
            try:
                _until(lambda: _READY in Path(log.name).read_text("utf-8"), process)
                yield psutil.Process(process.pid)
            finally:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                if process.wait():
                    print(Path(log.name).read_text("utf-8")[-2_000:])

    def throughput(self, workers: int, messages: int, records: int) -> Throughput:
        """Fill the stream while the workers are suspended, resume them, and measure until all is committed and acknowledged."""
        with self.workers(workers) as processes:
            for process in processes:
                process.suspend()
            for batch in batches(messages, records, _BATCH_MESSAGES):
                self.writer.send(batch)
            before, start = _seconds_of_processors(), time.perf_counter()
            for process in processes:
                process.resume()
            self.wait(*processes)
            seconds = time.perf_counter() - start
            after = _seconds_of_processors()
        busy = {name: (after[name] - before.get(name, 0.0)) / seconds for name in after}
        return Throughput(messages / seconds, messages * records / seconds, busy)

    def latency(self, rate: float, messages: int) -> Latency:
        """Send messages of one record at a rate and ask PostgreSQL, which must track commit timestamps, when each was committed."""
        with self.workers(1) as processes:
            start = time.perf_counter()
            ids = []
            for number, batch in enumerate(batches(messages, 1, 1)):
                time.sleep(max(0.0, start + number / rate - time.perf_counter()))
                ids += self.writer.send(batch)
            self.wait(*processes)
        with psycopg.connect(self._database) as connection:
            row = connection.execute(_LATENCIES, [ids]).fetchone()
        if row is None or row[0] != messages:
            raise BenchError(f"{messages} messages were sent, PostgreSQL has {row and row[0]}")
        return Latency(*row)

    def wait(self, *processes: psutil.Process) -> None:
        """Wait until nothing is unread or unacknowledged."""
        _until(self._is_settled, *processes)

    def _is_settled(self) -> bool:
        state = self._reader.state()
        return state.lag == 0 and state.pending == 0


def _until(reached: Callable[[], bool], *processes: "psutil.Process | subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _LIMIT_SECONDS
    while not reached():
        if any(not psutil.pid_exists(process.pid) for process in processes) or time.monotonic() > deadline:
            raise BenchError(f"a worker has ended, or was not finished after {_LIMIT_SECONDS:.0f} s")
        time.sleep(_LOOK_SECONDS)


_LATENCIES = """
    SELECT count(*),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds), percentile_cont(0.99) WITHIN GROUP (ORDER BY milliseconds),
           max(milliseconds)
    FROM (
        SELECT 1000 * extract(epoch FROM pg_xact_commit_timestamp(xmin) - enqueued_at)::float8 AS milliseconds
        FROM predictions WHERE message_id = ANY (%s)
    ) AS each
"""


def _seconds_of_processors() -> dict[str, float]:
    """Return the processor seconds of this process's children, by kind."""
    used: dict[str, float] = {}
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            name = _SERVERS.get(process.name()) or ("worker" if "hearth.streaming.worker" in process.cmdline() else "")
            times = process.cpu_times()
            if name:
                used[name] = used.get(name, 0.0) + times.user + times.system
    return used
