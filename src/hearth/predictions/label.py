"""Labels: what a served record turned out to be, and what one more report of it means beside those that are known."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class RecordKey(NamedTuple):
    """A served record: the message or request, and the record's index in it."""

    message_id: str
    row: int


@dataclass(frozen=True, slots=True)
class Label:
    """A report of what a record turned out to be.

    Attributes:
        row: index of the record in its message or request.
        code: position of the class in the contract, as in a prediction.
        label: name of the class.
        observed_at: when the truth was observed; None: when it is received.
        reported_by: who says so.
        source: the door: rest, graphql, grpc, stream or file.
    """

    message_id: str
    row: int
    dataset: str
    code: int
    label: str
    observed_at: datetime | None
    reported_by: str
    source: str

    @property
    def key(self) -> RecordKey:
        """The record that the label belongs to."""
        return RecordKey(self.message_id, self.row)


class Outcome(StrEnum):
    """What became of a label that was added.

    joined: the first label of a stored prediction. waiting: the first label of a record whose prediction is not stored; it counts when
    the prediction comes. same: the record's label says so already. changed: it takes the place of a different label, which is kept as
    history. older: it is kept as history, since a different label was observed after it.
    """

    JOINED = "joined"
    WAITING = "waiting"
    SAME = "same"
    CHANGED = "changed"
    OLDER = "older"


@dataclass(frozen=True, slots=True)
class LabelOutcome:
    """What became of a label.

    Attributes:
        before: the different label that counted when it came, for `changed` and `older`.
        trace_id: of the prediction that it judges; None while that is not stored.
    """

    outcome: Outcome
    before: str | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """A label that is known, without its record."""

    observed_at: datetime
    code: int
    label: str


class LabelHistory:
    """The observations of one record. The newest observed counts; of two at the same moment the one that was received last."""

    def __init__(self, observations: Iterable[Observation] = ()) -> None:
        """Begin with those that are stored, in the order of their arrival."""
        self._known = list(observations)

    @property
    def current(self) -> Observation | None:
        """The one that counts; None without any."""
        return max(reversed(self._known), key=lambda observation: observation.observed_at, default=None)

    def add(self, label: Label, received_at: datetime, *, is_predicted: bool) -> tuple[LabelOutcome, Observation | None]:
        """Return what becomes of a label, and the observation to store; None if it tells nothing new.

        A repeated label is written only if it was observed later than the one that counts: then a different one from between the two does
        not win, whatever order they come in. One without a moment of its own is then not new, so that a delivery may be repeated.
        """
        current = self.current
        observation = Observation(label.observed_at or received_at, label.code, label.label)
        if current is None:
            return self._store(observation, Outcome.JOINED if is_predicted else Outcome.WAITING)
        is_repeated = any((known.observed_at, known.code) == (observation.observed_at, observation.code) for known in self._known)
        if is_repeated:
            return LabelOutcome(Outcome.SAME), None
        if current.code == observation.code:
            is_confirmed_later = label.observed_at is not None and label.observed_at > current.observed_at
            return self._store(observation, Outcome.SAME) if is_confirmed_later else (LabelOutcome(Outcome.SAME), None)
        outcome = Outcome.OLDER if observation.observed_at < current.observed_at else Outcome.CHANGED
        return self._store(observation, outcome, current.label)

    def _store(self, observation: Observation, outcome: Outcome, before: str | None = None) -> tuple[LabelOutcome, Observation]:
        self._known.append(observation)
        return LabelOutcome(outcome, before), observation


@dataclass(frozen=True, slots=True)
class LabelledAnswer:
    """A stored prediction and the newest label of its record.

    Attributes:
        role: answer, or challenger for a prediction in shadow.
        code: the predicted class, as its position in the contract.
        truth: what the record turned out to be, in the same way.
        probabilities: in the order of the contract's classes.
        trace_id: of the prediction.
    """

    message_id: str
    row: int
    dataset: str
    alias: str
    version: str
    role: str
    scored_at: datetime
    observed_at: datetime
    received_at: datetime
    record: Mapping[str, object]
    code: int
    truth: int
    probabilities: Sequence[float]
    trace_id: str | None = None
