"""Compare Hearth's gRPC service with an empty servicer of the same interface, in one run: `make bench-grpc`.

Both are `grpc.aio` servers of one process, and get the same fake employees, as maps of values and packed by column, 16 calls at once from
two client processes. They run side by side and take turns. Before the load, Hearth's answers are compared with scikit-learn's.
"""

import contextlib
import multiprocessing
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated

import grpc
import joblib
import numpy as np
import pandas as pd

from benchmarks.harness.calls import CLIENTS, Calls, measure
from benchmarks.harness.load import LoadError
from benchmarks.harness.processes import start_program
from benchmarks.harness.requests import Records, fake_requests
from benchmarks.harness.stack import memory_megabytes, servers
from deploy.embedded.temporary_servers import ROOT, free_ports
from grpc_service.encoding import packed_message, record_message
from grpc_service.v1 import prediction_pb2 as pb
from grpc_service.v1.prediction_pb2_grpc import PredictionStub
from hearth.cli import values
from hearth.cli.application import CommandError, run_program
from hearth.cli.tables import make_console, make_table

SIZES = (1, 100, 1_000)
MAP, PACKED = "map", "packed"
HEARTH, EMPTY = "Hearth", "empty servicer"
_TOLERANCE = 1e-6
Turn = tuple[str, str, int]
"""A service, the form of the records, and the records in a message."""


def main(
    seconds: Annotated[float, values.duration("Of load in each turn.")] = 4,
    rounds: Annotated[int, values.whole("Turns of each service; the median counts.")] = 3,
) -> None:
    """Compare gRPC with an empty servicer of the same interface, in one run."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are stopped too
    try:
        with tempfile.TemporaryDirectory(prefix="hearth-bench-") as folder, contextlib.ExitStack() as stack:
            settings, registry = servers(stack)
            subprocess.run([sys.executable, "-m", "benchmarks.harness.model", folder, "--register", registry], cwd=ROOT, check=True)
            services = {
                HEARTH: stack.enter_context(_service(HEARTH, ["grpc_service.server"], settings)),
                EMPTY: stack.enter_context(_service(EMPTY, ["benchmarks.peers.empty_grpc"], {})),
            }
            _require_right_answers(services[HEARTH][0], Path(folder))
            results = _compare(services, rounds, seconds)
            _print(results, {name: memory_megabytes(pid) for name, (_, pid) in services.items()})
    except LoadError as error:
        raise CommandError(str(error)) from error


@contextlib.contextmanager
def _service(name: str, module: Sequence[str], settings: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """Start a service and yield its port and process id."""
    port, metrics = free_ports(2)
    environment = {**settings, "HEARTH_GRPC_PORT": str(port), "HEARTH_GRPC_METRICS_PORT": str(metrics)}
    request = _message(fake_requests(1)[0], MAP)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:

        def answers() -> bool:
            with contextlib.suppress(grpc.RpcError):
                PredictionStub(channel).Predict(request, timeout=5)
                return True
            return False

        with start_program(name, [sys.executable, "-m", *module, *([] if settings else [str(port)])], environment, answers) as (pid, _):
            yield port, pid


def _message(records: Records, form: str) -> pb.PredictRequest:
    if form == PACKED:
        return pb.PredictRequest(packed=packed_message(records))
    return pb.PredictRequest(records=[record_message(record) for record in records])


def _require_right_answers(port: int, folder: Path) -> None:
    """Raise LoadError if Hearth and scikit-learn differ."""
    records = fake_requests(100)[0]
    expected = joblib.load(folder / "lightgbm.joblib").predict_proba(pd.DataFrame(list(records)))
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for form in (MAP, PACKED):
            answer = PredictionStub(channel).Predict(_message(records, form), timeout=30)
            actual = np.reshape(answer.probabilities, expected.shape)
            if not np.allclose(actual, expected, rtol=0, atol=_TOLERANCE):
                raise LoadError(f"Hearth answers {actual[:1]} to records in the form {form}, scikit-learn {expected[:1]}")


def _compare(services: Mapping[str, tuple[int, int]], rounds: int, seconds: float) -> dict[Turn, list[Calls]]:
    results: dict[Turn, list[Calls]] = {}
    with ProcessPoolExecutor(CLIENTS, multiprocessing.get_context("spawn")) as clients:
        for size in SIZES:
            requests = fake_requests(size)
            messages = {form: [_message(records, form).SerializeToString() for records in requests] for form in (MAP, PACKED)}
            turns = [(name, form, size) for form in messages for name in services]
            for name, form, _ in turns:
                measure(clients, *services[name], messages[form], 0.5)  # warm
            for _ in range(rounds):
                for turn in turns:
                    name, form, _ = turn
                    results.setdefault(turn, []).append(measure(clients, *services[name], messages[form], seconds))
    return results


def _print(results: Mapping[Turn, Sequence[Calls]], memory: Mapping[str, float]) -> None:
    console = make_console()
    columns = ("service", "records", "form", "calls/s", "of the empty one's", "of the map's", "p50 / p99 ms", "processor µs a call")
    table = make_table("Calls a second, 16 at once, one process; medians", *columns)
    rate = {turn: statistics.median(load.per_second for load in loads) for turn, loads in results.items()}
    for (name, form, size), loads in results.items():
        p50, p99, processor = (statistics.median(getattr(load, which) for load in loads) for which in ("p50", "p99", "microseconds"))
        table.add_row(
            name,
            str(size),
            form,
            f"{rate[name, form, size]:,.0f}",
            f"{rate[name, form, size] / rate[EMPTY, form, size]:.2f}",
            f"{rate[name, form, size] / rate[name, MAP, size]:.2f}",
            f"{p50:.1f} / {p99:.1f}",
            f"{processor:,.0f}",
        )
    console.print(table)
    console.print(", ".join(f"{name}: {megabytes:.0f} MB" for name, megabytes in memory.items()))


if __name__ == "__main__":
    run_program(main)
