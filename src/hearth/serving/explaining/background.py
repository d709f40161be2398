"""The records that stand for "nothing is known of this column": what a column adds is told against them.

They have to be at hand where serving runs, which does not have the data that a model was trained on. So they are fake records, drawn from
the data set's measured statistics: each column has the values, and goes together with the others, as in the real file. A data set without
statistics gets records drawn evenly over what its contract allows, and the answer says so.
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
    """`origin` says where the records come from."""

    columns: Columns
    origin: str


def draw_background(contract: Contract, data_dir: Path, rows: int) -> Background:
    """Draw the background of a data set; the same each time.

    Raises:
        InvalidStatistics: there are statistics, and they have a mistake.
    """
    if (data_dir / contract.name / FILE_NAME).is_file():
        records = FakeRecords.load(contract, data_dir).records(rows, _SEED)
        return Background(RecordParser(contract).from_checked(records), f"{rows} fake records with the statistics of the real data")
    return Background(random_columns(contract, rows, seed=_SEED), f"{rows} records drawn evenly over what the contract allows")
