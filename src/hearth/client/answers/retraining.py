"""Trainings that the loop asked for."""

from collections.abc import Sequence
from datetime import datetime

from hearth.client.answers.base import Answer


class MetricDifference(Answer):
    """The metric of a version minus that of the champion on the same rows, with its interval."""

    rows: int
    value: float
    low: float
    high: float


class Retrain(Answer):
    """A decision about training again: its state is waiting, labels_needed, paused, running, deployed, refused or failed."""

    id: str
    trigger: str
    state: str
    decided_at: datetime
    ended_at: datetime | None
    why: str
    times: int
    last_at: datetime | None
    records: int | None
    digest: str | None
    version: str | None
    family: str | None
    champion: str | None
    recent: MetricDifference | None
    old: MetricDifference | None
    trace_id: str | None = None


class NextRetrain(Answer):
    """What would be decided now, if nobody asks by hand."""

    state: str
    trigger: str
    why: str
    until: datetime | None
    labels: int
    new_labels: int
    needed: int


class RetrainList(Answer):
    """Decisions about training again, the newest first."""

    dataset: str
    next: NextRetrain
    retrains: Sequence[Retrain]


class TrainedOn(Answer):
    """A retraining whose data hold an erased record."""

    id: str
    state: str
    digest: str | None
    version: str | None
