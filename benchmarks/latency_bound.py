"""Whether a time of one record could be a bound of the gate: `make bench-latency-bound`.

The same models score the same records, one at a time, in several rounds; the 99th percentile of each round is taken by the clock and by the
processor time of the thread. A bound needs a figure that is the same tomorrow, whatever else the machine does.
"""

import time
from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks.harness.model import DATA, ROWS, fitted, rows
from benchmarks.harness.requests import fake_requests
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.contracts import load_contract
from hearth.serving.compiled.scorer import CompiledScorer

_FAMILIES = ("lightgbm", "knn")


def main(
    rounds: Annotated[int, values.whole("Rounds; each has a 99th percentile of its own.")] = 8,
    calls: Annotated[int, values.whole("Records of a round.")] = 400,
) -> None:
    """Print how far the 99th percentile of a record's time moves from round to round, with nothing changed."""
    contract = load_contract("employees", DATA)
    X, y = rows(contract, ROWS)
    table = make_table("Milliseconds of one record, 99th percentile: lowest and highest round", "family", "what", "clock", "processor time")
    with threadpool_limits(limits=1):
        for family in _FAMILIES:
            scorer = CompiledScorer(fitted(contract, family, X, y), contract)
            requests = fake_requests(1)
            frames = [pd.DataFrame(list(records)) for records in requests]
            for what, call, each in (
                ("compiled scorer, check included", scorer.score, requests),
                ("scikit-learn's pipeline", scorer.pipeline.predict_proba, frames),
            ):
                found = np.array([_round(call, each, calls) for _ in range(rounds)])
                lows, highs = found.min(axis=0), found.max(axis=0)
                table.add_row(family, what, *(f"{low:.3f} to {high:.3f}" for low, high in zip(lows, highs, strict=True)))
    make_console().print(table)


def _round(call: Callable[..., object], requests: Sequence[object], calls: int) -> tuple[float, float]:
    """Return the 99th percentile in milliseconds by the clock, and by the processor time of this thread."""
    by_clock, by_processor = [], []
    for number in range(calls):
        request = requests[number % len(requests)]
        clock, processor = time.perf_counter(), time.thread_time()
        call(request)
        by_processor.append(time.thread_time() - processor)
        by_clock.append(time.perf_counter() - clock)
    clock_99, processor_99 = (float(np.quantile(times, 0.99)) * 1_000 for times in (by_clock, by_processor))
    return clock_99, processor_99


if __name__ == "__main__":
    run_program(main)
