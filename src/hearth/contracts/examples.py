"""Made-up records that a contract allows: for documentation, and for models that are tried before they serve."""

import numpy as np

from hearth.contracts.column_types import CategoryColumn, IntegerColumn, NumberColumn
from hearth.contracts.model import Contract
from hearth.contracts.record_parser import Columns


def example_record(contract: Contract) -> dict[str, object]:
    """Return a record with the middle of each range and the first of the categories."""
    record: dict[str, object] = {}
    for name, column in contract.feature_columns.items():
        if isinstance(column, CategoryColumn):
            record[name] = column.categories[0]
        elif isinstance(column, IntegerColumn | NumberColumn):
            middle = column.minimum + (column.maximum - column.minimum) / 2
            record[name] = round(middle) if isinstance(column, IntegerColumn) else middle
    return record


def extreme_records(contract: Contract) -> list[dict[str, object]]:
    """Return records that hold, between them, every category, both ends of every range, and a missing value wherever one may be."""
    values: dict[str, list[object]] = {}
    for name, column in contract.feature_columns.items():
        if isinstance(column, CategoryColumn):
            values[name] = list(column.categories)
        elif isinstance(column, IntegerColumn | NumberColumn):
            values[name] = [column.minimum, column.maximum]
        if column.nullable:
            values[name].append(None)
    rows = max(len(options) for options in values.values())
    return [{name: options[row % len(options)] for name, options in values.items()} for row in range(rows)]


def random_columns(contract: Contract, rows: int, *, seed: int = 0, missing_share: float = 0) -> Columns:
    """Draw records evenly over what the contract allows; of the values that may be missing, this share is. Same seed, same records."""
    random = np.random.default_rng(seed)
    numbers, codes = np.empty((rows, len(contract.numeric_features))), np.empty((rows, len(contract.categorical_features)), np.intp)
    number, code = iter(numbers.T), iter(codes.T)
    for column in contract.feature_columns.values():
        missing = random.random(rows) < missing_share if missing_share and column.nullable else np.zeros(rows, bool)
        if isinstance(column, CategoryColumn):
            next(code)[:] = np.where(missing, len(column.categories), random.integers(len(column.categories), size=rows))
        elif isinstance(column, IntegerColumn):
            whole = random.integers(int(column.minimum), int(column.maximum), size=rows, endpoint=True)
            next(number)[:] = np.where(missing, np.nan, whole)
        elif isinstance(column, NumberColumn):
            next(number)[:] = np.where(missing, np.nan, random.uniform(column.minimum, column.maximum, rows))
    return Columns(numbers, codes)


def random_records(contract: Contract, rows: int, *, seed: int) -> list[dict[str, object]]:
    """Draw the same as records, without missing values."""
    columns = random_columns(contract, rows, seed=seed)
    numbers, codes = iter(columns.numbers.T.tolist()), iter(columns.codes.T.tolist())
    values: list[list[object]] = []
    for column in contract.feature_columns.values():
        if isinstance(column, CategoryColumn):
            values.append([column.categories[code] for code in next(codes)])
        else:
            values.append([int(number) if isinstance(column, IntegerColumn) else number for number in next(numbers)])
    return [dict(zip(contract.feature_names, row, strict=True)) for row in zip(*values, strict=True)]
