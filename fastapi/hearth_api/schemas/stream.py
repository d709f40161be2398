"""What the service says of records that are scored over the stream, and of predictions that are stored."""

from datetime import datetime

from pydantic import BaseModel, Field


class QueuedRecords(BaseModel):
    """Records that wait to be scored: record number i of the request is row i % records_per_message of message i // records_per_message."""

    dataset: str
    alias: str
    message_ids: list[str] = Field(description="in the order of the records; GET /predictions/{id} tells what became of one")
    records_per_message: int
    n_records: int


class StoredPrediction(BaseModel):
    """What one version said about one record."""

    message_id: str = Field(description="of the stream, or the request's id")
    row: int = Field(description="the record's place in its message or request, from 0")
    dataset: str
    alias: str
    version: str
    family: str
    prediction: int | str = Field(description="the class as the data set's column holds it")
    label: str = Field(description="class name")
    probabilities: dict[str, float] = Field(description="of each class, by name")
    record: dict[str, object]
    source: str = Field(description="how the record came: stream, rest, graphql, grpc or file")
    role: str = Field(description="answer, or challenger for one in shadow")
    enqueued_at: datetime | None
    scored_at: datetime


class DeadRecords(BaseModel):
    """Why a message, or some of its records, can never be scored."""

    error: str = Field(description="a stable word")
    reason: str
    time: str


class DeadLetterInfo(DeadRecords):
    """A message that can never be scored, all or part of it."""

    message_id: str


class StreamInfo(BaseModel):
    """How the stream is, for the group of the workers."""

    stream: str
    group: str
    length: int = Field(description="messages that wait or are being scored")
    bound: int = Field(description="so many may be in it; while they are, REST queues nothing")
    lag: int | None = Field(description="messages that no worker has read; null if the server cannot tell")
    pending: int = Field(description="messages that were read and are not settled")
    oldest_seconds: float = Field(description="the age of the oldest message that is not settled, 0 if there is none")
    newest_seconds: float | None = Field(description="the age of the last message that has come, settled or not; null before the first")
    dead_letters: int = Field(description="letters that are kept of messages, or records of them, that can never be scored")
    latest_dead_letters: list[DeadLetterInfo] = Field(description="the latest first")


class MessageOutcome(BaseModel):
    """What became of a message."""

    message_id: str
    status: str = Field(description="queued, being_scored, scored, dead, or partly_dead if some of its records are")
    predictions: list[StoredPrediction] = Field(description="by row")
    dead: DeadRecords | None
    problem: str = Field(description="what could not be asked, so that the rest is not all; else empty")


class PredictionPage(BaseModel):
    """Stored predictions, newest first."""

    predictions: list[StoredPrediction]
    cursor: str | None = Field(description="of the last one, to go on with `after`; null if there are no more")
    next: str | None = Field(description="the path of the page that follows; null if there is none")
