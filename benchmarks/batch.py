"""Time and memory of a batch, beside pandas and the pipeline: `make bench-batch BENCH_FLAGS="--rows 1000000"`.

Generated employees, of whom as many miss a value as of the real ones (14 %), are scored by LightGBM with 200 rounds, from CSV and from
Parquet, to Parquet. Each way runs in a process of its own, one after the other; starting it and loading the model do not count as time,
but as memory.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import joblib
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from pyarrow import csv as arrow_csv

from benchmarks.harness.model import DATA, ROWS, fitted
from benchmarks.harness.model import rows as model_rows
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.contracts import load_contract
from hearth.fakes.raw import write_fake

_WAYS = {"compiled": "Hearth, compiled scorer", "plain": "Hearth, scikit-learn", "pandas": "pandas and the pipeline"}
_GENERATED = 1_000_000  # rows; more of them are these again


def main(
    rows: Annotated[int, values.whole("Rows to score.")] = 1_000_000,
    rounds: Annotated[int, values.whole("The fastest round counts.")] = 1,
    ways: Annotated[str, typer.Option(help="Which ways: compiled, plain, pandas.")] = "compiled,plain,pandas",
) -> None:
    """Compare batches with pandas and the pipeline."""
    contract = load_contract("employees", DATA)
    table = make_table(f"{rows:,} rows of employees", "what", "file", "seconds", "rows a second", "highest MB", "rows scored")
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as name:
        model, file = Path(name, "model.joblib"), Path(name, "rows.csv")
        joblib.dump(fitted(contract, "lightgbm", *model_rows(contract, ROWS)), model)
        write_fake(contract, DATA, file, min(rows, _GENERATED), seed=1)
        _repeat(file, rows)
        for each in (file, _as_parquet(file)):
            for way in ways.split(","):
                costs = [_run(way, model, each) for _ in range(rounds)]
                seconds, scored, memory = min(costs)
                rate = f"{scored / seconds:,.0f}"
                table.add_row(_WAYS[way], each.suffix[1:], f"{seconds:.2f}", rate, f"{memory / 1e6:,.0f}", f"{scored:,}")
    make_console().print(table)


def _repeat(file: Path, rows: int) -> None:
    """Write the rows of a file again and again until it has enough."""
    header, body = file.read_bytes().split(b"\n", 1)
    lines = body.count(b"\n")
    with file.open("wb") as target:
        target.write(header + b"\n")
        for _ in range(max(1, rows // lines)):
            target.write(body)


def _as_parquet(file: Path) -> Path:
    target = file.with_suffix(".parquet")
    with arrow_csv.open_csv(file) as reader, pq.ParquetWriter(target, reader.schema) as writer:
        for batch in reader:
            writer.write_table(pa.Table.from_batches([batch]))
    return target


def _run(way: str, model: Path, file: Path) -> tuple[float, int, int]:
    """Return the seconds, the rows, and the highest memory."""
    with tempfile.TemporaryDirectory(prefix="hearth-bench-", dir=file.parent) as folder:
        command = [sys.executable, "-m", "benchmarks.harness.batch_task", way, str(model), str(file), folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds, scored, memory = done.stdout.split()[-3:]
    return float(seconds), int(scored), int(memory)


if __name__ == "__main__":
    run_program(main)
