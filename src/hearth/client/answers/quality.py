"""Quality by labels."""

from collections.abc import Sequence
from datetime import datetime

from hearth.client.answers.base import Answer


class Interval(Answer):
    """A figure with its interval of 95 %."""

    figure: float
    low: float
    high: float


class Measured(Answer):
    """What labelled answers show: figures are None below 30 of them. `confusion` has true classes down, predicted ones across."""

    rows: int
    metric: Interval | None
    accuracy: Interval | None
    calibration_error: Interval | None
    confusion: Sequence[Sequence[int]]


class Coverage(Answer):
    """How many answers have a label, of those that are old enough."""

    predictions: int
    labelled: int
    share: float | None


class QualityPart(Answer):
    """A day, an alias, or a group of a sensitive column, which `column` names."""

    name: str
    column: str
    measured: Measured
    coverage: Coverage | None


class Evidence(Answer):
    """The test whether quality has fallen: an alarm from `threshold` on. `reference`, `bound` and `mean` are losses, from 0 to 1."""

    value: float
    threshold: float
    highest: float
    reference: float
    bound: float
    mean: float
    labels: int
    started_at: datetime
    alarmed_at: datetime | None


class VersionQuality(Answer):
    """What labels show of one version; `subject` is champion, challenger, canary or other."""

    version: str
    subject: str
    measured: Measured
    coverage: Coverage | None
    evidence: Evidence | None
    days: Sequence[QualityPart]
    aliases: Sequence[QualityPart]
    groups: Sequence[QualityPart]


class PairedQuality(Answer):
    """Challenger minus champion, on labelled records that both have scored."""

    champion: str
    challenger: str
    rows: int
    metric: Interval
    log_loss: Interval
    changed: Interval


class Quality(Answer):
    """What labels show of what is served: its level is not_enough, ok or fallen. Of the versions the champion comes first."""

    dataset: str
    level: str
    summary: str
    version: str
    checked_at: datetime
    metric: str
    days: int
    minimum: int
    labels: int
    delay_seconds: float | None
    classes: Sequence[str]
    versions: Sequence[VersionQuality]
    paired: PairedQuality | None


class PastQuality(Answer):
    """An earlier check of quality: the champion's metric with its interval, and its evidence."""

    checked_at: datetime
    version: str
    level: str
    labels: int
    figure: float | None
    low: float | None
    high: float | None
    evidence: float | None
    threshold: float | None


class QualityHistory(Answer):
    """Checks of quality, the oldest first."""

    dataset: str
    checks: Sequence[PastQuality]
