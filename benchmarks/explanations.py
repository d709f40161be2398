"""Time and error of explanations by sampled Shapley values: `make bench-explain`.

Times are those of one record in process, on one thread, by models fitted on `--rows` fake employees. Errors are those of the contributions
of `--records` records to every class, by smaller models: against all coalitions of the columns for the same background rows (the
error of sampling), and for fewer records against all coalitions for all rows that the background was chosen from (the whole error). The
spread is the standard deviation of a class's probability over the drawn rows, the mean of the classes.
"""

import time
from typing import Annotated

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.harness.exact_shap import exact_contributions
from benchmarks.harness.model import DATA, ROWS, fitted, rows
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.contracts import Contract, load_contract
from hearth.contracts.record_parser import Columns, RecordParser
from hearth.fakes import FakeRecords
from hearth.serving.compiled.scorer import CompiledScorer
from hearth.serving.explaining.background import draw_background
from hearth.serving.explaining.model import contract_order
from hearth.serving.explaining.sampled_shap import DRAWN_ROWS, SampledContributions

FAMILIES = ("svm", "knn", "random_forest", "logistic_regression")
_SEED = 7


def main(
    train_rows: Annotated[int, values.whole("Rows that the models whose time is taken are fitted on.")] = ROWS,
    error_rows: Annotated[int, values.whole("Rows that the models whose error is taken are fitted on.")] = 3_000,
    records: Annotated[int, values.whole("Records that are explained.")] = 100,
    whole_records: Annotated[int, values.whole("Records whose whole error is taken.")] = 5,
) -> None:
    """Explain records by every family that is sampled, and compare with exact values."""
    contract = load_contract("employees", DATA)
    fakes = FakeRecords.load(contract, DATA).records(records, seed=_SEED)
    columns = RecordParser(contract).from_checked(fakes)
    print("| family | p50 ms | p95 ms | error of sampling: mean, largest | of spread | whole error: mean, largest | of spread |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    with threadpool_limits(limits=1):
        for family in FAMILIES:
            usual, worst = np.percentile(_times(contract, family, train_rows, columns), [50, 95])
            spread, sampling, whole = _errors(contract, family, error_rows, columns, whole_records)
            cells = [
                f"{each.mean():.4f}, {each.max():.3f} | {each.mean() / spread:.1%}, {each.max() / spread:.0%}" for each in (sampling, whole)
            ]
            print(f"| {family} | {usual * 1000:.0f} | {worst * 1000:.0f} | {' | '.join(cells)} |", flush=True)


def _model(contract: Contract, family: str, train_rows: int) -> CompiledScorer:
    return CompiledScorer(fitted(contract, family, *rows(contract, train_rows)), contract)


def _times(contract: Contract, family: str, train_rows: int, columns: Columns) -> list[float]:
    scorer = _model(contract, family, train_rows)
    method = SampledContributions(contract, scorer, draw_background(contract, DATA, DRAWN_ROWS))
    times = []
    for row in range(len(columns)):
        start = time.perf_counter()
        method.attribute(scorer, columns.rows(slice(row, row + 1)))
        times.append(time.perf_counter() - start)
    return times


def _errors(contract: Contract, family: str, train_rows: int, columns: Columns, whole_records: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the spread of the probabilities, and the absolute errors of sampling and of everything (records, columns, classes)."""
    scorer = _model(contract, family, train_rows)
    drawn = draw_background(contract, DATA, DRAWN_ROWS)
    method = SampledContributions(contract, scorer, drawn)
    spread = float(scorer.score_columns(drawn.columns).probabilities.std(axis=0).mean())
    found = method.attribute(scorer, columns).contributions
    exact = _exact(contract, scorer, columns, method.background)
    everything = np.concatenate([drawn.columns.numbers, drawn.columns.codes], axis=1)
    whole = _exact(contract, scorer, columns.rows(slice(whole_records)), everything)
    return spread, np.abs(found - exact), np.abs(found[:whole_records] - whole)


def _exact(contract: Contract, scorer: CompiledScorer, columns: Columns, background: np.ndarray) -> np.ndarray:
    table = np.concatenate([columns.numbers, columns.codes], axis=1)
    numbers = columns.numbers.shape[1]
    return np.stack([exact_contributions(scorer, record, background, numbers) for record in table])[:, contract_order(contract)]


if __name__ == "__main__":
    run_program(main)
