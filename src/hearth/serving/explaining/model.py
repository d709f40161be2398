"""Explanations and their parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from hearth.contracts import Contract

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


def contract_order(contract: Contract) -> list[int]:
    """Return, for each feature in contract order, its position when the numbers come first and the categories after them."""
    position = {name: place for place, name in enumerate((*contract.numeric_features, *contract.categorical_features))}
    return [position[name] for name in contract.feature_names]
