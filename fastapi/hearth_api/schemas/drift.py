"""What the monitor has found: checks of what is served against what the champion was trained on."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

LevelName = Literal["not_enough", "ok", "warn", "drift", "act"]


class DriftBin(BaseModel):
    """One bin of a column."""

    name: str
    reference: float = Field(description="share of the reference's values")
    now: float = Field(description="share of the window's values")


class DriftColumn(BaseModel):
    """A feature, or something that the version answered, against its reference."""

    name: str
    role: str = Field(description="input, or output for what the version answered")
    level: str
    p_value: float = Field(description="the smallest of its tests, corrected over all tests of the check")
    psi: float = Field(description="population stability index beyond chance")
    detail: str = Field(description="what changed most, in words")
    missing_reference: float = Field(description="share of missing values in the reference")
    missing_now: float
    mean_reference: float | None = Field(description="null for categories")
    mean_now: float | None
    bins: list[DriftBin]


class EstimatedMetric(BaseModel):
    """The metric of the contract, estimated from probabilities without labels; it holds while labels keep their meaning."""

    metric: str
    value: float
    low: float = Field(description="lower end of the interval of 95 %")
    high: float
    reference: float | None = Field(description="the same estimate on the version's test set")
    measured: float | None = Field(description="the metric on the test set, with labels")


class ClassifierUse(BaseModel):
    """A column that the classifier used to tell the records apart."""

    name: str
    share: float = Field(description="share of the gain")


class SecondOpinionInfo(BaseModel):
    """How well a classifier tells the records from the train set: 0.5 is a guess."""

    auc: float
    low: float = Field(description="lower end of the interval of 95 %")
    high: float
    columns: list[ClassifierUse]


class DriftInfo(BaseModel):
    """One check of a data set."""

    dataset: str
    level: LevelName = Field(description="not_enough, ok, warn, drift or act")
    found: LevelName = Field(description="of this window alone; the level falls only when a window without old records is lower")
    since: datetime | None = Field(description="when the alarm began; null without one")
    summary: str
    version: str = Field(description="the champion whose answers were compared")
    checked_at: datetime
    records: int = Field(description="in the window")
    refused: int = Field(description="records of the stream that broke the contract meanwhile; they are in no window")
    refused_share: float = Field(description="their share of what came in, 0 to 1")
    minimum: int = Field(description="records below which the level is not_enough")
    tests: int = Field(description="number of tests that the p-values are corrected for")
    first: datetime | None = Field(description="when the oldest record of the window was scored")
    last: datetime | None = Field(description="when the newest was")
    cursor: str | None = Field(description="`after` of GET /predictions: the records of the window follow, newest first")
    columns: list[DriftColumn] = Field(description="the most different first")
    quality: EstimatedMetric | None
    second_opinion: SecondOpinionInfo | None


class PastColumn(BaseModel):
    """A column at one check."""

    name: str
    role: str
    level: str
    psi: float
    p_value: float


class PastDrift(BaseModel):
    """An earlier check, without its distributions."""

    checked_at: datetime
    version: str
    level: LevelName
    records: int
    estimate: float | None = Field(description="of the metric, without labels")
    auc: float | None = Field(description="of the second opinion")
    columns: list[PastColumn]


class DriftHistory(BaseModel):
    """The checks of a data set, the oldest first."""

    dataset: str
    checks: list[PastDrift]
