"""The columns that scoring adds to a file."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from hearth.contracts import Contract
from hearth.contracts.texts import listed
from hearth.errors import InvalidFile
from hearth.modelling.scorer import Scores
from hearth.serving.answer_parts import sets_of, unusual_of, unusual_text
from hearth.serving.files.row_batches import RowBatch
from hearth.serving.include import NOTHING, Include
from hearth.serving.loaded_model import LoadedModel

_Value = TypeVar("_Value")

_SET_COLUMNS: Mapping[str, type] = {"set": str}
_UNUSUAL_COLUMNS: Mapping[str, type] = {"unusual_score": float, "unusual": bool, "unusual_values": str}
SET_SEPARATOR = " | "

ScoreBatch = Callable[[RowBatch], tuple[LoadedModel, Scores]]
"""Scores the good rows of a batch, of which there may be none; returns the version that did."""


class ScoredFile(Protocol):
    """A file of any format, open to be scored; it must stay open until both generators have ended or are closed.

    `check` reads all of it and counts its rows and those that are refused; then `understood` says how it was read. `scored` yields the
    answer, part by part. Each step of either takes one batch.
    """

    rows: int
    refused: int

    @property
    def understood(self) -> tuple[str, ...]: ...

    def check(self) -> Generator[None]: ...

    def scored(self, score: ScoreBatch) -> Generator[bytes]: ...


@dataclass(frozen=True)
class AddedColumns:
    """The names and types of the added columns in their order: prediction, label, probabilities, version, error, what is included."""

    types: Mapping[str, type]
    include: Include = NOTHING

    @property
    def names(self) -> tuple[str, ...]:
        """The names."""
        return tuple(self.types)

    @classmethod
    def of(cls, contract: Contract, prefix: str, include: Include = NOTHING) -> "AddedColumns":
        types = {
            "prediction": str if isinstance(contract.class_codes[0], str) else int,
            "label": str,
            **{f"probability_{class_}": float for class_ in contract.target.classes},
            "version": str,
            "error": str,
            **(_SET_COLUMNS if include.set else {}),
            **(_UNUSUAL_COLUMNS if include.unusual else {}),
        }
        return cls({f"{prefix}{name}": type_ for name, type_ in types.items()}, include)

    def check(self, header: Sequence[str]) -> None:
        """Raise InvalidFile if the file has a column with one of these names."""
        if clashes := [name for name in self.names if name in header]:
            raise InvalidFile(
                f"The file has columns that the answer adds: {listed(clashes)}. Rename them, or give the added ones a prefix: ?prefix=new_"
            )


@dataclass(frozen=True)
class AddedValues:
    """The values of the added columns for a batch, one or None for each row."""

    predictions: list[int | str | None]
    labels: list[str | None]
    probabilities: list[list[float | None]]
    versions: list[str | None]
    errors: list[str | None]
    included: Sequence[Sequence[float | str | None]] = ()

    @property
    def columns(self) -> list[Sequence[int | float | str | None]]:
        return [self.predictions, self.labels, *self.probabilities, self.versions, self.errors, *self.included]


def score_batch(batch: RowBatch, score: ScoreBatch, include: Include = NOTHING) -> AddedValues:
    """Score the good rows of a batch."""
    model, scores = score(batch)
    places = np.flatnonzero(batch.good).tolist()
    rows = len(batch)
    return AddedValues(
        predictions=_spread(scores.predictions, places, rows),
        labels=_spread(scores.labels, places, rows),
        probabilities=[_spread(column, places, rows) for column in scores.probabilities.T.tolist()],
        versions=_spread([model.version] * len(places), places, rows),
        errors=[batch.refusals.get(row) for row in range(rows)],
        included=[_spread(column, places, rows) for column in _included(model, batch, scores, include)],
    )


def _included(model: LoadedModel, batch: RowBatch, scores: Scores, include: Include) -> list[list[float | str]]:
    """Return the values of the included columns for the good rows."""
    columns: list[list[float | str]] = []
    if include.set:
        columns.append([SET_SEPARATOR.join(labels) for labels in sets_of(model, scores)])
    if include.unusual:
        records = unusual_of(model, batch.columns)
        columns += [
            [record.score for record in records],
            [record.unusual for record in records],
            [unusual_text(record) for record in records],
        ]
    return columns


def _spread(values: Sequence[_Value], places: Sequence[int], rows: int) -> list[_Value | None]:
    """Put the values of the good rows at their places among all rows."""
    if len(places) == rows:
        return [*values]
    column: list[_Value | None] = [None] * rows
    for place, value in zip(places, values, strict=True):
        column[place] = value
    return column
