"""Checks for drift."""

from collections.abc import Sequence
from datetime import datetime

from hearth.client.answers.base import Answer


class DriftBin(Answer):
    """One bin of a column: the shares of the values of the reference and of the window in it."""

    name: str
    reference: float
    now: float


class DriftColumn(Answer):
    """A feature, or what the version answered, against its reference; means are None for categories."""

    name: str
    role: str
    level: str
    p_value: float
    psi: float
    detail: str
    missing_reference: float
    missing_now: float
    mean_reference: float | None
    mean_now: float | None
    bins: Sequence[DriftBin]


class EstimatedMetric(Answer):
    """The metric, estimated without labels, with its interval of 95 %; `measured` is that of the test set, with labels."""

    metric: str
    value: float
    low: float
    high: float
    reference: float | None
    measured: float | None


class ClassifierUse(Answer):
    """A column that the classifier used, with its share of the gain."""

    name: str
    share: float


class SecondOpinion(Answer):
    """How well a classifier tells the records from the train set: 0.5 is a guess."""

    auc: float
    low: float
    high: float
    columns: Sequence[ClassifierUse]


class Drift(Answer):
    """A check for drift: its level is not_enough, ok, warn, drift or act."""

    dataset: str
    level: str
    found: str
    since: datetime | None
    summary: str
    version: str
    checked_at: datetime
    records: int
    refused: int
    refused_share: float
    minimum: int
    tests: int
    first: datetime | None
    last: datetime | None
    cursor: str | None
    columns: Sequence[DriftColumn]
    quality: EstimatedMetric | None
    second_opinion: SecondOpinion | None


class PastColumn(Answer):
    """A column at an earlier check."""

    name: str
    role: str
    level: str
    psi: float
    p_value: float


class PastDrift(Answer):
    """An earlier check, without distributions."""

    checked_at: datetime
    version: str
    level: str
    records: int
    estimate: float | None
    auc: float | None
    columns: Sequence[PastColumn]


class DriftHistory(Answer):
    """Checks for drift, the oldest first."""

    dataset: str
    checks: Sequence[PastDrift]
