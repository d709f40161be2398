"""What labels show: the quality of what is served, by version, day, group and alias. Made of the monitor's checks by their attributes."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class _Read(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class IntervalInfo(_Read):
    """A figure with its interval of 95 %."""

    figure: float
    low: float
    high: float


class MeasuredInfo(_Read):
    """What labelled answers show; figures are null below 30 of them."""

    rows: int = Field(description="answers with a label")
    metric: IntervalInfo | None = Field(description="the metric of the contract")
    accuracy: IntervalInfo | None = Field(description="share of right answers")
    calibration_error: IntervalInfo | None = Field(description="mean distance of the answer's probability from how often it is right")
    confusion: list[list[int]] = Field(description="answers by true class (down) and predicted class (across), in the order of `classes`")


class CoverageInfo(_Read):
    """How many answers have a label, of those so old that 95 % of the labels would have come."""

    predictions: int
    labelled: int
    share: float | None


class QualityPartInfo(_Read):
    """A day (of the scoring, UTC), an alias, or a group of a sensitive column."""

    name: str
    column: str = Field(description="the sensitive column of a group, else empty")
    measured: MeasuredInfo
    coverage: CoverageInfo | None = Field(description="of a day")


class EvidenceInfo(_Read):
    """The test whether quality has fallen: an alarm from `threshold` on, which ever comes by chance in 1 / threshold of the versions."""

    value: float
    threshold: float
    highest: float
    reference: float = Field(description="mean loss on the version's test set; of classes the share of wrong answers")
    bound: float = Field(description="mean loss that is tested against: the reference and the tolerance")
    mean: float = Field(description="mean loss of the labelled answers")
    labels: int
    started_at: datetime = Field(description="answers of earlier are not tested")
    alarmed_at: datetime | None = Field(description="when the alarm that holds began")


class VersionQualityInfo(_Read):
    """What labels show of one version."""

    version: str
    subject: str = Field(description="champion, challenger, canary or other")
    measured: MeasuredInfo
    coverage: CoverageInfo | None
    evidence: EvidenceInfo | None = Field(description="null for others, and without a test set")
    days: list[QualityPartInfo]
    aliases: list[QualityPartInfo]
    groups: list[QualityPartInfo]


class PairedInfo(_Read):
    """Challenger minus champion, on labelled records that both have scored."""

    champion: str
    challenger: str
    rows: int
    metric: IntervalInfo
    log_loss: IntervalInfo
    changed: IntervalInfo = Field(description="share of the records with another class")


class QualityInfo(_Read):
    """One check of a data set."""

    dataset: str
    level: str = Field(description="not_enough, ok or fallen")
    summary: str
    version: str = Field(description="the champion")
    checked_at: datetime
    metric: str
    days: int = Field(description="days whose labels are measured")
    minimum: int = Field(description="labels below which the level is not_enough")
    labels: int = Field(description="of the champion's answers")
    delay_seconds: float | None = Field(description="within which 95 % of the labels come; null without any")
    classes: list[str]
    versions: list[VersionQualityInfo] = Field(description="the champion first")
    paired: PairedInfo | None


class PastQualityInfo(_Read):
    """An earlier check, of the champion alone: its metric with the interval, and its evidence."""

    checked_at: datetime
    version: str
    level: str
    labels: int
    figure: float | None
    low: float | None
    high: float | None
    evidence: float | None
    threshold: float | None


class QualityHistory(BaseModel):
    """The checks of a data set, the oldest first."""

    dataset: str
    checks: list[PastQualityInfo]
