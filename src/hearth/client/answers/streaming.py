"""Records in the stream, and what became of them."""

from collections.abc import Sequence

from hearth.client.answers.base import Answer
from hearth.client.answers.predictions import StoredPrediction


class QueuedRecords(Answer):
    """Records that wait to be scored: record i is row i % records_per_message of message i // records_per_message."""

    dataset: str
    alias: str
    message_ids: Sequence[str]
    records_per_message: int
    n_records: int


class DeadRecords(Answer):
    """Why a message, or some of its records, can never be scored."""

    error: str
    reason: str
    time: str
    trace_id: str | None = None


class DeadLetterInfo(DeadRecords):
    """A message that can never be scored, all or part of it; `dataset` is the one that it names."""

    message_id: str
    dataset: str = ""


class MessageOutcome(Answer):
    """What became of a message; `status` is queued, being_scored, scored, dead or partly_dead."""

    message_id: str
    status: str
    predictions: Sequence[StoredPrediction]
    dead: DeadRecords | None
    problem: str


class StreamInfo(Answer):
    """The state of the stream for the group of the workers."""

    stream: str
    group: str
    length: int
    bound: int
    lag: int | None
    pending: int
    oldest_seconds: float
    newest_seconds: float | None
    dead_letters: int
    latest_dead_letters: Sequence[DeadLetterInfo]
