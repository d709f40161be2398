"""Fake records that change as time goes by, as people and sensors do: what a drift monitor is there to see."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import pstdev

from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn
from hearth.errors import InvalidDrift

Record = dict[str, object]

_SPREADS_A_MINUTE = 0.5
_SHARE_A_MINUTE = 0.1
_SAMPLE_ROWS = 1_000
_MOVE = re.compile(r"(?P<to>.*?)(?P<amount>[+-]?\d+(\.\d*)?|[+-]?\.\d+)(?P<unit>sd|%|)(?P<pace>/min|)")


@dataclass(frozen=True)
class Shift:
    """A number that moves by `amount` a minute, or `at_once`, within the range that the contract allows."""

    column: str
    amount: float
    lowest: float
    highest: float
    decimals: int | None
    """None: it stays as long as it comes out; 0: a whole number, rounded so that the mean moves evenly."""
    at_once: bool = False

    def of(self, value: object, minutes: float, random: Random) -> object:
        """Return what the value has become."""
        if not isinstance(value, int | float):
            return value  # a missing value stays missing
        moved = min(max(value + self.amount * (1 if self.at_once else minutes), self.lowest), self.highest)
        if self.decimals == 0:
            return min(math.floor(moved + random.random()), math.floor(self.highest))
        return moved if self.decimals is None else min(max(round(moved, self.decimals), self.lowest), self.highest)


@dataclass(frozen=True)
class Conversion:
    """A category that a share of the others turns into: one that grows by `share` a minute, or is there `at_once`."""

    column: str
    to: str | int
    share: float
    at_once: bool = False

    def of(self, value: object, minutes: float, random: Random) -> object:
        """Return what the value has become."""
        draw = random.random()
        return self.to if value is not None and draw < self.share * (1 if self.at_once else minutes) else value


@dataclass(frozen=True)
class Drift:
    """What changes in the records of one data set."""

    changes: tuple[Shift | Conversion, ...] = ()

    def applied(self, record: Mapping[str, object], minutes: float, random: Random) -> Record:
        """Return the record as it would be so many minutes after the start; the same `random` gives the same one."""
        changed = {change.column: change.of(record[change.column], minutes, random) for change in self.changes}
        return {**record, **changed}

    def __str__(self) -> str:
        return ", ".join(
            (f"{change.column} {change.amount:+.3g}" if isinstance(change, Shift) else f"{change.column} {change.to} {change.share:+.0%}")
            + ("" if change.at_once else "/min")
            for change in self.changes
        )


def parse_drift(texts: Iterable[str], contracts: Sequence[Contract], samples: Mapping[str, Sequence[Record]]) -> dict[str, Drift]:
    """Read what people write, such as `Sleep Hours=-0.5/min`, for each data set; an empty text asks for `default_drift`.

    Without `/min` a column changes at once, and then no more. A column that only some of the data sets have drifts in those. `samples` are
    records of each, by which spreads are known.

    Raises:
        InvalidDrift: none of the data sets has the column, or the text cannot be read.
    """
    changes: dict[str, dict[str, Shift | Conversion]] = {contract.name: {} for contract in contracts}
    for text in texts:
        matched = False
        for contract in contracts:
            sample = samples[contract.name][:_SAMPLE_ROWS]
            drift = _one(text, contract, sample) if text else default_drift(contract, sample)
            changes[contract.name].update({change.column: change for change in drift.changes})
            matched = matched or bool(drift.changes)
        if not matched:
            names = sorted({name for contract in contracts for name in contract.feature_names})
            raise InvalidDrift(text, f"there is no such feature; there are: {', '.join(names)}")
    return {name: Drift(tuple(by_column.values())) for name, by_column in changes.items()}


def default_drift(contract: Contract, sample: Sequence[Record]) -> Drift:
    """Return a drift that shows within minutes: the first half of the numbers rises, the first category gives way to its last."""
    numbers = contract.numeric_features[: math.ceil(len(contract.numeric_features) / 2)]
    changes: list[Shift | Conversion] = [_shift(contract, name, _SPREADS_A_MINUTE * _spread(name, sample), sample) for name in numbers]
    columns = [(name, column) for name, column in contract.feature_columns.items() if isinstance(column, CategoryColumn)]
    changes += [Conversion(name, column.categories[-1], _SHARE_A_MINUTE) for name, column in columns[:1]]
    return Drift(tuple(changes))


def _one(text: str, contract: Contract, sample: Sequence[Record]) -> Drift:
    name = next((name for name in contract.feature_names if re.match(rf"{re.escape(name)}\s*=", text)), None)
    if name is None:
        return Drift()
    column = contract.columns[name]
    read = _MOVE.fullmatch(text[len(name) :].lstrip(" =").strip())
    if read is None:
        raise InvalidDrift(text, "it cannot be read")
    to, amount, unit, at_once = read["to"].strip(), float(read["amount"]), read["unit"], not read["pace"]
    if isinstance(column, CategoryColumn):
        if to not in column.texts or unit != "%" or amount <= 0:
            raise InvalidDrift(text, f"a category drifts as CATEGORY+NUMBER%/min; the categories are: {', '.join(column.texts)}")
        return Drift((Conversion(name, column.categories[column.texts.index(to)], amount / 100, at_once),))
    if to or unit == "%":
        raise InvalidDrift(text, "a number drifts by so much a minute, or by so many standard deviations")
    return Drift((_shift(contract, name, amount * (_spread(name, sample) if unit else 1), sample, at_once=at_once),))


def _shift(contract: Contract, name: str, amount: float, sample: Sequence[Record], *, at_once: bool = False) -> Shift:
    column = contract.columns[name]
    assert isinstance(column, IntegerColumn | NumberColumn)  # noqa: S101 - what a numeric feature is
    decimals = 0 if isinstance(column, IntegerColumn) else _decimals(name, sample)
    return Shift(name, amount, column.minimum, column.maximum, decimals, at_once)


def _values(name: str, sample: Sequence[Record]) -> list[float]:
    return [float(value) for record in sample if isinstance(value := record[name], int | float)]


def _spread(name: str, sample: Sequence[Record]) -> float:
    values = _values(name, sample)
    return pstdev(values) if values else 0.0


def _decimals(name: str, sample: Sequence[Record]) -> int | None:
    """Return with how many decimals the numbers of a column are written, from 1 on; None if with many."""
    longest = max((len(repr(value).partition(".")[2]) for value in _values(name, sample)), default=1)
    return longest if longest <= 6 else None  # noqa: PLR2004 - more come out of a calculation
