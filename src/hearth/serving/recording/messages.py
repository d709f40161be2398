"""The messages to and from the writer process. Answers are sent as columns and become rows in that process."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Literal

import numpy as np

from hearth.predictions.personal_hash import PersonalHash
from hearth.predictions.rows import NO_PARTS, PredictionBlock, StoredParts

Source = Literal["rest", "graphql", "grpc", "file", "stream"]
Role = Literal["answer", "challenger"]


@dataclass(frozen=True)
class Feature:
    """A column of the records. Categories are sent as codes; the code after the last category is a missing value.

    `place` is its position among the numbers, or among the codes: columns that are not stored are there too. The values of a column with a
    `personal_hash` are stored as hashes.
    """

    name: str
    place: int
    is_whole: bool
    categories: tuple[str | int, ...] | None
    personal_hash: PersonalHash | None = None


@dataclass(frozen=True)
class AnswerBatch:
    """Answers of one version to requests of one protocol, in one role.

    `ids`, `sizes`, `times` (seconds since 1970) and `trace_ids` have an item for each request. The arrays have a row for each record:
    `rows` its index in the request, `numbers`, `codes` and `probabilities` as in `Columns` and `Scores`, `label_codes` the code of the
    predicted class.
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
    label_codes: np.ndarray
    probabilities: np.ndarray
    parts: StoredParts = NO_PARTS
    trace_ids: Sequence[str | None] = ()


@dataclass(frozen=True)
class Stored:
    """The store has the predictions; `new` of them were not there before."""

    new: int


@dataclass(frozen=True)
class Unavailable:
    """The store does not answer; retrying is safe."""

    reason: str


@dataclass(frozen=True)
class Refused:
    """The store answers and rejects the predictions; retrying is useless."""

    reason: str


@dataclass(frozen=True)
class WriterEnded:
    """The writer process ended; the predictions may or may not be stored. Retrying is safe."""

    reason: str


READY = "ready"
"""The first message of the writer process: from now on it takes batches."""

WriteResult = Stored | Unavailable | Refused | WriterEnded


def blocks(batch: AnswerBatch) -> Iterator[PredictionBlock]:
    """Yield the predictions in blocks. Times are rounded down to 10 ms, so that requests share a block, which saves time."""
    records = _records(batch)
    requests = zip(batch.ids, batch.sizes, batch.times, batch.trace_ids or [None] * len(batch.ids), strict=True)
    start = 0
    for hundredth, group in groupby(requests, key=lambda request: int(request[2] * 100)):
        keys = [(message_id, trace_id) for message_id, size, _, trace_id in group for _ in range(size)]
        ids, trace_ids = [message_id for message_id, _ in keys], [trace_id for _, trace_id in keys]
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
            codes=batch.label_codes[part],
            probabilities=batch.probabilities[part],
            source=batch.source,
            role=batch.role,
            parts=batch.parts.rows(part),
            trace_ids=trace_ids,
        )


def _records(batch: AnswerBatch) -> list[dict[str, object]]:
    """Return the records as they were sent, without columns that are not features."""
    columns: list[list[object]] = []
    for feature in batch.features:
        if feature.categories is None:
            columns.append([_number(value, feature.is_whole) for value in batch.numbers[:, feature.place].tolist()])
        else:
            texts = (*feature.categories, None)
            columns.append([texts[code] for code in batch.codes[:, feature.place].tolist()])
        if feature.personal_hash is not None:
            columns[-1] = [feature.personal_hash.hashed(feature.name, value) for value in columns[-1]]
    names = [feature.name for feature in batch.features]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _number(value: float, is_whole: bool) -> float | int | None:
    if value != value:  # noqa: PLR0124 - NaN differs from itself
        return None
    return int(value) if is_whole else value
