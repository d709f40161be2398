"""Compare the scorers of services with the scikit-learn pipelines that they were made of, in process, on one thread: `make bench-scorers`.

A scorer checks raw records and scores them; the pipeline gets a frame that is there already. Both take turns on the same fake employees,
a different request each time; the median of the rounds counts. What LightGBM's parts take stands below.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from benchmarks.harness.model import DATA, ROWS, TREES, fitted, rows
from benchmarks.harness.requests import fake_requests
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.contracts import Contract, load_contract
from hearth.modelling.calibration import METHODS, Method, calibrated, fit_calibrators, gives_probabilities, values_of
from hearth.modelling.families import FAMILIES
from hearth.serving.compiled.preprocessing import CompiledFeatures
from hearth.serving.compiled.scorer import CompiledScorer
from hearth.training.fitting import fit

SIZES = (1, 100, 1_000)
_WITH_PARTS = "lightgbm"
_SCORER, _PIPELINE = "scorer, check included", "scikit-learn's pipeline"
Work = Mapping[str, tuple[Callable[[object], object], Sequence[object]]]
"""Functions by name, each with the requests that it is called with."""


def main(
    seconds: Annotated[float, values.duration("Of each kind of work in each round.")] = 0.3,
    rounds: Annotated[int, values.whole("The median round counts.")] = 5,
    only: Annotated[list[str] | None, typer.Option(help="Families; may be repeated (default: all).", show_default=False)] = None,
) -> None:
    """Compare the compiled scorers with scikit-learn's pipelines, in process, on one thread."""
    contract = load_contract("employees", DATA)
    X, y = rows(contract, ROWS)
    table = make_table("Milliseconds a request, one thread", "family", "what", *(f"{size} records" for size in SIZES))
    with threadpool_limits(limits=1):
        for family in only or contract.families:
            scorer = CompiledScorer(fitted(contract, family, X, y), contract)
            bent = {method: CompiledScorer(_calibrated(contract, family, X, y, method), contract) for method in METHODS}
            sizes = [_measure(_work(scorer, bent, size, parts=family == _WITH_PARTS), rounds, seconds) for size in SIZES]
            for what in sizes[0]:
                table.add_row(family, what, *(f"{milliseconds[what]:.3f}" for milliseconds in sizes))
            table.add_row(family, "times as fast as scikit-learn", *(f"{size[_PIPELINE] / size[_SCORER]:.1f}" for size in sizes))
    make_console().print(table)


def _calibrated(contract: Contract, family: str, X: pd.DataFrame, y: np.ndarray, method: Method) -> Pipeline:
    """Fit a family and its calibration on the same rows: what matters here is the time."""
    entry = FAMILIES[family]
    pipeline = fit(
        contract, X, pd.Series(y), entry, params={**entry.defaults, **(TREES if family == _WITH_PARTS else {})}, seed=1, uncalibrated=True
    )
    outputs = values_of(pipeline["model"], pipeline["features"].transform(X))
    calibrators = fit_calibrators(method, outputs, y, are_probabilities=gives_probabilities(pipeline["model"]))
    return Pipeline([("features", pipeline["features"]), ("model", calibrated(pipeline["model"], method, calibrators))])


def _work(scorer: CompiledScorer, bent: Mapping[Method, CompiledScorer], size: int, *, parts: bool) -> Work:
    requests = fake_requests(size)
    frames = [pd.DataFrame(list(records)) for records in requests]
    work: dict[str, tuple[Callable[..., object], Sequence[object]]] = {
        _SCORER: (partial(_check_and_score, scorer), requests),
        _PIPELINE: (scorer.pipeline.predict_proba, frames),
    }
    for method, each in bent.items():
        work[f"scorer, {method}"] = partial(_check_and_score, each), requests
    work["scikit-learn's pipeline, isotonic"] = bent["isotonic"].pipeline.predict_proba, frames
    if parts:
        features, booster = CompiledFeatures(scorer.pipeline["features"]), scorer.pipeline["model"].booster_
        columns = [scorer.parser.parse(records) for records in requests]
        numbers = [features(each) for each in columns]
        work["of it: the check"] = (scorer.parser.parse, requests)
        work["of it: features, trees, probabilities"] = (scorer.score_columns, columns)
        work["features, as other families get them"] = (features, columns)
        work["trees by LightGBM"] = (lambda X: booster.predict(X, num_threads=1), numbers)
    return work


def _check_and_score(scorer: CompiledScorer, records: Sequence[object]) -> object:
    return scorer.score_columns(scorer.parser.parse(records))


def _measure(work: Work, rounds: int, seconds: float) -> dict[str, float]:
    """Return the median milliseconds a request, by function."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, (function, requests) in work.items():
            times[name].append(_milliseconds(function, requests, seconds))
    return {name: statistics.median(rounds_) for name, rounds_ in times.items()}


def _milliseconds(function: Callable[[object], object], requests: Sequence[object], seconds: float) -> float:
    function(requests[0])
    count, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        function(requests[count % len(requests)])
        count += 1
    return passed / count * 1e3


if __name__ == "__main__":
    run_program(main)
