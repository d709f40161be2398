"""Background records of explanations: the values of a column whose own value is taken as unknown.

Services do not have the train data of a model. So the background is fake records, drawn from the data set's measured statistics, with the
values and correlations of the real file. For a data set without statistics, records are drawn evenly over the contract's ranges, and the
answer says so.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hearth.contracts import Contract
from hearth.contracts.examples import random_columns
from hearth.contracts.record_parser import Columns, RecordParser
from hearth.fakes import FakeRecords
from hearth.fakes.statistics import FILE_NAME

_SEED = 20_261_121
_OUTPUT_WEIGHT = 2.0  # of a class's probability beside one column, both by their standard deviations; docs/explain.md has what it is worth


@dataclass(frozen=True)
class Background:
    """Background records; `origin` describes their source."""

    columns: Columns
    origin: str


def draw_background(contract: Contract, data_dir: Path, rows: int) -> Background:
    """Draw the background of a data set; the same in every call.

    Raises:
        InvalidStatistics: the statistics have a mistake.
    """
    if (data_dir / contract.name / FILE_NAME).is_file():
        records = FakeRecords.load(contract, data_dir).records(rows, _SEED)
        return Background(RecordParser(contract).from_checked(records), f"{rows} fake records with the statistics of the real data")
    return Background(random_columns(contract, rows, seed=_SEED), f"{rows} records drawn evenly over what the contract allows")


def representatives(columns: Columns, outputs: np.ndarray, count: int) -> np.ndarray:
    """Return the positions of `count` records (a power of two) that stand for all of them with equal weights.

    All records are halved along the direction in which they differ most, and so are the halves, until there are `count` cells; of each
    the record nearest to its mean is taken. What counts are the columns and the model's `outputs` (n, classes). `count` records chosen
    so leave about the error of twice as many random ones.
    """
    if len(columns) <= count:
        return np.arange(len(columns))
    points = np.concatenate([_standardised(columns.numbers), _standardised(columns.codes), _OUTPUT_WEIGHT * _standardised(outputs)], axis=1)
    cells = [np.arange(len(points))]
    while len(cells) < count:
        cells = [half for cell in cells for half in _halves(points, cell)]
    return np.array([cell[np.argmin(np.square(points[cell] - points[cell].mean(axis=0)).sum(axis=1))] for cell in cells])


def _halves(points: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    centred = points[cell] - points[cell].mean(axis=0)
    main = np.linalg.svd(centred, full_matrices=False)[2][0]
    # the sign of a direction is arbitrary and differs between builds of LAPACK
    main = main * np.sign(main[np.argmax(np.abs(main))])
    order = cell[np.argsort(centred @ main, kind="stable")]
    return order[: len(order) // 2], order[len(order) // 2 :]


def _standardised(values: np.ndarray) -> np.ndarray:
    """Return columns with mean 0 and deviation 1; a missing value becomes the mean, a column that does not vary stays 0."""
    known = np.isfinite(values)
    counts = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / counts
    centred = np.where(known, values - mean, 0.0)
    deviation = np.sqrt(np.square(centred).sum(axis=0) / counts)
    return np.asarray(centred / np.where(deviation > 0, deviation, 1.0))
