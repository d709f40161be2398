"""How often drift is seen where there is none, and how soon where there is: `make bench-drift [BENCH_FLAGS="--dataset heart"]`.

Generated rows go through the ETL, a model is fitted on them, and further generated records are checked against its reference as
`hearth monitor` does: windows of the contract's size. Drift is that of the fake producer, from one record to the next.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Annotated

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from benchmarks.harness.model import DATA
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.contracts import Contract, load_contract
from hearth.data.cleaning import TOO_MANY_MISSING, Split, clean, split
from hearth.data.csv_validation import read_raw, validate
from hearth.data.profile import profile
from hearth.fakes import DEMO_ROWS, FakeRecords
from hearth.fakes.drift import Drift, parse_drift
from hearth.modelling.evaluation import metric
from hearth.modelling.families import FAMILIES
from hearth.modelling.features import build_features
from hearth.monitoring.check import DriftCheck, Level, check
from hearth.monitoring.reference import Incomplete, Reference, describe_outputs
from hearth.monitoring.window import Position, Window, features_of

Record = dict[str, object]
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_STEP = 100  # records between two checks
_LAST = 4_000  # records after which a drift counts as not seen
_RAW_ROWS = {"heart": 302}  # of the real file, as far as it is not the demo's
_NUMBER_SHIFT, _POINTS = "0.5sd/min", 10


@dataclass(frozen=True)
class Served:
    """A version of a data set, what it was trained on, and where further records come from."""

    contract: Contract
    fakes: FakeRecords
    pipeline: Pipeline
    reference: Reference

    def window(self, records: Sequence[Record], at: int = 0) -> Window:
        """Return the records, which begin at a place of the stream, as a window of answers."""
        frame = features_of(self.contract, records)
        probabilities = np.asarray(self.pipeline.predict_proba(frame))
        first, last = (Position(_EPOCH + timedelta(seconds=at + place), "", 0) for place in (0, len(records) - 1))
        return Window(frame, probabilities.argmax(axis=1), probabilities, first, last)


def part(window: Window, start: int, stop: int) -> Window:
    """Return the answers at these places of a window."""
    first, last = (Position(window.first.scored_at + timedelta(seconds=place), "", 0) for place in (start, stop - 1))
    frame = window.features.iloc[start:stop]
    return Window(frame, window.codes[start:stop], window.probabilities[start:stop], first, last)


def serve(dataset: str, seed: int) -> Served:
    """Run the ETL's steps on generated rows and fit the first family of the contract that is a tree or a line."""
    contract = load_contract(dataset, DATA)
    fakes, rows = FakeRecords.load(contract, DATA), _RAW_ROWS.get(dataset, DEMO_ROWS)
    content = fakes.frame(rows, seed).to_csv(index=False).encode()
    accepted = validate(contract, read_raw(contract, content, "generated rows")).accepted
    cleaned = clean(contract, accepted)
    parts = split(contract, cleaned.frame)
    pipeline = _fit(contract, parts, seed)
    probabilities = np.asarray(pipeline.predict_proba(parts.X_test))
    codes = probabilities.argmax(axis=1)
    outputs = describe_outputs(contract, codes, probabilities, metric(contract, parts.y_test.to_numpy(), codes))
    incomplete = Incomplete(cleaned.dropped[TOO_MANY_MISSING], len(accepted))
    return Served(contract, fakes, pipeline, Reference(profile(contract, parts.X_train, parts.y_train, "generated"), outputs, incomplete))


def _fit(contract: Contract, parts: Split, seed: int) -> Pipeline:
    family = next((name for name in ("lightgbm", "logistic_regression") if name in contract.families), contract.families[0])
    estimator = FAMILIES[family].final(FAMILIES[family].defaults, seed, len(parts.X_train))
    return Pipeline([("features", build_features(contract)), ("model", estimator)]).fit(parts.X_train, parts.y_train)


def sliding(served: Served, stream: Window, start: int = 0, last: DriftCheck | None = None) -> Iterator[DriftCheck]:
    """Check after every 100 records from `start` on, as the DAG does."""
    size = served.contract.drift.window
    for stop in range(max(start, size), len(stream) + 1, _STEP):
        window = part(stream, stop - size, stop)
        before = part(stream, stop - 2 * size, stop - size) if stop >= 2 * size else None
        last = check(served.contract, "1", served.reference, window, before, now=window.last.scored_at, last=last)
        yield last


def false_alarms(served: Served, windows: int, seed: int) -> tuple[dict[Level, float], float]:
    """Return the share of separate windows at each level or above, and the mean processor seconds of a check with its parsing."""
    size, levels, seconds, before = served.contract.drift.window, [], [], None
    for number in range(windows):
        records = served.fakes.records(size, seed + number)
        window = served.window(records, number * size)
        start = time.process_time()
        features_of(served.contract, records)
        judged = check(served.contract, "1", served.reference, window, before, now=_EPOCH)
        seconds.append(time.process_time() - start)
        levels.append(judged.found.rank)
        before = window
    return {level: float(np.mean(np.array(levels) >= level.rank)) for level in (Level.WARN, Level.DRIFT, Level.ACT)}, float(
        np.mean(seconds)
    )


def acts_in(served: Served, records: int, seed: int) -> dict[Level, int]:
    """Return how many alarms of each level or above begin in a stream without drift, checked after every 100 records."""
    begun, earlier = {Level.WARN: 0, Level.DRIFT: 0, Level.ACT: 0}, -1
    for judged in sliding(served, served.window(served.fakes.records(records, seed))):
        for level in begun:
            begun[level] += judged.level.rank >= level.rank > earlier
        earlier = judged.level.rank
    return begun


def delays(served: Served, drift: Drift, runs: int, seed: int) -> dict[Level, list[float]]:
    """Return after how many drifted records each level was reached, one for each run; infinite where it was not."""
    size = 2 * served.contract.drift.window
    found: dict[Level, list[float]] = {level: [] for level in (Level.WARN, Level.DRIFT, Level.ACT)}
    for run in range(runs):
        random = Random(seed + run)  # noqa: S311 - seeded on purpose
        records = served.fakes.records(size + _LAST, seed + run)
        changed = records[:size] + [drift.applied(record, 1.0, random) for record in records[size:]]
        reached = dict.fromkeys(found, float("inf"))
        for judged in sliding(served, served.window(changed), size + _STEP):
            for level in found:
                if judged.level.rank >= level.rank:
                    reached[level] = min(reached[level], (judged.checked_at - _EPOCH).total_seconds() + 1 - size)
            if judged.level is Level.ACT:
                break
        for level, delay in reached.items():
            found[level].append(delay)
    return found


def main(
    dataset: Annotated[str, values.datasets()] = "employees,heart",
    windows: Annotated[int, values.whole("Separate windows without drift.")] = 200,
    records: Annotated[int, values.whole("Records of the stream without drift.")] = 100_000,
    runs: Annotated[int, values.whole("Runs for each column that drifts.")] = 20,
    seed: Annotated[int, values.seed()] = 1,
) -> None:
    """Print shares of false alarms, delays of detection, and the cost of a check."""
    console = make_console()
    quiet = make_table("Without drift", "data set", "train rows", "windows", "warn", "drift", "act", "alarms begun", "check")
    seen = make_table("Records until the level, median / 95th percentile", "data set", "column", "drift", "warn", "drift", "act")
    with threadpool_limits(1):
        for name in dataset.split(","):
            served = serve(name, seed)
            shares, seconds = false_alarms(served, windows, 10_000 + seed)
            begun = acts_in(served, records, 500_000 + seed)
            quiet.add_row(
                name,
                f"{served.reference.profile.rows:,}",
                str(windows),
                *(f"{share:.1%}" for share in shares.values()),
                f"{begun[Level.WARN]} / {begun[Level.DRIFT]} / {begun[Level.ACT]} in {records:,}",
                f"{seconds * 1000:.0f} ms",
            )
            for column, text in _drifts(served):
                drift = parse_drift([f"{column}={text}"], [served.contract], {name: served.fakes.records(1_000, seed)})[name]
                found = delays(served, drift, runs, 700_000 + seed)
                seen.add_row(name, column, _described(text), *(_percentiles(found[level]) for level in found))
    console.print(quiet)
    console.print(seen)


def _drifts(served: Served) -> Iterator[tuple[str, str]]:
    """Yield half a standard deviation for every number, and 10 points more for the rarest category of each column."""
    for name in served.contract.numeric_features:
        yield name, _NUMBER_SHIFT
    for name in served.contract.categorical_features:
        shares = served.reference.profile.categories[name].shares
        rarest = min(shares, key=lambda category: shares[category])
        yield name, f"{rarest}+{_POINTS / (1 - shares[rarest]):.2f}%/min"  # the producer converts a share of the others


def _described(text: str) -> str:
    return text.removesuffix("/min") if text == _NUMBER_SHIFT else f"{text.partition('+')[0]} +{_POINTS} points"


def _percentiles(delays: Sequence[float]) -> str:
    middle, high = pd.Series(delays).quantile([0.5, 0.95], interpolation="higher")
    return f"{_records(middle)} / {_records(high)}"


def _records(delay: float) -> str:
    return f"{delay:,.0f}" if np.isfinite(delay) else f"over {_LAST:,}"


if __name__ == "__main__":
    run_program(main)
