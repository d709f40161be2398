"""What leaving a sensitive column out of the features costs, and what it does to the gaps between its groups.

`make bench-sensitive BENCH_FLAGS="--file data/employees/enriched_employee_dataset.csv"`: every family of the contract is fitted with its
defaults on the same rows, once with the column and once with `feature: false`, for several splits. Differences are of the same test rows.
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
from hearth.data.cleaning import Split, clean, split
from hearth.data.csv_validation import read_raw, validate
from hearth.fakes import DEMO_ROWS, DEMO_SEED, FakeRecords
from hearth.modelling.comparison import Comparison, compare
from hearth.modelling.families import FAMILIES
from hearth.modelling.features import build_features
from hearth.modelling.groups import group_masks


def main(  # noqa: PLR0913, PLR0917 - options
    dataset: Annotated[str, values.dataset()] = "employees",
    column: Annotated[str, typer.Option(help="The sensitive column.")] = "Gender",
    label: Annotated[str, typer.Option(help="The class whose gaps are measured.")] = "High",
    file: Annotated[Path | None, typer.Option(help="The raw file (default: generated rows).", show_default=False)] = None,
    seeds: Annotated[int, values.whole("Splits.")] = 5,
    families: Annotated[str, typer.Option(help="Families, separated by commas (default: all).", show_default=False)] = "",
) -> None:
    """Print what a model loses without a sensitive column, and the gaps between groups with and without it."""
    contract = load_contract(dataset, DATA)
    content = file.read_bytes() if file else FakeRecords.load(contract, DATA).frame(DEMO_ROWS, DEMO_SEED).to_csv(index=False).encode()
    frame = clean(contract, validate(contract, read_raw(contract, content, str(file or "generated rows"))).accepted).frame
    without, console = without_feature(contract, column), make_console()
    table = make_table(
        f"{column} as a feature, and without it: {len(frame):,} rows, {seeds} splits",
        *("family", f"{contract.metric}: without minus with", "splits with a difference", "log loss: without minus with"),
        *("recall gap with", "without", "selection gap with", "without"),
    )
    for family in families.split(",") if families else contract.families:
        pairs: list[Comparison] = []
        gaps: list[tuple[float, ...]] = []
        for seed in range(seeds):
            drawn = contract.model_copy(update={"split": contract.split.model_copy(update={"seed": seed})})
            parts = split(drawn, frame)
            with_it, without_it = (_fitted(own, family, parts, seed) for own in (contract, without))
            truth = parts.y_test.to_numpy()
            pairs.append(compare(contract.metric, truth, without_it, with_it, level=contract.gate.level))
            code = contract.target.classes.index(label)
            gaps.append(tuple(gap for own in (with_it, without_it) for gap in _gaps(contract, parts, own, column, code)))
        recall_with, rate_with, recall_without, rate_without = np.mean(gaps, axis=0)
        changed = sum(pair.is_better or pair.is_worse for pair in pairs)
        shown = [_mean([pair.metric.figure for pair in pairs]), f"{changed} of {seeds}", _mean([pair.log_loss.figure for pair in pairs])]
        table.add_row(family, *shown, *(f"{value:.3f}" for value in (recall_with, recall_without, rate_with, rate_without)))
        console.print(
            f"{family}, split 0: {contract.metric} {pairs[0].metric}, log loss {pairs[0].log_loss}, other class {pairs[0].changed}"
        )
    console.print(table)


def without_feature(contract: Contract, column: str) -> Contract:
    """Return the contract with `feature: false` on a column."""
    columns = {**contract.columns, column: contract.columns[column].model_copy(update={"feature": False})}
    return contract.model_copy(update={"columns": columns})


def _mean(figures: list[float]) -> str:
    """Return the mean over the splits, and its standard error."""
    error = np.std(figures, ddof=1) / len(figures) ** 0.5 if len(figures) > 1 else np.nan
    return f"{np.mean(figures):+.4f} ± {error:.4f}"


def _fitted(contract: Contract, family: str, parts: Split, seed: int) -> np.ndarray:
    model = FAMILIES[family].final(FAMILIES[family].defaults, seed, len(parts.X_train))
    pipeline = Pipeline([("features", build_features(contract)), ("model", model)])
    names = list(contract.feature_names)
    with threadpool_limits(limits=1):
        fitted = pipeline.fit(parts.X_train[names], parts.y_train.to_numpy())
        return np.asarray(fitted.predict_proba(parts.X_test[names]))


def _gaps(contract: Contract, parts: Split, probabilities: np.ndarray, column: str, code: int) -> tuple[float, float]:
    """Return the largest difference of recall, and of the selection rate, between two groups."""
    hit, truth = probabilities.argmax(axis=1) == code, parts.y_test.to_numpy() == code
    masks = group_masks(contract, parts.X_test)[column].values()
    recalls, rates = ([float(hit[mask & among].mean()) for mask in masks] for among in (truth, np.ones(len(truth), dtype=bool)))
    return tuple(max(abs(one - other) for one, other in combinations(figures, 2)) for figures in (recalls, rates))  # type: ignore[return-value]


if __name__ == "__main__":
    run_program(main)
