"""What was decided about training again, and what was erased."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

StateName = Literal["waiting", "labels_needed", "paused", "running", "deployed", "refused", "failed"]


class MetricDifference(BaseModel):
    """The metric of a version minus that of the champion on the same rows, with its interval."""

    rows: int
    value: float
    low: float
    high: float


class RetrainInfo(BaseModel):
    """A decision about training again."""

    id: str = Field(description="the run of the DAG that decided")
    trigger: str = Field(description="drift, quality, schedule, person, or none")
    state: StateName
    decided_at: datetime
    ended_at: datetime | None
    why: str
    times: int = Field(description="how often a wait was decided in a row")
    last_at: datetime | None = Field(description="when a wait was decided last, if more than once")
    records: int | None = Field(description="labelled records in the data")
    digest: str | None = Field(description="the data of the version")
    version: str | None = Field(description="the best candidate, once it is registered")
    family: str | None
    champion: str | None = Field(description="the version that it was compared with")
    recent: MetricDifference | None = Field(description="on the newest labelled records, which judge")
    old: MetricDifference | None = Field(description="on the test set of the data that were published last")
    trace_id: str | None = Field(None, description="the trace of the run that decided; null if it was decided before there were any")


class NextRetrain(BaseModel):
    """What would be decided now, if nobody asks by hand."""

    state: StateName
    trigger: str
    why: str
    until: datetime | None = Field(description="when the answer can be another one by time alone")
    labels: int = Field(description="labelled records of the window")
    new_labels: int = Field(description="those that the last retraining did not have")
    needed: int = Field(description="labelled records that a retraining takes")


class RetrainList(BaseModel):
    """The decisions about a data set, the newest first, and the next one."""

    dataset: str
    next: NextRetrain
    retrains: list[RetrainInfo]


class TrainedOnInfo(BaseModel):
    """A retraining whose data hold an erased record."""

    id: str
    state: StateName
    digest: str | None
    version: str | None


class ErasureInfo(BaseModel):
    """What was erased of a record or of a whole message."""

    message_id: str
    row: int | None = Field(description="null: all rows of the message")
    dataset: str
    predictions: int
    labels: int
    trained_on: list[TrainedOnInfo] = Field(description="data and versions that hold the record still: it was trained on before")
