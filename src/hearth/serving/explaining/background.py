"""Background records of explanations: the values of a column whose own value is taken as unknown.

Services do not have the train data of a model. So the background is fake records, drawn from the data set's measured statistics, with the
values and correlations of the real file. For a data set without statistics, records are drawn evenly over the contract's ranges, and the
answer says so.
"""

from dataclasses import dataclass
from pathlib import Path

from hearth.contracts import Contract
from hearth.contracts.examples import random_columns
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
    return Background(random_columns(contract, rows, seed=_SEED), f"{rows} records drawn evenly over what the contract allows")
