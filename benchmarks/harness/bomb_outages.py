"""The cases of `benchmarks.bombs` that need more than a request: servers that stand still, and the stream's worker."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import psycopg

from benchmarks.harness import bomb_inputs as inputs
from benchmarks.harness.bomb_watch import Answer, Case, Measured, Table, Watch
from benchmarks.harness.load import LoadError
from benchmarks.harness.stream_workers import Field
from deploy.embedded.temporary_servers import free_port
from hearth.streaming.messages import encode

_TIMEOUT = 120.0
_READERS, _LISTERS = 8, 20
_MESSAGES, _MESSAGE_BYTES = 14, 40_000_000
_END = "SIGTERM beside 8 readers, PostgreSQL stopped"
_LARGE = "worker, 14 messages of 40 MB, then a good one"


def outage_cases(base: str, settings: Mapping[str, str]) -> Sequence[Case]:
    """Return the cases of REST whose servers stand still meanwhile."""
    client = httpx.Client(base_url=base, timeout=_TIMEOUT)
    admin = {"X-API-Key": settings["HEARTH_API_ADMIN_KEY"]}

    def rollback() -> Answer:
        """Send 20 requests that wait for MLflow, let it go on, and return how long a rollback takes from then on."""
        client.post("/models/employees/promote", json={"from": "svm"}, headers=admin).raise_for_status()
        with ThreadPoolExecutor(_LISTERS + 1) as threads:
            with _stopped("mlflow"):
                lists = [threads.submit(client.get, "/models/employees/versions") for _ in range(_LISTERS)]
                time.sleep(1)
                moved = threads.submit(client.post, "/models/employees/rollback", headers=admin)
                time.sleep(1)
                start = time.perf_counter()
            status = moved.result().status_code
            seconds = time.perf_counter() - start
            return Answer(f"{status}; the 20: {sorted({each.result().status_code for each in lists})}", seconds)

    def readers() -> Answer:
        with ThreadPoolExecutor(_READERS) as threads, _stopped("postgres"):
            start = time.perf_counter()
            reading = [threads.submit(client.get, "/predictions") for _ in range(_READERS)]
            statuses = sorted({each.result().status_code for each in reading})
            return Answer(f"{statuses}", time.perf_counter() - start)

    def predict() -> Answer:
        """Return how long a prediction takes beside the readers."""
        with ThreadPoolExecutor(_READERS) as threads, _stopped("postgres"):
            reading = [threads.submit(client.get, "/predictions") for _ in range(_READERS)]
            time.sleep(0.5)
            start = time.perf_counter()
            status = client.post("/predict", content=inputs.records_body(1)).status_code
            seconds = time.perf_counter() - start
            for each in reading:
                each.result()
            return Answer(f"{status}", seconds)

    return [
        Case("20 waiting /models/…/versions, then a rollback", rollback),
        Case("/predictions, 8 readers, PostgreSQL stopped", readers),
        Case("/predict beside 8 readers, PostgreSQL stopped", predict),
    ]


def measure_worker(settings: Mapping[str, str], table: Table) -> None:
    """Send messages that are too large to a worker, and a good one behind them; its metrics stand for its health."""
    if not table.wants(_LARGE):
        return
    port = free_port()
    field = Field(settings, port)
    with field.workers(1) as [worker], httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=_TIMEOUT) as metrics:
        large = {**encode("employees", "champion", []), b"records": b"[" + b" " * _MESSAGE_BYTES + b"]"}

        def send() -> Answer:
            with _suspended([worker]):
                for _ in range(_MESSAGES):
                    field.writer.send([large])
                [good] = field.writer.send([encode("employees", "champion", inputs.records(1))])
                start = time.perf_counter()
            field.wait(worker)
            seconds = time.perf_counter() - start
            with psycopg.connect(settings["HEARTH_PREDICTIONS_URL"]) as connection:
                row = connection.execute("SELECT count(*) FROM predictions WHERE message_id = %s", [good]).fetchone()
            return Answer(f"settled; {row and row[0]} of 1 good one stored", seconds)

        # the worker's health is watched from when it goes on: while it is held, so that all messages are there at once, it cannot answer
        table.measure([Case(_LARGE, send)], Watch(worker.pid, lambda: _unless_held(worker, metrics)))


def measure_end(pid: int, base: str, table: Table) -> None:
    """Stop the service while readers wait for a PostgreSQL that stands still; nothing can be sent to the service afterwards."""
    if not table.wants(_END):
        return
    client = httpx.Client(base_url=base, timeout=_TIMEOUT)
    service = psutil.Process(pid)
    with ThreadPoolExecutor(_READERS) as threads, _stopped("postgres"):
        reading = [threads.submit(client.get, "/predictions") for _ in range(_READERS)]
        time.sleep(0.5)
        start = time.perf_counter()
        service.terminate()
        while service.is_running() and service.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        seconds = time.perf_counter() - start
        ends = sorted({type(each.exception()).__name__ if each.exception() else str(each.result().status_code) for each in reading})
    table.add(_END, Measured(0.0, seconds, 0.0, f"ended; the readers: {', '.join(ends)}"))


def _unless_held(worker: psutil.Process, metrics: httpx.Client) -> None:
    if worker.status() != psutil.STATUS_STOPPED:
        metrics.get("/metrics").raise_for_status()


@contextlib.contextmanager
def _stopped(server: str) -> Iterator[None]:
    """Hold a server that this process has started, with its children."""
    mine = psutil.Process().children(recursive=True)
    held = [process for process in mine if any(server in part for part in (process.name(), *process.cmdline()[:3]))]
    if not held:
        raise LoadError(f"No process of {server} was started.")
    with _suspended(held):
        yield


@contextlib.contextmanager
def _suspended(processes: Sequence[psutil.Process]) -> Iterator[None]:
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
