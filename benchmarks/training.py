"""Time and memory of a fit on many rows, and what more rows are worth: `make bench-training BENCH_FLAGS="--rows 1000000"`.

Generated employees lie in a Parquet file as the ETL writes it. LightGBM is fitted on them from disk and, up to `--most-in-memory` rows,
from a frame; each runs in a process of its own. With `--curve` each family is fitted on nested samples, and judged on generated rows of
another seed; SVM and KNN not on all, since that takes too long. No object store and no MLflow takes part.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from threadpoolctl import threadpool_limits

from benchmarks.harness.model import DATA
from benchmarks.harness.training_task import CLASSES, FEATURES
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.contracts import Contract, load_contract
from hearth.data.cleaning import clean, target_codes
from hearth.data.row_sample import frame_order, sample_places
from hearth.fakes.generator import FakeRecords
from hearth.modelling.evaluation import metric
from hearth.modelling.families import FAMILIES
from hearth.modelling.features import build_features
from hearth.training.learning_curve import curve_rows

_PART, _PARTS = 100_000, 10
_HELD_OUT = 20_000
_MOST: Mapping[str, int] = {"svm": 40_000, "knn": 300_000}  # beyond it a point takes many minutes


def main(
    rows: Annotated[int, values.whole("Generated rows.")] = 1_000_000,
    most_in_memory: Annotated[int, values.whole("Rows up to which a fit from a frame is measured, too.")] = 2_000_000,
    curve: Annotated[bool, typer.Option(help="The metric against the rows instead.")] = False,
    only: Annotated[list[str] | None, typer.Option(metavar="FAMILY", help="Families of the curve (default: all).")] = None,
) -> None:
    """Fit LightGBM on many rows, or draw the curve of each family."""
    contract = load_contract("employees", DATA)
    if curve:
        _curve(contract, rows, only or list(FAMILIES))
        return
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as name:
        _write(contract, Path(name), rows)
        table = make_table(f"LightGBM, {rows:,} rows of employees, processor seconds", "rows in", "reading", "fitting", "calibrating", "MB")
        for way in ("disk", *(["frame"] if rows <= most_in_memory else [])):
            command = [sys.executable, "-m", "benchmarks.harness.training_task", way, name]
            *seconds, memory = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-4:]
            table.add_row(way, *(f"{float(second):.1f}" for second in seconds), f"{int(memory) / 1e6:,.0f}")
    make_console().print(table)


def _curve(contract: Contract, rows: int, families: list[str]) -> None:
    X, y = _rows(contract, rows, seed=1)
    X_held, y_held = _rows(contract, _HELD_OUT, seed=2)
    order, codes = frame_order(contract, X), y.to_numpy()
    table = make_table(
        f"{contract.metric} on {len(X_held):,} rows", "family", "rows", contract.metric, "fit, processor s", "predict 1,000, ms"
    )
    with threadpool_limits(limits=1):
        features = build_features(contract).fit(X.iloc[sample_places(order, codes, _PART)])
        numbers, held = features.transform(X), features.transform(X_held)
        for name in families:
            family = FAMILIES[name]
            for size in curve_rows(min(len(X), _MOST.get(name, len(X)))):
                places = sample_places(order, codes, size)
                started = time.process_time()
                model = family.build_for_tuning(family.limited(family.defaults, size), 1).fit(numbers[places], codes[places])
                fitted = time.process_time()
                score = metric(contract, y_held.to_numpy(), np.asarray(model.predict(held)))
                took = time.process_time() - fitted
                per_thousand = took / len(held) * 1e6
                table.add_row(name, f"{size:,}", f"{score:.4f}", f"{fitted - started:.1f}", f"{per_thousand:.1f}")
                typer.echo(f"{name} {size:,}: {score:.4f}")  # the last points take minutes
    make_console().print(table)


def _rows(contract: Contract, rows: int, seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """Generate rows without those that the cleaning leaves out."""
    frame = clean(contract, FakeRecords.load(contract, DATA).frame(rows, seed)).frame
    return frame[list(contract.feature_names)], target_codes(contract, frame[contract.target.column])


def _write(contract: Contract, folder: Path, rows: int) -> None:
    """Write generated rows as the ETL does, about so many, a part at a time; from a million on they repeat, which costs a fit the same."""
    codes: list[np.ndarray] = []
    fields = [(name, pa.float64() if name in contract.numeric_features else pa.string()) for name in contract.feature_names]
    schema = pa.schema(fields)
    made: list[tuple[pa.Table, np.ndarray]] = []
    with pq.ParquetWriter(folder / FEATURES, schema, store_schema=False) as writer:
        for number in range(-(-rows // _PART)):
            if number < _PARTS:
                X, y = _rows(contract, min(_PART, rows - number * _PART), seed=number)
                made.append((pa.Table.from_pandas(X, schema, preserve_index=False), y.to_numpy()))
            table, part = made[number % _PARTS]
            writer.write_table(table)
            codes.append(part)
    np.save(folder / CLASSES, np.concatenate(codes))


if __name__ == "__main__":
    run_program(main)
