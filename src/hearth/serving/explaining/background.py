"""Background records of explanations: the values of a column whose own value is taken as unknown.

Services do not have the train data of a model. So the background is fake records, drawn from the data set's measured statistics, with the
values and correlations of the real file. For a data set without statistics, records are drawn evenly over the contract's ranges, and the
answer says so.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn
from hearth.contracts.record_parser import Columns, RecordParser
from hearth.fakes import FakeRecords
from hearth.fakes.statistics import FILE_NAME

_SEED = 20_261_121


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
    return Background(_even(contract, rows), f"{rows} records drawn evenly over what the contract allows")


def _even(contract: Contract, rows: int) -> Columns:
    random = np.random.default_rng(_SEED)
    numbers, codes = np.empty((rows, len(contract.numeric_features))), np.empty((rows, len(contract.categorical_features)), np.intp)
    number, code = 0, 0
    for column in contract.feature_columns.values():
        if isinstance(column, CategoryColumn):
            codes[:, code] = random.integers(len(column.categories), size=rows)
            code += 1
        elif isinstance(column, IntegerColumn):
            numbers[:, number] = random.integers(int(column.minimum), int(column.maximum), size=rows, endpoint=True)
            number += 1
        elif isinstance(column, NumberColumn):
            numbers[:, number] = random.uniform(column.minimum, column.maximum, rows)
            number += 1
    return Columns(numbers, codes)
