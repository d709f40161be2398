"""Small inputs with a large cost, against real services: `make bench-bombs`.

For each case: the peak of the service's memory above what it had before, the time until the answer, and the longest time that `/health`
(of gRPC: the health service) took meanwhile. A case is expected to stay below 300 MB, 2 s and 200 ms; the exit code is 1 if one does not.
"""

import contextlib
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, cast

import grpc
import httpx
import typer
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from benchmarks.harness import bomb_inputs as inputs
from benchmarks.harness.bomb_outages import measure_end, measure_worker, outage_cases
from benchmarks.harness.bomb_watch import MAX_MEGABYTES, MAX_SECONDS, MAX_STALL, MEGABYTE, Answer, Case, Table, Watch
from benchmarks.harness.contenders import contenders, running
from benchmarks.harness.load import LoadError
from benchmarks.harness.model import DATA, fitted, register, rows
from benchmarks.harness.processes import start_program
from benchmarks.harness.requests import fake_requests
from benchmarks.harness.stack import servers
from deploy.embedded.temporary_servers import ROOT, free_port
from grpc_service.v1.prediction_pb2_grpc import PredictionStub
from hearth.cli.application import CommandError, run_program
from hearth.contracts import load_contract
from hearth.registry import Registry

_TIMEOUT = 120.0


def main(
    only: Annotated[str, typer.Option(help="Only cases whose name contains this.")] = "",
) -> None:
    """Send every case to the services, and print what each cost."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are stopped too
    table = Table(only)
    try:
        with tempfile.TemporaryDirectory(prefix="hearth-bombs-") as folder, contextlib.ExitStack() as stack:
            settings, uri = servers(stack)
            registry, contract = Registry(uri), load_contract("employees", DATA)
            X, y = rows(contract, 3_000)
            for family in ("svm", "lightgbm"):
                register(registry, contract, family, fitted(contract, family, X, y), X)
            (hearth,) = [contender for contender in contenders(Path(folder), uri, settings) if contender.name == "Hearth"]
            service = stack.enter_context(running(hearth, fake_requests(1)[0]))
            base = service.url.removesuffix("/predict")
            watch = Watch(service.pid, _http_health(base))
            table.measure(rest_cases(base), watch)
            table.measure(outage_cases(base, settings), watch)
            with _grpc_service(settings) as (pid, channel):
                health = cast("Any", HealthStub(channel))  # the types of its package do not know its calls
                table.measure(grpc_cases(channel), Watch(pid, lambda: health.Check(HealthCheckRequest(), timeout=_TIMEOUT)))
            measure_worker(settings, table)
            measure_end(service.pid, base, table)
    except LoadError as error:
        raise CommandError(str(error)) from error
    aims = f"{MAX_MEGABYTES:.0f} MB, {MAX_SECONDS:g} s, a stall of {MAX_STALL * 1000:.0f} ms"
    print(f"Above an aim ({aims}): {', '.join(table.bad) or 'none'}.")
    raise typer.Exit(1 if table.bad else 0)


def rest_cases(base: str) -> Sequence[Case]:
    """Return the cases of REST and GraphQL."""
    client = httpx.Client(base_url=base, timeout=_TIMEOUT)
    left = inputs.many_rows(5_000_000)  # inputs are made before: what the benchmark computes would hold up its own look at /health

    def post(path: str, content: bytes, kind: str = "application/json") -> Callable[[], object]:
        return lambda: _brief(client.post(path, content=content, headers={"content-type": kind}))

    def file(suffix: str, content: bytes) -> Callable[[], object]:
        return post(f"/predict/{suffix}", content, "application/octet-stream")

    return [
        Case("CSV, 100 KB, 100,000 blank columns", file("csv", inputs.blank_columns(100_000))),
        Case("CSV, 100 KB, 950 blank columns", file("csv", inputs.blank_columns(950))),
        Case("Parquet, one text of 1 MB repeated", file("parquet", inputs.repeated_text(2_000, 1_000_000))),
        Case("Parquet, one text of 0.9 MB repeated", file("parquet", inputs.repeated_text(500, 900_000))),
        Case("Parquet, 50 M rows", file("parquet", inputs.many_rows(50_000_000))),
        Case("Parquet, 5 M rows, the client leaves", lambda: _leave(base, left)),
        Case("four slow uploads, then a fast one", lambda: _slow_uploads(base, client)),
        Case("10,000 records, 75 wrong keys each", post("/predict", inputs.wrong_keys(10_000, 75))),
        Case("/predict, 10,000 records", post("/predict", inputs.records_body(10_000))),
        Case("GraphQL, 10,000 records", post("/graphql", inputs.graphql_records(10_000))),
        Case("GraphQL, 2,000 records", post("/graphql", inputs.graphql_records(2_000))),
        Case("GraphQL, 20 aliases of 500 records", post("/graphql", inputs.graphql_records(500, aliases=20))),
        Case("GraphQL, comment of 9.9 MB", post("/graphql", inputs.graphql_text("#" + "x" * 9_900_000 + "\n{ health { status } }"))),
        Case("GraphQL, comment of 0.9 MB", post("/graphql", inputs.graphql_text("#" + "x" * 900_000 + "\n{ health { status } }"))),
        Case("GraphQL, name of 9.9 MB", post("/graphql", inputs.graphql_text("{ " + "x" * 9_900_000 + " }"))),
        Case("GraphQL, 1,200 aliases in 18 KB", post("/graphql", inputs.graphql_text(inputs.aliases(1_200)))),
        Case("GraphQL, 1,200 equal fields", post("/graphql", inputs.graphql_text("{ " + "health { status } " * 1_200 + "}"))),
        Case("GraphQL, variables 2,000 deep", post("/graphql", inputs.graphql_deep(2_000))),
        Case("headers of 200 MB", lambda: _headers(base, 200_000_000)),
        Case("/explain, SVM, 20 records", post("/explain?model=svm", inputs.records_body(20))),
        Case("/explain, SVM, one record behind 20", lambda: _explain_behind(client)),
    ]


def grpc_cases(channel: grpc.Channel) -> Sequence[Case]:
    """Return the cases of gRPC."""
    stub = PredictionStub(channel)

    record = inputs.wide_record(450_000)

    def wide() -> object:
        try:
            return stub.Predict(record, timeout=_TIMEOUT)
        except grpc.RpcError as error:
            return error.code().name

    def idle() -> object:
        end = threading.Event()

        def requests() -> Iterator[object]:
            end.wait()
            yield from ()

        streams = [stub.PredictStream(requests()) for _ in range(1_000)]
        try:
            time.sleep(1)
            start = time.perf_counter()
            labels = stub.Predict(inputs.grpc_records(1), timeout=_TIMEOUT).labels
            return Answer(f"{len(labels)} label beside 1,000 idle streams", time.perf_counter() - start)
        finally:
            end.set()
            for stream in streams:
                stream.cancel()

    return [Case("gRPC, one record of 450,000 columns", wide), Case("gRPC, 1,000 idle streams", idle)]


def _brief(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return f"{answer.status_code}, {len(answer.content)} bytes"
    errors = [error.get("extensions", {}).get("error", "graphql") for error in body.get("errors", ())[:1]] if "data" in body else []
    return f"{answer.status_code} {body.get('error') or ' '.join(errors)}".strip()


def _http_health(base: str) -> Callable[[], object]:
    client = httpx.Client(base_url=base, timeout=_TIMEOUT)
    return lambda: client.get("/health").raise_for_status()


def _leave(base: str, content: bytes) -> Answer:
    """Send a file, leave after a second, and return how long the service still works for nobody."""
    with contextlib.suppress(httpx.TimeoutException), httpx.Client(base_url=base, timeout=1) as client:
        client.post("/predict/parquet", content=content)
    start = time.perf_counter()
    with httpx.Client(base_url=base, timeout=_TIMEOUT) as client:
        while client.post("/predict", content=inputs.records_body(1_000)).elapsed.total_seconds() > MAX_STALL:
            pass
    seconds = time.perf_counter() - start
    return Answer(f"free after {seconds:.1f} s", seconds)


def _slow_uploads(base: str, client: httpx.Client) -> Answer:
    address = httpx.URL(base)
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(inputs.slow_upload(address.host, address.port or 80)) for _ in range(4)]
        time.sleep(6)
        start = time.perf_counter()
        answer = client.post("/predict/csv", content=inputs.small_csv())
        return Answer(f"{answer.status_code} beside {len(peers)} slow ones", time.perf_counter() - start)


def _headers(base: str, size: int) -> str:
    address = httpx.URL(base)
    return f"{inputs.send_headers(address.host, address.port or 80, size) / MEGABYTE:.1f} MB were taken"


def _explain_behind(client: httpx.Client) -> Answer:
    with ThreadPoolExecutor(1) as thread:
        large = thread.submit(client.post, "/explain?model=svm", content=inputs.records_body(20))
        time.sleep(0.3)
        start = time.perf_counter()
        answer = client.post("/explain?model=lightgbm", content=inputs.records_body(1))
        seconds = time.perf_counter() - start
        return Answer(f"{answer.status_code}; the 20: {large.result().status_code}", seconds)


@contextlib.contextmanager
def _grpc_service(settings: dict[str, str]) -> Iterator[tuple[int, grpc.Channel]]:
    port = free_port()
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_send_message_length", -1)]) as channel:
        stub = PredictionStub(channel)

        def answers() -> bool:
            try:
                return bool(stub.Predict(inputs.grpc_records(1), timeout=5).labels)
            except grpc.RpcError:
                return False

        command = [str(ROOT / ".venvs/serve/bin/python"), "-m", "grpc_service.server"]
        own = {**settings, "HEARTH_GRPC_PORT": str(port), "HEARTH_GRPC_METRICS_PORT": "0"}
        with start_program("gRPC", command, own, answers) as (pid, _):
            yield pid, channel


if __name__ == "__main__":
    run_program(main)
