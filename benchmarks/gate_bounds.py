"""What the gate measures on a data set: `make bench-bounds BENCH_FLAGS="--file data/employees/enriched_employee_dataset.csv"`.

Cleans and splits a raw file as the ETL does, fits every family with its defaults, and prints for each what its bounds say on the test set
and how the families compare. Without a file it takes generated rows.
"""

from itertools import combinations
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from benchmarks.harness.model import DATA
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.contracts import Contract, load_contract
from hearth.contracts.gate_words import Bounds, Gate
from hearth.data.cleaning import Split, clean, split
from hearth.data.csv_validation import read_raw, validate
from hearth.fakes import DEMO_ROWS, DEMO_SEED, FakeRecords
from hearth.modelling.bounds import calibration_interval, judge_bounds
from hearth.modelling.comparison import compare, log_loss_interval, metric_interval
from hearth.modelling.evaluation import evaluate_probabilities
from hearth.modelling.families import FAMILIES
from hearth.modelling.features import build_features
from hearth.modelling.gate import ComparedRows, Entrant, choose_champion


def main(
    dataset: Annotated[str, values.dataset()] = "employees",
    file: Annotated[Path | None, typer.Option(help="The raw file (default: generated rows).", show_default=False)] = None,
    seed: Annotated[int, values.seed()] = 42,
) -> None:
    """Print what the bounds of a contract's gate say about its families, and how these compare."""
    contract = load_contract(dataset, DATA)
    parts = load_split(contract, file)
    truth = parts.y_test.to_numpy()
    level, console = contract.gate.level, make_console()
    probabilities = {family: fitted(contract, family, parts, seed) for family in contract.families}

    title = f"{file.name if file else 'Generated rows'}: {len(parts.X_train):,} train rows, {len(truth):,} test rows"
    table = make_table(title, "family", contract.metric, "log loss", "calibration error")
    for family, own in probabilities.items():
        confusion = evaluate_probabilities(contract, truth, own).confusion
        intervals = (
            metric_interval(contract.metric, confusion, level=level),
            log_loss_interval(truth, own, level=level),
            calibration_interval(truth, own, level),
        )
        table.add_row(family, *map(str, intervals))
    console.print(table)

    table = make_table("Bounds", "family", "bound", "limit", "figure and interval", "answer", "about")
    for family, own in probabilities.items():
        for result in judge_bounds(_with_all_gaps(contract), parts.X_test, truth, own, None):
            table.add_row(family, result.bound, f"{result.limit:g}", str(result.interval or "-"), result.answer, result.about)
    console.print(table)

    table = make_table("Pairs, first minus second", "first", "second", contract.metric, "log loss", "other class")
    for (one, first), (other, second) in combinations(probabilities.items(), 2):
        pair = compare(contract.metric, truth, first, second, level=level)
        table.add_row(one, other, str(pair.metric), str(pair.log_loss), str(pair.changed))
    console.print(table)
    entrants = {family: Entrant(family, own) for family, own in probabilities.items()}
    console.print(f"Champion: {choose_champion(contract, ComparedRows(parts.X_test, truth), entrants, None)[1]}")


def load_split(contract: Contract, file: Path | None) -> Split:
    """Clean and split a raw file, or generated rows, as the ETL does."""
    content = file.read_bytes() if file else FakeRecords.load(contract, DATA).frame(DEMO_ROWS, DEMO_SEED).to_csv(index=False).encode()
    return split(contract, clean(contract, validate(contract, read_raw(contract, content, str(file or "generated rows"))).accepted).frame)


def fitted(contract: Contract, family: str, parts: Split, seed: int) -> np.ndarray:
    """Return the probabilities of the test set of a family that was fitted with its defaults."""
    model = FAMILIES[family].final(FAMILIES[family].defaults, seed, len(parts.X_train))
    pipeline = Pipeline([("features", build_features(contract)), ("model", model)])
    with threadpool_limits(limits=1):
        return np.asarray(pipeline.fit(parts.X_train, parts.y_train.to_numpy()).predict_proba(parts.X_test))


def _with_all_gaps(contract: Contract) -> Contract:
    """Return the contract with a bound for every class that has none, so that its gap is shown; 1 is never broken."""
    if not contract.sensitive:
        return contract
    bounds, every = contract.gate.bounds, dict.fromkeys(contract.target.classes, 1.0)
    shown = {
        **bounds.model_dump(),
        "calibration_error": bounds.calibration_error or 1.0,
        "group_metric": bounds.group_metric or 0.0,
        "recall_gap": every | bounds.recall_gap,
        "selection_rate_gap": every | bounds.selection_rate_gap,
    }
    gate = Gate.model_validate({**contract.gate.model_dump(), "bounds": Bounds.model_validate(shown).model_dump()})
    return contract.model_copy(update={"gate": gate})


if __name__ == "__main__":
    run_program(main)
