"""What calibrations and sets are worth: `make bench-calibration BENCH_FLAGS="--file data/employees/enriched_employee_dataset.csv"`.

Cleans and splits a raw file as the ETL does, once for each seed, and fits every family with its defaults as a training does. The first
table has each calibration on the test set, means over the seeds; `auto` is what a training chooses, without a look at the test set. The
second one says how often the sets hold the true class. Without a file it takes generated rows.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from sklearn.isotonic import IsotonicRegression
from sklearn.pipeline import Pipeline

from benchmarks.harness.model import DATA
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.contracts import Contract, load_contract
from hearth.data.cleaning import Split, clean, split
from hearth.data.csv_validation import read_raw, validate
from hearth.fakes import DEMO_SEED, FakeRecords
from hearth.modelling import calibration as methods
from hearth.modelling.calibration import METHODS
from hearth.modelling.evaluation import evaluate_probabilities
from hearth.modelling.families import FAMILIES
from hearth.modelling.groups import group_masks
from hearth.modelling.prediction_sets import PredictionSets, fit_sets
from hearth.training.calibrating import Held, choose, hold_out
from hearth.training.fitting import fit

_GRID = 200  # scores at which Venn-Abers is computed; between them it is interpolated
_FIGURES = ("calibration_error", "log_loss")


@dataclass(frozen=True)
class Fitted:
    """A family on one split: what its folds gave, what its model gives for the test rows, and the seconds of both."""

    held: Held
    outputs: np.ndarray
    own: np.ndarray | None
    seconds: tuple[float, float]


def main(
    dataset: Annotated[str, values.dataset()] = "employees",
    file: Annotated[Path | None, typer.Option(help="The raw file (default: generated rows).", show_default=False)] = None,
    rows: Annotated[int, values.whole("Generated rows.")] = 15_000,
    seeds: Annotated[str, typer.Option(help="Seeds of the splits.")] = "42,1,2",
    venn_abers: Annotated[bool, typer.Option(help="With Venn-Abers, which takes a while.")] = False,
) -> None:
    """Print what every calibration does to every family of a data set, and how often the sets of classes hold the true one."""
    contract = load_contract(dataset, DATA)
    content = file.read_bytes() if file else FakeRecords.load(contract, DATA).frame(rows, DEMO_SEED).to_csv(index=False).encode()
    frame = clean(contract, validate(contract, read_raw(contract, content, str(file or "generated rows"))).accepted).frame
    figures: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    sets: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    chosen: dict[str, Counter[str]] = defaultdict(Counter)
    seconds: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for seed in map(int, seeds.split(",")):
        seeded = contract.model_copy(update={"split": contract.split.model_copy(update={"seed": seed})})
        parts = split(seeded, frame)
        truth = parts.y_test.to_numpy()
        for family in contract.families:
            fitted = _fitted(seeded, family, parts, seed)
            seconds[family].append(fitted.seconds)
            best = choose(seeded, fitted.held)
            chosen[family][best.name] += 1
            for name, probabilities in _probabilities(fitted, best.name, venn_abers=venn_abers):
                metrics = evaluate_probabilities(contract, truth, probabilities).metrics
                figures[family, name].append([*(metrics[figure] for figure in _FIGURES), metrics[contract.metric]])
                if name == "auto":
                    own = fit_sets(fitted.held.truth, best.probabilities, contract.sets.level)
                    sets[family, "as served"].append(_coverage(contract, parts, own.members(probabilities), probabilities))
                    plain = _plain_sets(fitted.held.truth, best.probabilities, own.level)
                    sets[family, "thresholds alone"].append(_coverage(contract, parts, probabilities >= plain.thresholds, probabilities))

    console = make_console()
    title = f"{file.name if file else 'Generated rows'}: {len(parts.X_train):,} train rows, {len(truth):,} test rows, splits {seeds}"
    table = make_table(title, "family", "calibration", "calibration error", "log loss", contract.metric)
    for (family, name), found in figures.items():
        said = f"auto: {', '.join(chosen[family])}" if name == "auto" else name
        table.add_row(family, said, *(f"{mean:.4f}" for mean in np.mean(found, axis=0)))
    console.print(table)
    columns = next(iter(sets.values()))[0]
    table = make_table(f"Sets of level {contract.sets.level:g}: share that holds the true class", "family", "sets", *columns)
    for (family, name), shares in sets.items():
        table.add_row(family, name, *(f"{np.mean([each[column] for each in shares]):.3f}" for column in columns))
    console.print(table)
    table = make_table("Seconds of a training, after the search", "family", "five folds", "all rows")
    for family, both in seconds.items():
        table.add_row(family, *(f"{mean:.1f}" for mean in np.mean(both, axis=0)))
    console.print(table)


def _fitted(contract: Contract, family: str, parts: Split, seed: int) -> Fitted:
    entry = FAMILIES[family]
    started = time.perf_counter()
    held = hold_out(contract, parts.X_train, parts.y_train, entry, params=entry.defaults, seed=seed)
    folds = time.perf_counter() - started
    pipeline = fit(contract, parts.X_train, parts.y_train, entry, params=entry.defaults, seed=seed, uncalibrated=True)
    whole = time.perf_counter() - started - folds
    own = _own(pipeline, parts)
    return Fitted(held, methods.values_of(pipeline["model"], pipeline["features"].transform(parts.X_test)), own, (folds, whole))


def _own(pipeline: Pipeline, parts: Split) -> np.ndarray | None:
    return np.asarray(pipeline.predict_proba(parts.X_test)) if hasattr(pipeline["model"], "predict_proba") else None


def _probabilities(fitted: Fitted, best: str, *, venn_abers: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Give the test rows the probabilities of each calibration, and those of the best again."""
    held, are_probabilities = fitted.held, fitted.held.are_probabilities
    by_name = {} if fitted.own is None else {"none": fitted.own}
    for method in METHODS:
        calibrators = methods.fit_calibrators(method, held.outputs, held.truth, are_probabilities=are_probabilities)
        by_name[method] = methods.calibrate(method, calibrators, fitted.outputs, are_probabilities=are_probabilities)
    yield from by_name.items()
    if venn_abers:
        yield "venn-abers", _venn_abers(held.outputs, held.truth, fitted.outputs)
    yield "auto", by_name[best]


def _plain_sets(truth: np.ndarray, probabilities: np.ndarray, level: float) -> PredictionSets:
    """Compute thresholds on the probabilities alone: a set may then lack the most probable class, or be empty."""
    quantiles = []
    for code in range(probabilities.shape[1]):
        own = np.sort(probabilities[truth == code, code])
        quantiles.append(float(own[max(0, int(np.floor((len(own) + 1) * (1 - level) + 1e-9)) - 1)]))
    return PredictionSets(level, tuple(quantiles))


def _coverage(contract: Contract, parts: Split, members: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    truth = parts.y_test.to_numpy()
    covered = members[np.arange(len(truth)), truth]
    shares = {"all": float(covered.mean())}
    shares |= {label: float(covered[truth == code].mean()) for code, label in enumerate(contract.target.classes)}
    groups = group_masks(contract, parts.X_test) if contract.sensitive else {}
    shares |= {f"{column}: {name}": float(covered[mask].mean()) for column, masks in groups.items() for name, mask in masks.items()}
    size, answered = members.sum(axis=1), members[np.arange(len(truth)), probabilities.argmax(axis=1)]
    return {
        **shares,
        "mean size": float(size.mean()),
        "one class": float((size == 1).mean()),
        "without the answer": float(1 - answered.mean()),
    }


def _venn_abers(values_: np.ndarray, truth: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Inductive Venn-Abers predictors, one class against the rest, p = p1 / (1 - p0 + p1), normalised over the classes.

    V. Vovk, I. Petej, "Venn-Abers predictors", UAI 2014, and V. Vovk, I. Petej, V. Fedorova, NIPS 2015, for the one probability.
    """
    columns = []
    for place in range(values_.shape[1]):
        own, hit, at = values_[:, place], truth == (place if values_.shape[1] > 1 else 1), given[:, place]
        grid = np.unique(np.quantile(at, np.linspace(0, 1, _GRID)))
        ends = [[_with_one_more(own, hit, score, label) for score in grid] for label in (0.0, 1.0)]
        low, high = np.array(ends[0]), np.array(ends[1])
        columns.append(np.interp(at, grid, high / (1 - low + high)))
    if len(columns) == 1:
        return np.stack([1 - columns[0], columns[0]], axis=1)
    stacked = np.stack(columns, axis=1)
    return np.asarray(stacked / stacked.sum(axis=1, keepdims=True))


def _with_one_more(own: np.ndarray, hit: np.ndarray, score: float, label: float) -> float:
    return float(IsotonicRegression().fit(np.append(own, score), np.append(hit, label)).predict([score])[0])


if __name__ == "__main__":
    run_program(main)
