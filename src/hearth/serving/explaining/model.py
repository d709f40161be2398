"""Explanations and their parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from hearth.contracts import Contract
from hearth.contracts.column_types import CategoryColumn, IntegerColumn
from hearth.contracts.record_parser import Columns

Value = float | int | str | None


class Unit(StrEnum):
    """The unit of contributions."""

    LOG_ODDS = "log-odds"
    PROBABILITY = "probability"


@dataclass(frozen=True)
class Attribution:
    """The result of a method for n records.

    Attributes:
        contributions: (n, features, classes) float64, features in contract order.
        base: (classes,) float64: the score without any column. With the contributions of a record to a class it adds up to the record's
            score of that class.
    """

    contributions: np.ndarray
    base: np.ndarray


@dataclass(frozen=True)
class Contribution:
    """What one column of a record adds to the score of the class; negative values lower it."""

    column: str
    value: Value
    contribution: float


@dataclass(frozen=True)
class Explanation:
    """The explanation of the score of one record for one class.

    `row` is the record's position, `code` and `label` are its predicted class. `base_value` and all contributions add up to `score`;
    `contributions` holds the largest, by size, and `rest` is the sum of the others.
    """

    row: int
    code: int
    label: str
    probabilities: Mapping[str, float]
    explained: str
    unit: Unit
    base_value: float
    score: float
    contributions: tuple[Contribution, ...]
    rest: float


def explained(attribution: Attribution, record: int, class_: int, values: Mapping[str, Value], top: int | None) -> tuple[Contribution, ...]:
    """Return the contributions of a record to a class, the largest first; equal ones in contract order."""
    amounts = attribution.contributions[record, :, class_]
    order = np.argsort(-np.abs(amounts), kind="stable")[:top]
    names = tuple(values)
    return tuple(Contribution(names[i], values[names[i]], float(amounts[i])) for i in order)


def raw_values(contract: Contract, columns: Columns, row: int) -> dict[str, Value]:
    """Return the raw features of a record, in contract order; None where a value is missing."""
    values: dict[str, Value] = {}
    numbers, codes = iter(columns.numbers[row].tolist()), iter(columns.codes[row].tolist())
    for name, column in contract.feature_columns.items():
        if isinstance(column, CategoryColumn):
            code = next(codes)
            values[name] = column.categories[code] if code < len(column.categories) else None
        else:
            number = next(numbers)
            missing = number != number  # noqa: PLR0124 - NaN differs from itself
            values[name] = None if missing else int(number) if isinstance(column, IntegerColumn) else number
    return values


def contract_order(contract: Contract) -> list[int]:
    """Return, for each feature in contract order, its position when the numbers come first and the categories after them."""
    position = {name: place for place, name in enumerate((*contract.numeric_features, *contract.categorical_features))}
    return [position[name] for name in contract.feature_names]
