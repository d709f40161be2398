"""Answers as they go to the process that stores them: whole columns, which become rows only there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Literal

import numpy as np

from hearth.predictions.rows import PredictionBlock

Source = Literal["rest", "graphql", "grpc", "file", "stream"]
Role = Literal["answer", "challenger"]


@dataclass(frozen=True)
class Feature:
    """A column of the records; one with categories comes as codes, with one code more for a missing value."""

    name: str
    is_whole: bool
    categories: tuple[str | int, ...] | None


@dataclass(frozen=True)
class Batch:
    """Answers of one version that came through one protocol in one role.

    `ids`, `sizes` and `times` (seconds since 1970) have an item for each request. The arrays have a row for each record: `rows` its place
    in its request, `numbers`, `codes` and `probabilities` as in `Columns` and `Scores`, `said` the code of its class.
    """

    dataset: str
    alias: str
    version: str
    family: str
    source: Source
    role: Role
    features: tuple[Feature, ...]
    classes: tuple[str, ...]
    ids: Sequence[str]
    sizes: Sequence[int]
    times: Sequence[float]
    rows: np.ndarray
    numbers: np.ndarray
    codes: np.ndarray
    said: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class Stored:
    """The store has them now; `new` had not been there before."""

    new: int


@dataclass(frozen=True)
class Away:
    """The store does not answer: the same may be tried again."""

    reason: str


@dataclass(frozen=True)
class Refused:
    """The store answers and will never take them."""

    reason: str


@dataclass(frozen=True)
class Died:
    """The process that stores ended; nobody knows what it had stored. The same may be tried again."""

    reason: str


Outcome = Stored | Away | Refused | Died


def blocks(batch: Batch) -> Iterator[PredictionBlock]:
    """Yield the predictions. Those of the same hundredth of a second have one time: a block costs as much as several of its lines."""
    records = _records(batch)
    requests = zip(batch.ids, batch.sizes, batch.times, strict=True)
    start = 0
    for hundredth, group in groupby(requests, key=lambda request: int(request[2] * 100)):
        ids = [message_id for message_id, size, _ in group for _ in range(size)]
        part = slice(start, start + len(ids))
        start = part.stop
        yield PredictionBlock(
            dataset=batch.dataset,
            alias=batch.alias,
            version=batch.version,
            family=batch.family,
            classes=batch.classes,
            scored_at=datetime.fromtimestamp(hundredth / 100, UTC),
            message_ids=ids,
            rows=batch.rows[part].tolist(),
            enqueued_at=[None] * len(ids),
            records=records[part],
            codes=batch.said[part],
            probabilities=batch.probabilities[part],
            source=batch.source,
            role=batch.role,
        )


def _records(batch: Batch) -> list[dict[str, object]]:
    """Return the records as their senders wrote them, but for columns that no model sees."""
    columns: list[list[object]] = []
    numbers, codes = iter(batch.numbers.T), iter(batch.codes.T)
    for feature in batch.features:
        if feature.categories is None:
            columns.append([_number(value, feature.is_whole) for value in next(numbers).tolist()])
        else:
            texts = (*feature.categories, None)
            columns.append([texts[code] for code in next(codes).tolist()])
    names = [feature.name for feature in batch.features]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _number(value: float, is_whole: bool) -> float | int | None:
    if value != value:  # noqa: PLR0124 - NaN differs from itself
        return None
    return int(value) if is_whole else value
