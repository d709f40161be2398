"""The columns that a scored file has beside its own."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from hearth.contracts import Contract
from hearth.errors import InvalidFile
from hearth.modelling.scorer import Scores
from hearth.serving.files.row_batches import Reading, listed
from hearth.serving.model_follower import LoadedModel

_Value = TypeVar("_Value")

Seen = Callable[[Reading, Scores], None]
"""Is told what was scored, a batch at a time, also of one that has no good row."""


class ScoredFile(Protocol):
    """A file of any kind that was opened to be scored.

    `check` reads all of it and has then counted its rows and those that will be refused; `scored` gives the answer, part by part. Both do
    a little at each step. The file must stay open until they have ended or are closed.
    """

    rows: int
    refused: int

    def check(self) -> Generator[None]: ...

    def scored(self, model: LoadedModel, seen: Seen) -> Generator[bytes]: ...


@dataclass(frozen=True)
class AddedColumns:
    """Their names, in the order in which they follow the file's own columns: prediction, label, probabilities, version, error."""

    names: tuple[str, ...]
    predictions_are_texts: bool

    @classmethod
    def of(cls, contract: Contract, prefix: str) -> "AddedColumns":
        probabilities = [f"probability_{class_}" for class_ in contract.target.classes]
        names = tuple(f"{prefix}{name}" for name in ("prediction", "label", *probabilities, "version", "error"))
        return cls(names, isinstance(contract.class_codes[0], str))

    def check(self, header: Sequence[str]) -> None:
        """Raise InvalidFile if the file has a column with one of these names."""
        if taken := [name for name in self.names if name in header]:
            raise InvalidFile(
                f"The file has columns that the answer adds: {listed(taken)}. Rename them, or give the added ones a prefix: ?prefix=new_"
            )


@dataclass(frozen=True)
class Answers:
    """The added columns of a batch, a value or None for each row."""

    predictions: list[int | str | None]
    labels: list[str | None]
    probabilities: list[list[float | None]]
    versions: list[str | None]
    errors: list[str | None]

    @property
    def columns(self) -> list[Sequence[int | float | str | None]]:
        return [self.predictions, self.labels, *self.probabilities, self.versions, self.errors]


def answer(model: LoadedModel, reading: Reading, seen: Seen) -> Answers:
    """Score the good rows of a batch."""
    scores = model.scorer.score_columns(reading.columns)
    seen(reading, scores)
    places = np.flatnonzero(reading.good).tolist()
    rows = len(reading)
    errors: list[str | None] = [None] * rows
    for row, reason in reading.refused.items():
        errors[row] = reason
    return Answers(
        predictions=_spread(scores.predictions, places, rows),
        labels=_spread(scores.labels, places, rows),
        probabilities=[_spread(column, places, rows) for column in scores.probabilities.T.tolist()],
        versions=_spread([model.version] * len(places), places, rows),
        errors=errors,
    )


def _spread(values: list[_Value], places: Sequence[int], rows: int) -> list[_Value | None]:
    """Put the values of the good rows at their places among all rows."""
    if len(places) == rows:
        return [*values]
    column: list[_Value | None] = [None] * rows
    for place, value in zip(places, values, strict=True):
        column[place] = value
    return column
