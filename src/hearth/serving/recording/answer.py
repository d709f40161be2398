"""What the recorder is given on a request's way: references, nothing made or copied."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from hearth.contracts import CategoryColumn, Contract, IntegerColumn
from hearth.contracts.record_parser import Columns
from hearth.modelling.scorer import Scores
from hearth.serving.model_follower import LoadedModel
from hearth.serving.recording.messages import Batch, Feature, Role, Source


class Answer(NamedTuple):
    """What one version said of records of one request.

    `rows` are those to be stored, None: all. `places` are the records' places in the request, None: from 0 on.
    """

    model: LoadedModel
    columns: Columns
    scores: Scores
    message_id: str
    source: Source
    role: Role
    at: float
    rows: np.ndarray | None
    places: np.ndarray | None

    @property
    def size(self) -> int:
        """How many records are to be stored."""
        return len(self.columns) if self.rows is None else len(self.rows)


def features(contract: Contract) -> tuple[Feature, ...]:
    """Return what another process must know of a contract to write records down."""
    return tuple(
        Feature(name, isinstance(column, IntegerColumn), column.categories if isinstance(column, CategoryColumn) else None)
        for name, column in contract.feature_columns.items()
    )


def groups(answers: Iterable[Answer]) -> list[list[Answer]]:
    """Put together what one version answered through one protocol in one role."""
    found: dict[tuple[str, str, str, str, str], list[Answer]] = {}
    for answer in answers:
        model = answer.model
        found.setdefault((model.dataset, model.alias, model.version, answer.source, answer.role), []).append(answer)
    return list(found.values())


def batch_of(answers: Sequence[Answer], columns: Mapping[str, tuple[Feature, ...]]) -> Batch:
    """Return what is to be stored of such a group; `columns` has the features by data set."""
    first = answers[0]
    return Batch(
        dataset=first.model.dataset,
        alias=first.model.alias,
        version=first.model.version,
        family=first.model.family,
        source=first.source,
        role=first.role,
        features=columns[first.model.dataset],
        classes=first.scores.classes,
        ids=[answer.message_id for answer in answers],
        sizes=[answer.size for answer in answers],
        times=[answer.at for answer in answers],
        rows=np.fromiter(chain.from_iterable(map(_places, answers)), np.int32),
        numbers=_chosen(answers, [answer.columns.numbers for answer in answers]),
        codes=_chosen(answers, [answer.columns.codes for answer in answers]),
        said=_chosen(answers, [answer.scores.codes for answer in answers]),
        probabilities=_chosen(answers, [answer.scores.probabilities for answer in answers]),
    )


def _places(answer: Answer) -> Iterable[int]:
    if answer.places is not None:
        return answer.places if answer.rows is None else answer.places[answer.rows]
    return range(answer.size) if answer.rows is None else answer.rows


def _chosen(answers: Sequence[Answer], arrays: Sequence[np.ndarray]) -> np.ndarray:
    kept = (array if answer.rows is None else array[answer.rows] for answer, array in zip(answers, arrays, strict=True))
    return np.concatenate(list(kept))
