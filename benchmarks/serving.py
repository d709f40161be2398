"""Compare Hearth's REST service with ready-made model servers and with two lower bounds, in one run: `make bench-serving`.

Every contender serves the same pipeline of 200 rounds of LightGBM over fake employees, in one worker process with one compute thread, and
gets raw records over 16 keep-alive connections, with values missing as often as in the real data, if it can read such (MLServer cannot).
Predictions are stored, as by default. They run side by side and take turns, so that a noisy machine is noisy for all. Before
the load, each answer is compared with scikit-learn's.
"""

import contextlib
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import joblib
import numpy as np
import pandas as pd
import typer

from benchmarks.harness.contenders import Running, contenders, running
from benchmarks.harness.load import Load, LoadError, find_wrk, measure
from benchmarks.harness.requests import Records, fake_requests, mixed_requests
from benchmarks.harness.stack import memory_megabytes, servers
from deploy.embedded.temporary_servers import ROOT
from hearth.cli import values
from hearth.cli.application import CommandError, run_program
from hearth.cli.tables import make_console, make_table

SIZES = (1, 100, 1_000)
_TOLERANCE = 1e-6
_LONE_TURNS = 5
_CHECKED_REQUESTS = 20  # of which some have missing values
Bodies = Mapping[int, Mapping[bool, Sequence[Records]]]
"""Requests by their size, and by whether they have missing values."""
Results = dict[tuple[str, int], list[Load]]


def main(
    seconds: Annotated[float, values.duration("Of load in each turn.")] = 4,
    rounds: Annotated[int, values.whole("Turns of each contender; the median counts.")] = 3,
    sizes: Annotated[list[int] | None, values.whole("Records in a request; may be repeated (default: 1, 100 and 1000).", "--sizes")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Contenders whose names hold this word; may be repeated.")] = None,
) -> None:
    """Compare REST with ready-made model servers, in one run."""
    sizes = sizes or list(SIZES)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are stopped too
    try:
        find_wrk()
        with tempfile.TemporaryDirectory(prefix="hearth-bench-") as folder, contextlib.ExitStack() as stack:
            settings, registry = servers(stack)
            subprocess.run([sys.executable, "-m", "benchmarks.harness.model", folder, "--register", registry], cwd=ROOT, check=True)
            selection = [
                contender
                for contender in contenders(Path(folder), registry, settings)
                if not only or any(word.lower() in contender.name.lower() for word in only)
            ]
            bodies = {size: {True: mixed_requests(size), False: fake_requests(size)} for size in sizes}
            services = [stack.enter_context(running(contender, bodies[sizes[0]][False][0])) for contender in selection]
            for request in bodies[sizes[0]][True][:_CHECKED_REQUESTS]:
                _require_right_answers([service for service in services if service.contender.reads_missing], Path(folder), request)
            _require_right_answers(services, Path(folder), bodies[sizes[0]][False][0])
            results = _compare(services, bodies, rounds, seconds)
            _print(services, results, sizes)
            _print_lone(services, bodies)
    except LoadError as error:
        raise CommandError(str(error)) from error


def _require_right_answers(services: Sequence[Running], folder: Path, records: Records) -> None:
    """Raise LoadError for a contender that differs from scikit-learn."""
    expected = joblib.load(folder / "lightgbm.joblib").predict_proba(pd.DataFrame(list(records)))
    for service in services:
        actual = service.ask(records)
        if actual is not None and not np.allclose(actual, expected, rtol=0, atol=_TOLERANCE):
            raise LoadError(f"{service.contender.name} answers {actual[:1]}, scikit-learn {expected[:1].tolist()}")


def _compare(services: Sequence[Running], bodies: Bodies, rounds: int, seconds: float) -> Results:
    results: Results = {}
    for size, requests in bodies.items():
        encoded = {
            service.contender.name: [service.contender.body(records) for records in requests[service.contender.reads_missing]]
            for service in services
        }
        for service in services:
            measure(service.url, encoded[service.contender.name], 1)  # warm
        for _ in range(rounds):
            for service in services:
                load = measure(service.url, encoded[service.contender.name], seconds)
                results.setdefault((service.contender.name, size), []).append(load)
    return results


def _print(services: Sequence[Running], results: Results, sizes: Sequence[int]) -> None:
    console = make_console()
    console.print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    table = make_table("Requests a second, 16 connections, one worker process; p50 / p99 in ms", "contender")
    for size in sizes:
        table.add_column(f"{size} records", justify="right")
        table.add_column("of Hearth's", justify="right")
    table.add_column("ready", justify="right")
    table.add_column("memory", justify="right")
    medians = {key: statistics.median(load.per_second for load in loads) for key, loads in results.items()}
    for service in services:
        name = service.contender.name
        cells = []
        for size in sizes:
            loads = results[name, size]
            p50, p99 = (statistics.median(getattr(load, which) for load in loads) for which in ("p50", "p99"))
            ours = medians.get(("Hearth", size))
            cells.append(f"{medians[name, size]:,.0f}  ({p50:.1f} / {p99:.1f})")
            cells.append(f"{medians[name, size] / ours:.3f}" if ours else "")
        table.add_row(name, *cells, f"{service.ready_seconds:.1f} s", f"{memory_megabytes(service.pid):.0f} MB")
    console.print(table)


def _print_lone(services: Sequence[Running], bodies: Bodies) -> None:
    """Print how long one request takes alone, and right after a second of the largest ones."""
    (one, *_), bulk = bodies[min(bodies)][False], bodies[max(bodies)][False]
    table = make_table("One request of the smallest size, in ms, median of five", "contender", "alone", "right after the largest")
    for service in services:
        alone, after = [], []
        for _ in range(_LONE_TURNS):
            service.ask(one)
            alone.append(_milliseconds(service, one))
            measure(service.url, [service.contender.body(records) for records in bulk], 1)
            after.append(_milliseconds(service, one))
        table.add_row(service.contender.name, f"{statistics.median(alone):.1f}", f"{statistics.median(after):.1f}")
    make_console().print(table)


def _milliseconds(service: Running, records: Records) -> float:
    start = time.perf_counter()
    service.ask(records)
    return (time.perf_counter() - start) * 1e3


if __name__ == "__main__":
    run_program(main)
