"""How often labels alarm though nothing has fallen, and how soon where it has: `make bench-labels`, by simulation.

Answers are right with a probability of their own each, independently; the reference is a test set of the same model, drawn anew for each
run where its rows are named, and known exactly where they are not.
"""

import math
import time
from typing import Annotated

import numpy as np

from benchmarks.harness.model import DATA
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.contracts import load_contract
from hearth.monitoring.e_process import EProcess, advance, begin, bound_of, evidence

_LABELS = 5_000
_BEFORE = (0, 2_000, 10_000, 50_000)
_FALLS = (0.05, 0.07, 0.10, 0.19)
_TEST_ROWS = (61, 241, 2_826)
_NEVER = 10**9


def wrong(rng: np.random.Generator, rate: float, labels: int) -> np.ndarray:
    """Return losses of labels, 1 for a wrong answer."""
    return (rng.random(labels) < rate).astype(np.float64)


def labels_to_alarm(state: EProcess, losses: np.ndarray, level: float) -> int:
    """Return how many of the losses it takes until the alarm."""
    above = np.flatnonzero(evidence(state, losses) >= -math.log(level))
    return int(above[0]) + 1 if len(above) else _NEVER


def main(
    runs: Annotated[int, values.whole("Simulated runs for each line.")] = 1_000,
    accuracy: Annotated[float, values.number("Share of right answers before the fall.")] = 0.85,
    seed: Annotated[int, values.seed()] = 1,
) -> None:
    """Simulate false alarms and delays of the test on labels."""
    words = load_contract("employees", DATA).quality
    console, start = make_console(), time.process_time()
    console.print(f"{runs} runs, right answers {accuracy:.0%}, tolerance {words.tolerance:g}, level {words.level:g}")
    false_alarms = make_table(f"Runs with a false alarm in {_LABELS:,} labels, %", "share of right answers", "test rows", "%")
    for fall in (0.0, words.tolerance):
        for rows in (None, *_TEST_ROWS):
            if fall and rows is not None:
                continue
            rate, rng = 1 - accuracy + fall, np.random.default_rng(seed)
            hits = 0
            for _ in range(runs):
                reference = 1 - accuracy if rows is None else rng.binomial(rows, 1 - accuracy) / rows
                bound = 1 - accuracy + words.tolerance if rows is None else bound_of(reference, rows, words.tolerance)
                hits += labels_to_alarm(begin(bound), wrong(rng, rate, _LABELS), words.level) < _NEVER
            what = f"{accuracy - fall:.2f} right" + (" (at the bound)" if fall else "")
            false_alarms.add_row(what, "known" if rows is None else f"{rows:,}", f"{100 * hits / runs:.1f}")
    console.print(false_alarms)
    columns = (f"after {before:,} labels" for before in _BEFORE)
    delays = make_table("Labels to the alarm, median / 95 %", "right answers fall by", *columns)
    for fall in _FALLS:
        line = [f"{100 * fall:.0f} points"]
        for before in _BEFORE:
            rng = np.random.default_rng(seed)
            bound = 1 - accuracy + words.tolerance
            found = []
            for _ in range(max(50, runs * 1_000 // (1_000 + before))):
                state = advance(begin(bound), wrong(rng, 1 - accuracy, before))
                found.append(labels_to_alarm(state, wrong(rng, 1 - accuracy + fall, 2 * _LABELS), words.level))
            line.append(" / ".join(f"{np.quantile(found, share):,.0f}" for share in (0.5, 0.95)).replace(f"{_NEVER:,}", "never"))
        delays.add_row(*line)
    console.print(delays)
    state, losses = begin(1 - accuracy + words.tolerance), wrong(np.random.default_rng(seed), 1 - accuracy, 10_000)
    began = time.process_time()
    advance(state, losses)
    console.print(f"10,000 labels take {1_000 * (time.process_time() - began):.0f} ms; all of this {time.process_time() - start:.0f} s.")


if __name__ == "__main__":
    run_program(main)
