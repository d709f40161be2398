"""Predictions, explanations, and what is stored of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hearth.client.answers.base import Answer


class UnusualColumn(Answer):
    """A value outside the range of the train set, `low` to `high`, or a category with this `share` of it; of a personal column the name."""

    name: str
    value: float | str | None
    low: float | None
    high: float | None
    share: float | None


class Unusual(Answer):
    """How unlike the train set of the version a record is: `score` is the share of the train set that is less unusual."""

    score: float
    unusual: bool
    columns: Sequence[UnusualColumn]
    combinations: Sequence[Sequence[str]]


class Predictions(Answer):
    """Predictions in the order of the records; `prediction`, `label` and `probability` are None unless there is one record.

    `canary` is True where a candidate answered in the champion's place. `sets` and `unusual_records`, and for one record `set` and
    `unusual`, are there if the call has asked to include them.
    """

    predictions: Sequence[int | str]
    labels: Sequence[str]
    probabilities: Sequence[Mapping[str, float]]
    prediction: int | str | None
    label: str | None
    probability: float | None
    dataset: str
    alias: str
    model: str
    version: str
    model_version: str
    family: str
    n_samples: int
    request_id: str
    canary: bool | None = None
    sets: Sequence[Sequence[str]] | None = None
    set: Sequence[str] | None = None
    unusual_records: Sequence[Unusual] | None = None
    unusual: Unusual | None = None


class Contribution(Answer):
    """What one column adds to the score of the explained class."""

    column: str
    value: float | int | str | None
    contribution: float


class Explanation(Answer):
    """Why one record has its score: `base_value`, all `contributions` and `rest` add up to `score`, in `unit`."""

    row: int
    prediction: int | str
    label: str
    probability: float
    probabilities: Mapping[str, float]
    explained_class: str
    unit: str
    base_value: float
    score: float
    contributions: Sequence[Contribution]
    rest: float


class Explanations(Answer):
    """Explanations in the order of the records."""

    explanations: Sequence[Explanation]
    method: str
    dataset: str
    alias: str
    model: str
    family: str
    version: str
    n_samples: int
    request_id: str


class StoredUnusual(Answer):
    """How unlike the train set of the version a stored record is."""

    score: float
    unusual: bool


class StoredPrediction(Answer):
    """What one version predicted for one record; `set` and `unusual` are None where the version does not know them."""

    message_id: str
    row: int
    dataset: str
    alias: str
    version: str
    family: str
    prediction: int | str
    label: str
    probabilities: Mapping[str, float]
    record: Mapping[str, object]
    source: str
    role: str
    enqueued_at: datetime | None
    scored_at: datetime
    set: Sequence[str] | None = None
    unusual: StoredUnusual | None = None
    trace_id: str | None = None


class PredictionPage(Answer):
    """Stored predictions, newest first; `cursor` leads to the next page."""

    predictions: Sequence[StoredPrediction]
    cursor: str | None
    next: str | None


@dataclass(frozen=True)
class ScoredFile:
    """A file that was scored: where it is, its rows, and how many of them break the contract and have no prediction.

    `understood` says how the service read the file: packing, encoding, delimiter, marks of numbers, what was left out.
    """

    path: Path
    rows: int
    rows_refused: int
    alias: str
    version: str
    understood: str = ""
