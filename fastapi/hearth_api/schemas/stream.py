"""The stream, its messages, and stored predictions."""

from datetime import datetime

from pydantic import BaseModel, Field


class QueuedRecords(BaseModel):
    """Queued records: record i of the request is row i % records_per_message of message i // records_per_message."""

    dataset: str
    alias: str
    message_ids: list[str] = Field(description="in the order of the records; GET /predictions/{id} returns the state of one")
    records_per_message: int
    n_records: int


class StoredUnusual(BaseModel):
    """How unlike the train set of the version the record is."""

    score: float = Field(description="share of the train set that is less unusual, 0 to 1")
    unusual: bool = Field(description="whether the record is beyond nearly all of the train set")


class StoredPrediction(BaseModel):
    """The prediction of one version for one record."""

    message_id: str = Field(description="id of the message in the stream, or of the request")
    row: int = Field(description="position of the record in its message or request, from 0")
    dataset: str
    alias: str
    version: str
    family: str
    prediction: int | str = Field(description="the class as the data set's column holds it")
    label: str = Field(description="class name")
    probabilities: dict[str, float] = Field(description="of each class, by name")
    record: dict[str, object]
    source: str = Field(description="the interface: stream, rest, graphql, grpc, file or batch")
    role: str = Field(description="answer, or challenger for a prediction in shadow")
    enqueued_at: datetime | None
    scored_at: datetime
    set: list[str] | None = Field(None, description="the classes that the record may have; null if the version has no prediction sets")
    unusual: StoredUnusual | None = Field(None, description="null if the version does not know what is unusual")
    trace_id: str | None = Field(None, description="the trace of the request or message; null if it was stored before there were any")


class DeadRecords(BaseModel):
    """Why a message, or some of its records, can never be scored."""

    error: str = Field(description="a stable word")
    reason: str
    time: str
    trace_id: str | None = Field(None, description="the trace of the message; null if the letter is older than traces")


class DeadLetterInfo(DeadRecords):
    """A message that can never be scored, in whole or in part."""

    message_id: str
    dataset: str = Field("", description="that the message names; empty if it names none")


class StreamInfo(BaseModel):
    """The state of the stream, as the group of the workers sees it."""

    stream: str
    group: str
    length: int = Field(description="messages that wait or are being scored")
    bound: int = Field(description="most messages that may wait; above it REST queues nothing")
    lag: int | None = Field(description="messages that no worker has read; null if unknown")
    pending: int = Field(description="messages that were read and are not settled")
    oldest_seconds: float = Field(description="age of the oldest message that is not settled, 0 without one")
    newest_seconds: float | None = Field(description="age of the newest message, settled or not; null before the first")
    dead_letters: int = Field(description="number of dead letters")
    latest_dead_letters: list[DeadLetterInfo] = Field(description="the latest first")


class MessageOutcome(BaseModel):
    """The state of a message."""

    message_id: str
    status: str = Field(description="queued, being_scored, scored, dead, or partly_dead if some of its records are")
    predictions: list[StoredPrediction] = Field(description="by row")
    dead: DeadRecords | None
    problem: str = Field(description="why the state is incomplete: a server that does not answer; else empty")


class PredictionPage(BaseModel):
    """Stored predictions, newest first."""

    predictions: list[StoredPrediction]
    cursor: str | None = Field(description="cursor of the last one, for `after`; null if there are no more")
    next: str | None = Field(description="path of the next page; null if there is none")
