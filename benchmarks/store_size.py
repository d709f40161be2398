"""Bytes of stored predictions in a real PostgreSQL: `make bench-store`. What sizes of disks in docs/operations.md rest on.

Generated records go through the store as a service writes them, in blocks of 500, with sets of classes and scores of how unusual they are.
"""

import time
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

import numpy as np
import psycopg
import typer

from benchmarks.harness.model import DATA
from deploy.embedded import temporary_servers
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.contracts import load_contract
from hearth.fakes import FakeRecords
from hearth.predictions import PredictionBlock, PredictionStore, StoredParts
from hearth.predictions.migration import migrate

_BLOCK = 500
_IN_SET, _UNUSUAL = 0.3, 0.01


def blocks(dataset: str, rows: int, seed: int = 1) -> list[PredictionBlock]:
    """Return predictions of generated records, with probabilities drawn at random."""
    contract = load_contract(dataset, DATA)
    rng = np.random.default_rng(seed)
    records = FakeRecords.load(contract, DATA).records(rows, seed)
    names = tuple(contract.target.classes)
    chances = rng.dirichlet(np.ones(len(names)), rows)
    made = []
    for first in range(0, rows, _BLOCK):
        part = slice(first, min(first + _BLOCK, rows))
        size = part.stop - part.start
        made.append(
            PredictionBlock(
                dataset=dataset,
                alias="champion",
                version="12",
                family="lightgbm",
                classes=names,
                scored_at=datetime.now(UTC),
                message_ids=[str(uuid4()) for _ in range(size)],
                trace_ids=[uuid4().hex for _ in range(size)],
                rows=[0] * size,
                enqueued_at=[datetime.now(UTC)] * size,
                records=records[part],
                codes=chances[part].argmax(axis=1),
                probabilities=chances[part],
                parts=StoredParts(chances[part] >= _IN_SET, rng.random(size), rng.random(size) < _UNUSUAL),
            )
        )
    return made


def main(
    rows: Annotated[int, values.whole("Predictions of each data set.")] = 200_000,
    datasets: Annotated[str, typer.Option(help="Names of data sets, separated by commas.")] = "employees,heart,covertype",
) -> None:
    """Store predictions of each data set and print what they take."""
    table = make_table("Stored predictions", "data set", "rows", "rows/s", "table, MB", "indexes, MB", "MB a million rows")
    for dataset in datasets.split(","):
        with temporary_servers.postgres() as url:
            migrate(url)
            with PredictionStore(url) as store:
                made = blocks(dataset, rows)
                start = time.monotonic()
                for block in made:
                    store.put_lines(list(block.lines()))
                seconds = time.monotonic() - start
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE predictions")
                query = "SELECT pg_table_size('predictions'), pg_indexes_size('predictions'), count(*) FROM predictions"
                data, indexes, count = connection.execute(query).fetchone() or (0, 0, 0)
        million = (data + indexes) / count
        table.add_row(dataset, f"{count:,}", f"{count / seconds:,.0f}", f"{data / 1e6:.1f}", f"{indexes / 1e6:.1f}", f"{million:.0f}")
    make_console().print(table)


if __name__ == "__main__":
    run_program(main)
