"""How often the search for bad slices finds what was planted, and what is not there: `make bench-slices`.

Rows are generated ones of a data set. Errors are drawn: with one rate everywhere (then every find is false), or with a higher one in a
slice of two columns, which is found if the worst slice that is reported shares at least half of its rows with it.
"""

from time import process_time
from typing import Annotated

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks.harness.model import DATA
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.contracts import CategoryColumn, Contract, load_contract
from hearth.fakes import FakeRecords
from hearth.modelling.slices import find_slices

_RATE = 0.12
_EXCESSES = (0.0, 0.1, 0.2, 0.4)


def main(
    dataset: Annotated[str, values.dataset()] = "employees",
    draws: Annotated[int, values.whole("Draws of each case.")] = 500,
    seed: Annotated[int, values.seed()] = 42,
) -> None:
    """Print how often slices are reported, by the number of rows and by how much worse the planted slice is."""
    contract, console = load_contract(dataset, DATA), make_console()
    for rows in (300, 1_000, 3_400):
        title = f"{dataset}, {rows:,} test rows: {_RATE:.0%} errors, {draws:,} draws a case"
        table = make_table(title, "planted rows", "errors there", "reports a slice", "the worst is it", "slices tested", "ms")
        X = FakeRecords.load(contract, DATA).frame(rows, seed)[list(contract.feature_names)]
        X = X.astype(dict.fromkeys(contract.numeric_features, np.float64) | dict.fromkeys(contract.categorical_features, "str"))
        planted = _plant(contract, X)
        with threadpool_limits(limits=1):
            for excess in _EXCESSES:
                table.add_row(f"{int(planted.sum()):,}", f"{_RATE + excess:.0%}", *_case(contract, X, planted, excess, draws, seed))
        console.print(table)


def _case(contract: Contract, X: pd.DataFrame, planted: np.ndarray, excess: float, draws: int, seed: int) -> tuple[str, ...]:  # noqa: PLR0913, PLR0917
    random = np.random.default_rng([seed, 1])  # not the stream that the rows come from
    reported = found = tested = 0
    started = process_time()
    for _ in range(draws):
        wrong = random.random(len(X)) < np.where(planted, _RATE + excess, _RATE)
        masks: list[np.ndarray] = []
        report = find_slices(contract, X, wrong, describe=lambda rows, masks=masks: masks.append(rows) or "")  # type: ignore[misc]
        tested = report.tested
        reported += bool(masks)
        found += bool(masks) and (masks[0] & planted).sum() / (masks[0] | planted).sum() >= 0.5  # noqa: PLR2004 - half
    milliseconds = (process_time() - started) / draws * 1_000
    return f"{reported / draws:.1%}", f"{found / draws:.1%}" if excess else "", f"{tested:,}", f"{milliseconds:.0f}"


def _plant(contract: Contract, X: pd.DataFrame) -> np.ndarray:
    """Return the rows of the first category of the first such column that are in the highest quarter of the last number."""
    category = next(name for name, column in contract.feature_columns.items() if isinstance(column, CategoryColumn))
    number = X[contract.numeric_features[-2]]
    return ((X[category] == contract.categorical_features[category][0]) & (number >= number.quantile(0.75))).to_numpy()


if __name__ == "__main__":
    run_program(main)
