"""How the REST service starts, lists and follows 1, 3, 50 and 200 data sets of five aliases: `make bench-datasets`.

A real MLflow (on PostgreSQL) has one model file under many names (`harness/copied_models.py`), three versions and five aliases for each
data set. A service is started for each number of them. "All champions" is when `GET /health` answers 200, "all" when each alias serves.
With `--other` the same is measured for another checkout in turn, so that a noisy machine is noisy for both.
"""

import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib import request
from urllib.error import HTTPError

import psutil
import typer

from benchmarks.harness.copied_models import ORIGINAL, dataset_names, register_copies, write_contracts
from benchmarks.harness.processes import start_program
from benchmarks.harness.requests import fake_requests
from benchmarks.harness.stack import memory_megabytes, settings_of
from deploy.embedded.temporary_servers import ROOT, create_database, free_port, mlflow, postgres, valkey
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.registry import Registry

COUNTS = (1, 3, 50, 200)
_LIMIT_SECONDS = 600.0
_START_SECONDS = 400.0  # of MLflow, on a busy machine
_ASKED = 5  # the median of so many answers and rounds counts
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Measured:
    """Seconds from the start of the process, seconds of an answer, and megabytes."""

    first: float
    processor: float  # seconds of the processor up to the first prediction
    champions: float
    all_aliases: float
    models: float
    memory: float


def main(
    counts: Annotated[list[int] | None, values.whole("Data sets; may be repeated (default: 1, 3, 50, 200).", "--counts")] = None,
    rounds: Annotated[int, values.whole("Starts of each kind; the median counts.")] = 3,
    other: Annotated[Path | None, typer.Option(help="Another checkout, which is measured too.")] = None,
) -> None:
    """Measure starts, lists and polls with many data sets."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are stopped too
    counts = sorted(counts or COUNTS)
    console = make_console()
    console.print(f"{datetime.now(UTC):%Y-%m-%d %H:%M}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}, {rounds} starts each")
    starts = make_table(
        "Seconds from the start of the process",
        "data sets",
        "code",
        "first prediction",
        "of the processor",
        "all champions",
        "all",
        "/models",
        "MB",
    )
    polls = make_table("Seconds of a poll", "data sets", "one request", "one request a data set")
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as folder, contextlib.ExitStack() as stack:
        database = stack.enter_context(postgres())
        registry = stack.enter_context(
            mlflow(create_database(database, "mlflow").replace("postgresql://", "postgresql+psycopg2://"), _START_SECONDS)
        )
        settings = settings_of(registry, create_database(database, "predictions"), stack.enter_context(valkey()))
        begun = time.monotonic()
        register_copies(registry, dataset_names(counts[-1]))
        console.print(f"{counts[-1]} data sets were registered in {time.monotonic() - begun:.0f} s")
        for count in counts:
            data = Path(folder, str(count))
            data.mkdir()
            write_contracts(data, dataset_names(count))
            own = {**settings, "HEARTH_DATA_DIR": str(data)}
            kinds = {"this": own} | ({"other": {**own, **_code_of(other)}} if other else {})
            found: dict[str, list[Measured]] = {kind: [] for kind in kinds}
            for _ in range(rounds):
                for kind, environment in kinds.items():
                    found[kind].append(_start(environment))
            for kind, measured in found.items():
                starts.add_row(str(count), kind, *_columns(measured))
            client, names = Registry(registry), dataset_names(count)
            polls.add_row(
                str(count),
                f"{_seconds(lambda: client.registered_models(names)):.3f}",  # noqa: B023 - called in this round
                f"{_seconds(lambda: [client.registered_model(name) for name in names]):.3f}",  # noqa: B023 - as above
            )
    console.print(starts)
    console.print(polls)


def _code_of(checkout: Path) -> Mapping[str, str]:
    return {"PYTHONPATH": os.pathsep.join(str(checkout / part) for part in ("src", "fastapi", "."))}


def _start(settings: Mapping[str, str]) -> Measured:
    port = free_port()
    begun = time.monotonic()
    with _service(port, settings) as (pid, first):
        url = f"http://127.0.0.1:{port}"
        processor = sum(psutil.Process(pid).cpu_times()[:2])
        champions = _wait(lambda: _status(f"{url}/health") == 200, begun)  # noqa: PLR2004 - HTTP's success
        all_aliases = _wait(lambda: bool(_get(f"{url}/ready").get("last_look")), begun)
        served = [alias for dataset in _get(f"{url}/models")["datasets"] for alias in dataset["aliases"] if alias.get("version")]
        wanted = 5 * len(list(Path(settings["HEARTH_DATA_DIR"]).iterdir()))
        if len(served) != wanted:
            message = f"{len(served)} aliases serve, expected {wanted}"
            raise RuntimeError(message)
        return Measured(first, processor, champions, all_aliases, _seconds(lambda: _get(f"{url}/models")), memory_megabytes(pid))


@contextlib.contextmanager
def _service(port: int, settings: Mapping[str, str]) -> Iterator[tuple[int, float]]:
    command = [str(ROOT / ".venvs/serve/bin/python"), "-m", "hearth_api", "--port", str(port), "--log-level", "warning"]
    body = json.dumps({"data": list(fake_requests(1)[0])}).encode()
    with start_program("Hearth", command, settings, lambda: _predicts(f"http://127.0.0.1:{port}/{ORIGINAL}/predict", body)) as started:
        yield started


def _predicts(url: str, body: bytes) -> bool:
    with contextlib.suppress(OSError), request.urlopen(request.Request(url, body, {"content-type": "application/json"}), timeout=30):  # noqa: S310 - our own
        return True
    return False


def _status(url: str) -> int:
    try:
        with request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own
            return int(answer.status)
    except HTTPError as error:
        return error.code


def _get(url: str) -> dict[str, Any]:
    try:
        with request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own
            content: dict[str, Any] = json.load(answer)
    except HTTPError as error:
        content = json.load(error)
    return content


def _wait(is_done: Callable[[], bool], begun: float) -> float:
    while not is_done():
        if time.monotonic() - begun > _LIMIT_SECONDS:
            raise TimeoutError(f"not done after {_LIMIT_SECONDS:g} s")
        time.sleep(_POLL_SECONDS)
    return time.monotonic() - begun


def _seconds(function: Callable[[], object]) -> float:
    taken = []
    for _ in range(_ASKED):
        started = time.perf_counter()
        function()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _columns(measured: Sequence[Measured]) -> list[str]:
    medians = (
        statistics.median(getattr(each, name) for each in measured)
        for name in ("first", "processor", "champions", "all_aliases", "models", "memory")
    )
    *seconds, memory = medians
    return [*(f"{value:.2f}" for value in seconds), f"{memory:.0f}"]


if __name__ == "__main__":
    run_program(main)
