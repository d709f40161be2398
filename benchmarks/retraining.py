"""What training again does to quality after a drift: `make bench-retrain [BENCH_FLAGS="--file FILE"]`.

A version is trained on rows as they were. Then the world changes: a sensor reads higher, or the classes mean something else. Labelled
records of the new world are what the DAG retrain would have: the same candidates, weights and verdict, with parameters that are not tuned
and probabilities that are not calibrated.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from benchmarks.harness.model import DATA
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.contracts import Contract, IntegerColumn, NumberColumn, load_contract
from hearth.data.cleaning import Split, clean, split, target_codes
from hearth.data.csv_validation import read_raw, validate
from hearth.fakes import FakeRecords
from hearth.modelling.comparison import Comparison, compare
from hearth.modelling.evaluation import score
from hearth.modelling.families import FAMILIES
from hearth.modelling.retrain_gate import judge_retrained, recent_level
from hearth.monitoring.labelled_rows import mixed
from hearth.training.fitting import fit
from hearth.training.folds import weighable

_REFERENCE, _JUDGED = 10_000, 4_000  # rows of the ETL, of which a part is its test set; drifted rows that the figures are of
_SENSOR, _SENSOR_SHIFT, _CONCEPT_SHIFT = "Mental Fatigue Score", 0.5, 0.1
World = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Before:
    """Before the world changes: all rows in the order of a run, the data of the old version, and that version."""

    rows: pd.DataFrame
    reference: Split
    pipeline: Pipeline


@dataclass(frozen=True)
class Result:
    """The metric on drifted rows of the old version, of both candidates and of what serves in the end; and whether one was deployed."""

    old: float
    window: float
    mixture: float
    after: float
    deployed: str
    old_test_loss: float


def worlds(contract: Contract, frame: pd.DataFrame) -> Mapping[str, World]:
    """Return what the world may become: rows as a raw file has them in, changed rows out."""
    sensor, target = _number(contract, _SENSOR), _number(contract, contract.target.column)
    shift = _SENSOR_SHIFT * float(frame[_SENSOR].std())

    def unchanged(rows: pd.DataFrame) -> pd.DataFrame:
        return rows

    def higher(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(**{_SENSOR: (rows[_SENSOR] + shift).clip(sensor.minimum, sensor.maximum)})

    def stricter(rows: pd.DataFrame) -> pd.DataFrame:
        name = contract.target.column
        return rows.assign(**{name: (rows[name] + _CONCEPT_SHIFT).clip(target.minimum, target.maximum)})

    return {"none": unchanged, f"{_SENSOR} +{_SENSOR_SHIFT:g} sd": higher, f"concept: target +{_CONCEPT_SHIFT:g}": stricter}


def _number(contract: Contract, name: str) -> IntegerColumn | NumberColumn:
    column = contract.columns[name]
    if not isinstance(column, IntegerColumn | NumberColumn):
        message = f"{name} is no number"
        raise TypeError(message)
    return column


def train(contract: Contract, frame: pd.DataFrame, family: str, seed: int) -> Before:
    """Train the old version."""
    rows = frame.sample(frac=1, random_state=seed).reset_index(drop=True)
    reference = split(contract, rows.iloc[:_REFERENCE].reset_index(drop=True))
    return Before(rows, reference, _fit(contract, reference, family, seed))


def retrain(  # noqa: PLR0913, PLR0917 - what is trained, in which world
    contract: Contract, before: Before, world: World, labels: int, family: str, seed: int
) -> Result:
    """Change the world, train again and judge."""
    reference, old = before.reference, before.pipeline
    changed = world(before.rows.iloc[_REFERENCE:].reset_index(drop=True))
    held_out = contract.retrain.held_out
    X, y = changed[list(contract.feature_names)], target_codes(contract, changed[contract.target.column])
    window = Split(
        X.iloc[:labels].reset_index(drop=True),
        X.iloc[labels : labels + held_out].reset_index(drop=True),
        y.iloc[:labels].reset_index(drop=True),
        y.iloc[labels : labels + held_out].reset_index(drop=True),
    )
    judged = slice(labels + held_out, labels + held_out + _JUDGED)
    fitted = {"window": _fit(contract, window, family, seed), "mixture": _fit(contract, mixed(window, reference), family, seed)}
    own = {name: score(contract, pipeline, X[judged], y[judged]) for name, pipeline in {"old": old, **fitted}.items()}
    best = max(fitted, key=lambda name: score(contract, fitted[name], window.X_test, window.y_test))

    def difference(rows: pd.DataFrame, truth: pd.Series, level: float) -> Comparison:
        ours, theirs = (np.asarray(pipeline.predict_proba(rows)) for pipeline in (fitted[best], old))
        return compare(contract.metric, truth.to_numpy(), ours, theirs, level=level)

    recent = difference(window.X_test, window.y_test, recent_level(contract, len(fitted)))
    on_old = difference(reference.X_test, reference.y_test, contract.gate.level)
    verdict = judge_retrained(contract, "2", "1", len(fitted), recent, on_old)
    deployed = best if verdict.passed else ""
    return Result(own["old"], own["window"], own["mixture"], own[deployed or "old"], deployed, -on_old.metric.figure)


def _fit(contract: Contract, parts: Split, family: str, seed: int) -> Pipeline:
    chosen, own = FAMILIES[family], None if parts.weights_train is None else parts.weights_train.to_numpy()
    X, y, weights = weighable(chosen, parts.X_train, parts.y_train, own)
    return fit(contract, X, y, chosen, params=chosen.defaults, seed=seed, row_weights=weights)


def main(
    file: Annotated[Path | None, typer.Option(help="A raw file; generated rows by default.", show_default=False)] = None,
    family: Annotated[str, typer.Option(help="The family that is trained.")] = "lightgbm",
    runs: Annotated[int, values.whole("Runs with other rows.")] = 5,
    labels: Annotated[list[int] | None, typer.Option(help="Labelled records that train, beside those held out.")] = None,
) -> None:
    """Print the metric before, under and after a drift, and how often a candidate is deployed."""
    contract = load_contract("employees", DATA)
    content = file.read_bytes() if file else FakeRecords.load(contract, DATA).frame(24_000, 1).to_csv(index=False).encode()
    accepted = validate(contract, read_raw(contract, content, str(file or "generated rows"))).accepted
    frame = clean(contract, accepted).frame
    started, console = time.perf_counter(), make_console()
    table = make_table("", "drift", "labels", "old", "window", "mixture", "deployed", "after", "lost on the old test set")
    with threadpool_limits(limits=1):
        versions = [train(contract, frame, family, seed) for seed in range(runs)]
        for name, world in worlds(contract, frame).items():
            for count in labels or [1_000, 3_000]:
                found = [retrain(contract, before, world, count, family, seed) for seed, before in enumerate(versions)]
                chosen = [result.deployed for result in found if result.deployed]
                means = (np.mean([getattr(result, part) for result in found]) for part in ("old", "window", "mixture"))
                ways = ", ".join(f"{way} {chosen.count(way)}" for way in ("window", "mixture") if way in chosen)
                after, lost = (np.mean([getattr(result, part) for result in found]) for part in ("after", "old_test_loss"))
                deployed = f"{len(chosen)} of {runs}" + (f" ({ways})" if ways else "")
                row = (name, str(count), *(f"{mean:.3f}" for mean in means), deployed, f"{after:.3f}", f"{lost:.3f}")
                typer.echo(" | ".join(row), err=True)  # a table comes at the end
                table.add_row(*row)
    console.print(table)
    console.print(f"{family}, {len(frame):,} rows, {contract.retrain.held_out} held out; {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    run_program(main)
