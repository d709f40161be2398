"""What people may read of the data that were published last: `published.json` in the run of the ETL that made them.

Services show it and have no key of the object store, so it goes where they read already. It is bounded, and holds nothing of columns that
the contract calls personal. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, TypeVar

import numpy as np
from pydantic import Field, TypeAdapter

from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn
from hearth.contracts.examples import example_record, random_records
from hearth.contracts.origins import UNKNOWN, Origin
from hearth.data.profile import CategoryProfile, NumericProfile, Profile

LARGEST = 4 << 20
"""Bytes of a report that a service reads; a data set of 2,000 columns has 1.5 MB."""

MOST_ENTRIES = 20
_MOST_LETTERS = 500

N = TypeVar("N", int, float)
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class DataReport:
    """How a processed data set was made, and what its train set looks like.

    Attributes:
        source: the raw file. `rows_in` rows of it were read, and `rejected` of them break the contract.
        reasons: why rows were rejected, with their numbers, the most frequent first; a row may have several.
        dropped: valid rows that were left out, by reason: `duplicate`, `no_target`, `too_many_missing`
        duplicate_share: the share of the valid rows that were left out as copies of others.
        compared_with: the data that `moved` compares with, in words; empty if there were none.
        moved: for each column, the share of its rows that would have to change to be as before, the largest first.
        warnings: what a person should look at: columns that have moved noticeably, and what the file's reader found.
        understood: how the raw file was read.
        profile: the train set's features and classes.
    """

    dataset: str
    digest: str
    origin: Origin
    source: str
    rows_in: Count
    rejected: Count
    reasons: Mapping[str, Count]
    dropped: Mapping[str, Count]
    duplicate_share: Share
    train_rows: Count
    test_rows: Count
    compared_with: str
    moved: Mapping[str, Share]
    warnings: tuple[str, ...]
    understood: tuple[str, ...]
    profile: Profile

    def to_json(self) -> bytes:
        """Write the report as `published.json` holds it."""
        return _REPORT.dump_json(self, indent=2)

    @staticmethod
    def from_json(content: bytes) -> "DataReport":
        """Read what `to_json` wrote; raises pydantic's ValidationError for anything else."""
        return _REPORT.validate_json(content)


@dataclass(frozen=True)
class Publication:
    """Which data were published last, when, and the run that has their report; a tag of the ETL's experiment."""

    digest: str
    run_id: str
    published: datetime
    origin: Origin = field(default=UNKNOWN)


_REPORT = TypeAdapter(DataReport)
PUBLICATION = TypeAdapter(Publication)


def without_personal(contract: Contract, profile: Profile) -> Profile:
    """Return a profile without the columns that the contract calls personal: a maximum is somebody's value."""
    hidden = contract.personal_columns
    return replace(
        profile,
        numbers={name: number for name, number in profile.numbers.items() if name not in hidden},
        categories={name: category for name, category in profile.categories.items() if name not in hidden},
    )


def shortened(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the first sentences, none of them longer than people read."""
    return tuple(text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…" for text in texts[:MOST_ENTRIES])


def largest(entries: Mapping[str, N]) -> dict[str, N]:
    """Return the entries with the largest numbers, the largest first."""
    return dict(sorted(entries.items(), key=lambda entry: -entry[1])[:MOST_ENTRIES])


def typical_record(contract: Contract, profile: Profile) -> dict[str, object]:
    """Return a record with the median of each number and the most frequent of the categories.

    Where the profile has no value that the contract allows (a personal column, or one of another contract), it has that of
    `example_record`.
    """
    record = example_record(contract)
    for name, column in contract.feature_columns.items():
        number, category = profile.numbers.get(name), profile.categories.get(name)
        if number is not None and isinstance(column, IntegerColumn | NumberColumn):
            median = number.median
            if median is not None and column.minimum <= median <= column.maximum:
                record[name] = round(median) if isinstance(column, IntegerColumn) else median
        elif category is not None and isinstance(column, CategoryColumn):
            shares = {text: share for text, share in category.shares.items() if text in column.texts}
            if shares:
                record[name] = column.categories[column.texts.index(max(shares, key=shares.__getitem__))]
    return record


def sample(contract: Contract, profile: Profile, rows: int, seed: int) -> list[dict[str, object]]:
    """Draw records whose columns are distributed as in the profile, each independently of the others; the same seed gives the same.

    Columns that the profile does not have are drawn evenly over what the contract allows.
    """
    records, random = random_records(contract, rows, seed=seed), np.random.default_rng(seed)
    for name, column in contract.feature_columns.items():
        number, category = profile.numbers.get(name), profile.categories.get(name)
        values: list[object] | None = None
        if isinstance(column, CategoryColumn) and category is not None:
            values = _categories(column, category, rows, random)
        elif isinstance(column, IntegerColumn | NumberColumn) and number is not None:
            values = _numbers(column, number, rows, random)
        for record, value in zip(records, values or (), strict=False):
            record[name] = value
    return records


def _categories(column: CategoryColumn, profile: CategoryProfile, rows: int, random: np.random.Generator) -> list[object] | None:
    shares = _weights([profile.shares.get(text, 0.0) for text in column.texts])
    if shares is None:
        return None
    return [column.categories[code] for code in random.choice(len(shares), rows, p=shares)]


def _numbers(column: IntegerColumn | NumberColumn, profile: NumericProfile, rows: int, random: np.random.Generator) -> list[object] | None:
    shares, edges = _weights(profile.shares), np.array([profile.minimum, *profile.edges, profile.maximum], dtype=np.float64)
    if shares is None or len(shares) != len(edges) - 1 or not np.isfinite(edges).all():
        return None
    bins = random.choice(len(shares), rows, p=shares)
    drawn = np.clip(random.uniform(edges[bins], edges[bins + 1]), column.minimum, column.maximum).tolist()
    return [round(value) for value in drawn] if isinstance(column, IntegerColumn) else [_rounded(column, value) for value in drawn]


def _weights(shares: Sequence[float]) -> np.ndarray | None:
    """Return shares that sum to 1; None if they are none, which a report that is not ours may hold."""
    weights = np.array(shares, dtype=np.float64)
    return weights / weights.sum() if len(weights) and np.isfinite(weights).all() and weights.min() >= 0 < weights.sum() else None


def _rounded(column: NumberColumn, value: float) -> float:
    """Return three digits of a number, within its range."""
    return float(min(max(float(f"{value:.3g}"), column.minimum), column.maximum))
