"""An answer as the recorder receives it: references to arrays, no copies."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from hearth.contracts import CategoryColumn, Contract, IntegerColumn
from hearth.contracts.record_parser import Columns
from hearth.modelling.scorer import Scores
from hearth.predictions.personal_hash import PersonalHash
from hearth.predictions.recorded_columns import recorded_columns
from hearth.serving.answer_parts import parts_to_store
from hearth.serving.loaded_model import LoadedModel
from hearth.serving.recording.messages import AnswerBatch, Feature, Role, Source
from hearth.tracing.traceparent import TraceContext


class Answer(NamedTuple):
    """The predictions of one version for records of one request.

    `rows` are the indices of records to store, None for all. `places` are the positions of the records in the request, None for 0 to n - 1.
    `at` is the time in seconds since 1970, `trace` the place in a trace of the request.
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
    trace: TraceContext | None = None

    @property
    def size(self) -> int:
        """The number of records to store."""
        return len(self.columns) if self.rows is None else len(self.rows)


def describe_features(contract: Contract, personal_hash: PersonalHash | None = None) -> tuple[Feature, ...]:
    """Return the columns to store in the form that the writer process needs; without `personal_hash` the hashed ones are left out."""
    hashed = contract.hashed_columns
    features = []
    for name, column in recorded_columns(contract).items():
        if name in hashed and personal_hash is None:
            continue
        categories = column.categories if isinstance(column, CategoryColumn) else None
        place = list(contract.numeric_features if categories is None else contract.categorical_features).index(name)
        features.append(Feature(name, place, isinstance(column, IntegerColumn), categories, personal_hash if name in hashed else None))
    return tuple(features)


def group_answers(answers: Iterable[Answer]) -> list[list[Answer]]:
    """Group answers by version, protocol and role."""
    groups: dict[tuple[str, str, str, str, str], list[Answer]] = {}
    for answer in answers:
        model = answer.model
        groups.setdefault((model.dataset, model.alias, model.version, answer.source, answer.role), []).append(answer)
    return list(groups.values())


def build_batch(answers: Sequence[Answer], features: Mapping[str, tuple[Feature, ...]]) -> AnswerBatch:
    """Return the records to store of a group of answers; `features` are the columns by data set."""
    first = answers[0]
    numbers = _concatenate(answers, [answer.columns.numbers for answer in answers])
    codes = _concatenate(answers, [answer.columns.codes for answer in answers])
    probabilities = _concatenate(answers, [answer.scores.probabilities for answer in answers])
    return AnswerBatch(
        dataset=first.model.dataset,
        alias=first.model.alias,
        version=first.model.version,
        family=first.model.family,
        source=first.source,
        role=first.role,
        features=features[first.model.dataset],
        classes=first.scores.classes,
        ids=[answer.message_id for answer in answers],
        sizes=[answer.size for answer in answers],
        times=[answer.at for answer in answers],
        rows=np.fromiter(chain.from_iterable(map(_places, answers)), np.int32),
        numbers=numbers,
        codes=codes,
        label_codes=_concatenate(answers, [answer.scores.codes for answer in answers]),
        probabilities=probabilities,
        parts=parts_to_store(first.model, Columns(numbers, codes), probabilities),
        trace_ids=[answer.trace.trace_id if answer.trace else None for answer in answers],
    )


def _places(answer: Answer) -> Iterable[int]:
    if answer.places is not None:
        return answer.places if answer.rows is None else answer.places[answer.rows]
    return range(answer.size) if answer.rows is None else answer.rows


def _concatenate(answers: Sequence[Answer], arrays: Sequence[np.ndarray]) -> np.ndarray:
    selected = (array if answer.rows is None else array[answer.rows] for answer, array in zip(answers, arrays, strict=True))
    return np.concatenate(list(selected))
