"""Time and memory of the ETL, beside the same work by hand: `make bench-etl BENCH_FLAGS="--rows 1000000"`.

Generated employees go through the functions of two tasks of the DAG, `validate` and `process`, with a real object store; pandas, polars and
DuckDB do what `benchmarks/peers/etl_engines.py` says with files. Each runs in a process of its own, one after the other. The memory is the
highest of the process (its imports included), without the store.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from benchmarks.harness.model import DATA
from deploy.embedded import temporary_servers
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.contracts import load_contract
from hearth.fakes.raw import write_fake
from hearth.storage import ObjectStore

_KEY = "employees/raw/generated.csv"
_PEERS = ("pandas", "polars", "duckdb")
_PEER_PYTHON = temporary_servers.ROOT / ".venvs" / "bench-etl" / "bin" / "python"


@dataclass(frozen=True)
class Cost:
    """What a program took: seconds of its work, highest memory in bytes, rows that it has kept."""

    seconds: float
    memory: int
    rows: int


def main(
    rows: Annotated[int, values.whole("Generated rows.")] = 1_000_000,
    rounds: Annotated[int, values.whole("The fastest round counts.")] = 1,
) -> None:
    """Compare the ETL with plain pandas, polars and DuckDB."""
    contract = load_contract("employees", DATA)
    table = make_table(f"{rows:,} rows of employees", "what", "seconds", "rows a second", "MB", "rows kept")
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as name, _store() as (store, environment):
        file = Path(name, "rows.csv")
        write_fake(contract, DATA, file, rows, seed=1)
        store.put_file(store.data_bucket, _KEY, file)
        costs: dict[str, list[Cost]] = {}
        for _ in range(rounds):
            both = [_run([sys.executable, "-m", "benchmarks.harness.etl_task", task], environment) for task in ("validate", "process")]
            total = Cost(sum(cost.seconds for cost in both), max(cost.memory for cost in both), both[-1].rows)
            for what, cost in zip(("Hearth: validate", "Hearth: process", "Hearth"), (*both, total), strict=True):
                costs.setdefault(what, []).append(cost)
            for peer in _PEERS:
                command = [str(_PEER_PYTHON), "benchmarks/peers/etl_engines.py", peer, str(file), name]
                costs.setdefault(peer, []).append(_run(command, {}))
    for what, all_ in costs.items():
        best = min(all_, key=lambda cost: cost.seconds)
        table.add_row(what, f"{best.seconds:.2f}", f"{rows / best.seconds:,.0f}", f"{best.memory / 1e6:,.0f}", f"{best.rows:,}")
    make_console().print(table)


def _run(command: list[str], environment: Mapping[str, str]) -> Cost:
    """Run a program that prints its seconds, its rows and its highest memory."""
    done = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True)
    seconds, rows, memory = done.stdout.split()[-3:]
    return Cost(float(seconds), int(memory), int(rows))


@contextmanager
def _store() -> Iterator[tuple[ObjectStore, Mapping[str, str]]]:
    """Start an object store; yields it, and the settings of programs that use it."""
    with temporary_servers.object_store() as server:
        store = ObjectStore(server.endpoint_url, region=server.region, access_key=server.access_key, secret_key=server.secret_key)
        yield (
            store,
            {
                "HEARTH_S3_ENDPOINT_URL": server.endpoint_url,
                "HEARTH_S3_REGION": server.region,
                "HEARTH_S3_ACCESS_KEY": server.access_key,
                "HEARTH_S3_SECRET_KEY": server.secret_key,
            },
        )


if __name__ == "__main__":
    run_program(main)
