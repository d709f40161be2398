"""What the index on the trace of a prediction gives and costs: `make bench-trace-index`.

Two databases of one server, with and without it, get the same blocks of 500 generated predictions in turn, each in a trace of its own, so
that other programs slow both alike. What was answered under one trace is then looked for in both.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median
from typing import Annotated, Any

import psycopg
import typer

from benchmarks.store_size import blocks
from deploy.embedded import temporary_servers
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.predictions import PredictionStore
from hearth.predictions.migration import migrate

_FIND = "SELECT message_id, row, dataset, label, scored_at FROM predictions WHERE trace_id = %s"
_SEARCHES = 20


def main(
    rows: Annotated[int, values.whole("Predictions.")] = 200_000,
    dataset: Annotated[str, typer.Option(help="Name of a data set.")] = "employees",
) -> None:
    """Store predictions in both databases, and print what a block and a search take, and the bytes of the index."""
    made = blocks(dataset, rows)
    traces = [str(block.trace_ids[0]) for block in made[:: max(1, len(made) // _SEARCHES)]]
    with temporary_servers.postgres_server() as server, ExitStack() as stack:
        urls = {name: temporary_servers.create_database(server.url, name) for name in ("with_index", "without")}
        for url in urls.values():
            migrate(url)
        _execute(urls["without"], "DROP INDEX predictions_trace_id")
        stores = {name: stack.enter_context(PredictionStore(url)) for name, url in urls.items()}
        seconds: dict[str, list[float]] = {name: [] for name in urls}
        for block in made:
            lines = list(block.lines())
            for name, store in stores.items():
                start = time.perf_counter()
                store.put_lines(lines)
                seconds[name].append(time.perf_counter() - start)
        table = make_table("Index on trace_id", "database", "block of 500, median ms", "search, median ms", "index, MB", "plan")
        for name, url in urls.items():
            _execute(url, "VACUUM ANALYZE predictions")
            plan, searches = _search(url, traces)
            index = "SELECT coalesce(pg_relation_size(to_regclass('predictions_trace_id')), 0)"
            [(size,)] = _execute(url, index)
            table.add_row(name, f"{1e3 * median(seconds[name]):.2f}", f"{median(searches):.2f}", f"{size / 1e6:.1f}", plan)
        start = time.perf_counter()
        _execute(urls["without"], "CREATE INDEX predictions_trace_id ON predictions (trace_id) WHERE trace_id IS NOT NULL")
        built = time.perf_counter() - start
    make_console().print(table)
    make_console().print(f"The index of {rows:,} rows that are there already is built in {built:.2f} s.")


def _execute(url: str, statement: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def _search(url: str, traces: list[str]) -> tuple[str, list[float]]:
    """Return the kind of plan, and the milliseconds of each search by PostgreSQL's own clock."""
    with psycopg.connect(url) as connection:
        plans = [connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {_FIND}".encode(), [trace]).fetchone() for trace in traces]
    [found] = {"/".join(_nodes(plan[0][0]["Plan"])) for plan in plans if plan}
    return found, [plan[0][0]["Execution Time"] for plan in plans if plan]


def _nodes(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["Node Type"]
    for part in plan.get("Plans", []):
        yield from _nodes(part)


if __name__ == "__main__":
    run_program(main)
