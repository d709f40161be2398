"""Labels that were reported, and records that were erased."""

from collections.abc import Mapping, Sequence

from hearth.client.answers.base import Answer
from hearth.client.answers.retraining import TrainedOn


class Erasure(Answer):
    """What was erased of a record; `row` is None if it was a whole message."""

    message_id: str
    row: int | None
    dataset: str
    predictions: int
    labels: int
    trained_on: Sequence[TrainedOn]


class Receipt(Answer):
    """What became of one report.

    `outcome` is joined, waiting, same, changed, older or refused; `before` is the different label that counted when it came. A refused
    report has an `error`, a stable word, and a `detail`.
    """

    id: str
    row: int
    outcome: str
    dataset: str | None
    before: str | None
    error: str | None
    detail: str | None
    trace_id: str | None = None


class FeedbackAnswer(Answer):
    """What became of reports, in their order."""

    outcomes: Mapping[str, int]
    refused: int
    receipts: Sequence[Receipt]
