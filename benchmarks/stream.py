"""Measure the stream worker and compare it with its parts and with simpler ways, in one run: `python -m benchmarks.stream [--short]`.

Real servers, the whole program as it is deployed, a pipeline of 200 rounds of LightGBM, seeded fake employees. "From Redis to rows" means:
the stream is filled while the worker is held, and the clock stops when every prediction is committed and every message acknowledged.
The measurements take turns, so that a noisy machine is noisy for all; the median of the rounds counts.
"""

import contextlib
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import joblib
import psycopg
import typer
from dotenv import dotenv_values

from benchmarks.harness import stream_parts
from benchmarks.harness.model import DATA, fitted, register, rows, signing_registry
from benchmarks.harness.stream_messages import employees
from benchmarks.harness.stream_workers import BenchError, Field, Latency, Throughput
from deploy.embedded.temporary_servers import ROOT, create_database, mlflow, postgres_server, valkey
from hearth.cli import values
from hearth.cli.application import CommandError, run_program
from hearth.cli.tables import make_console, make_table
from hearth.predictions.migration import migrate

_ROWS = 15_000
_RATE = 200.0
_THIS = "this worker, 1 record a message"


def main(
    short: Annotated[bool, typer.Option("--short", help="A fifth of the messages and one round.")] = False,
    rounds: Annotated[int, values.whole("The median round counts.")] = 3,
    only: Annotated[list[str] | None, typer.Option(help="Lines whose names hold this word; may be repeated.")] = None,
) -> None:
    """Measure the speed of the stream worker on real servers."""
    scale, rounds = (0.2, 1) if short else (1.0, rounds)
    try:
        with tempfile.TemporaryDirectory(prefix="hearth-bench-") as folder, contextlib.ExitStack() as stack:
            settings, registry = _servers(stack)
            model = _model(Path(folder), registry)
            lines = _lines(settings, registry, model, scale)
            names = [name for name in lines if not only or any(word in name for word in only)]
            results: dict[str, list[Throughput]] = {name: [] for name in names}
            for turn in range(rounds):
                for name in names:
                    print(f"round {turn + 1}: {name}", file=sys.stderr)
                    results[name].append(lines[name].measure())
            latency = Field(settings).latency(_RATE, int(6_000 * scale)) if not only or "latency" in only else None
    except BenchError as error:
        raise CommandError(str(error)) from error
    _print(results, {name: lines[name].before for name in names}, latency)


def _servers(stack: contextlib.ExitStack) -> tuple[dict[str, str], str]:
    """Start the servers and return settings and tracking URI; PostgreSQL records commit times, from which latencies are computed."""
    registry = stack.enter_context(mlflow())
    postgres = stack.enter_context(postgres_server())
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
    postgres.stop(signal.SIGINT)
    postgres.start()
    database = create_database(postgres.url, "predictions")
    migrate(database)
    defaults = {name: value for name, value in dotenv_values(ROOT / ".env").items() if value is not None and name.startswith("HEARTH_")}
    ours = {
        "HEARTH_DATA_DIR": str(DATA),
        "HEARTH_MLFLOW_TRACKING_URI": registry,
        "HEARTH_PREDICTIONS_URL": database,
        "HEARTH_REDIS_URL": stack.enter_context(valkey()),
    }
    return {**defaults, **ours, **{name: value for name, value in os.environ.items() if name.startswith("HEARTH_")}}, registry


def _model(folder: Path, registry: str) -> Path:
    contract = employees()
    X, y = rows(contract, _ROWS)
    pipeline = fitted(contract, "lightgbm", X, y)
    register(signing_registry(registry), contract, "lightgbm", pipeline, X)
    joblib.dump(pipeline, folder / "lightgbm.joblib")
    return folder / "lightgbm.joblib"


@dataclass(frozen=True)
class _Line:
    """A line of the table; `before` is the messages a second without a database, measured before this worker existed."""

    measure: Callable[[], Throughput]
    before: int | None = None


def _lines(settings: Mapping[str, str], registry: str, model: Path, scale: float) -> dict[str, _Line]:
    def whole(workers: int, messages: int, records: int) -> _Line:
        return _Line(lambda: Field(settings).throughput(workers, int(messages * scale), records))

    def part(name: str, messages: int, before: int | None = None, *, hiredis: bool = True) -> _Line:
        count = max(3, int(messages * scale))
        url = settings["HEARTH_REDIS_URL"]

        def measure() -> Throughput:
            rate = stream_parts.timed(name, url, registry, model, count, hiredis=hiredis)
            return Throughput(rate, rate)

        return _Line(measure, before)

    return {
        "this worker, 100 records a message": whole(1, 3_000, 100),
        "two of them, 100 records a message": whole(2, 3_000, 100),
        _THIS: whole(1, 100_000, 1),
        "two of them, 1 record a message": whole(2, 100_000, 1),
        "only sending (XADD, pipelined)": part(stream_parts.SEND, 100_000, 166_000),
        "only sending, without hiredis": part(stream_parts.SEND, 100_000, 116_000, hiredis=False),
        "reading 500 at a time and scoring, compiled": part(stream_parts.READ, 50_000, 30_400),
        "the same, compiled, without hiredis": part(stream_parts.READ, 50_000, 22_700, hiredis=False),
        "the same, predict_proba": part(stream_parts.PREDICT_PROBA, 50_000),
        "the same, MLflow's pyfunc": part(stream_parts.PYFUNC, 50_000, 14_300),
        "one message at a time, predict_proba": part(stream_parts.ONE, 500, 132),
        "the model loaded from the registry for each message": part(stream_parts.LOAD, 30, 16),
    }


def _print(results: Mapping[str, Sequence[Throughput]], before: Mapping[str, int | None], latency: Latency | None) -> None:
    console = make_console()
    cores = os.cpu_count()
    console.print(f"{datetime.now(UTC):%Y-%m-%d}, {cores} cores, {platform.machine()}, Python {platform.python_version()}")
    heads = "", "messages/s", "before", "records/s", "ratio", "busy processors", "µs a record"
    table = make_table("Messages of seeded fake employees", *heads)
    medians = {name: sorted(rounds, key=lambda one: one.records)[len(rounds) // 2] for name, rounds in results.items()}
    this = medians.get(_THIS)
    for name, median in medians.items():
        ratio = f"{median.records / this.records:.3g}" if this else "-"
        who = [name for name in ("worker", "PostgreSQL", "Valkey") if name in median.busy]
        busy = " + ".join(f"{median.busy[name]:.2f}" for name in who)
        each = " + ".join(f"{median.busy[name] / median.records * 1e6:.0f}" for name in who)
        earlier = f"{before[name]:,}" if before[name] else "-"
        table.add_row(name, f"{median.messages:,.0f}", earlier, f"{median.records:,.0f}", ratio, busy or "-", each or "-")
    console.print(table)
    console.print(f"ratio: of records a second, to {_THIS}. Processors: of workers + PostgreSQL + Valkey.")
    console.print("The lines without processors store nothing. before: messages a second, measured before this worker existed.")
    if latency:
        console.print(
            f"From enqueue to commit, {latency.messages} messages at {_RATE:.0f}/s: "
            f"p50 {latency.p50:.1f} ms, p99 {latency.p99:.1f} ms, largest {latency.largest:.1f} ms."
        )


if __name__ == "__main__":
    run_program(main)
