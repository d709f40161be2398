"""Records to begin with: a typical one, and some that could have been drawn from the real file."""

import logging
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn
from hearth.contracts.examples import example_record
from hearth.contracts.record_parser import RecordParser
from hearth.errors import InvalidRecords, InvalidStatistics
from hearth.fakes.generator import FakeRecords
from hearth.fakes.raw import has_statistics
from hearth.logs import about
from hearth.settings import get_settings

_LOGGER = logging.getLogger(__name__)
_ROWS, _SEED = 2_000, 0


def fake_records(contract: Contract, data_dir: Path | None = None) -> FakeRecords | None:
    """Return what draws records of a data set; None if it has no statistics, or such as do not fit its contract. Read once."""
    return _fakes_of(_key(contract, data_dir))


def typical_record(contract: Contract, data_dir: Path | None = None) -> dict[str, object]:
    """Return a record with the median of each number and the most frequent category, of rows that the statistics give.

    Without statistics, and for personal columns, values are those of `example_record`.
    """
    return dict(_typical_of(_key(contract, data_dir)))


@dataclass(frozen=True)
class _Key:
    """A contract has no hash; its text has."""

    text: str
    data_dir: Path
    contract: Contract = field(compare=False)


def _key(contract: Contract, data_dir: Path | None) -> _Key:
    return _Key(contract.model_dump_json(), data_dir or get_settings().data_dir, contract)


@lru_cache(maxsize=64)
def _fakes_of(key: _Key) -> FakeRecords | None:
    if not has_statistics(key.contract, key.data_dir):
        return None
    try:
        return FakeRecords.load(key.contract, key.data_dir)
    except InvalidStatistics as error:
        _LOGGER.warning("%s: examples are made without statistics.json: %s", key.contract.name, error, extra=about(key.contract.name))
        return None


@lru_cache(maxsize=64)
def _typical_of(key: _Key) -> dict[str, object]:
    contract = key.contract
    middle, fakes = example_record(contract), _fakes_of(key)
    if fakes is None:
        return middle
    frame = pd.DataFrame(fakes.records(_ROWS, _SEED))
    typical = {name: middle[name] if name in contract.personal_columns else _typical(contract, name, frame[name]) for name in middle}
    record = {name: middle[name] if value is None else value for name, value in typical.items()}
    try:
        RecordParser(contract).parse([record])
    except InvalidRecords as error:
        _LOGGER.warning("%s: the statistics give no record of the contract: %s", contract.name, error, extra=about(contract.name))
        return middle
    return record


def _typical(contract: Contract, name: str, values: pd.Series) -> object:
    column, present = contract.feature_columns[name], values.dropna()
    if present.empty:
        return None
    if isinstance(column, CategoryColumn):
        frequent = present.mode().iloc[0]
        return int(frequent) if column.holds_numbers else str(frequent)
    if not isinstance(column, IntegerColumn | NumberColumn):
        return None
    median = float(np.quantile(present.to_numpy(dtype=np.float64), 0.5, method="inverted_cdf"))
    return round(median) if isinstance(column, IntegerColumn) else median
