"""Reports of what records turned out to be, and what became of them."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from hearth.predictions.feedback import Receipt, count_outcomes


class FeedbackReport(BaseModel):
    """What one record turned out to be."""

    id: str = Field(description="id of the request or message that the record was in: `request_id` of an answer, an id of /predict_stream")
    row: int = Field(0, ge=0, description="index of the record in its request or message")
    truth: str | int | float = Field(description="the class by its name, or as the target column of the data set holds it")
    dataset: str | None = Field(None, description="needed if the prediction is not stored, or not yet")
    observed_at: datetime | None = Field(None, description="when the truth was observed; by default when it is received")
    reported_by: str | None = Field(None, description="who says so; by default the name of the API key")


class FeedbackReports(BaseModel):
    """Several reports; what stands beside them is for those that do not say it themselves."""

    feedback: list[FeedbackReport] = Field(min_length=1)
    dataset: str | None = None
    observed_at: datetime | None = None
    reported_by: str | None = None


class ReceiptInfo(BaseModel):
    """What became of one report."""

    id: str = Field(description="as it was sent; empty if it could not be read")
    row: int
    outcome: Literal["joined", "waiting", "same", "changed", "older", "refused"] = Field(
        description="joined: the first label of a stored prediction; waiting: it counts when its prediction is stored; same: known already;"
        " changed: it takes the place of a different label; older: a different label was observed later; refused: nothing was stored"
    )
    dataset: str | None = Field(description="the data set of the label; null if it is refused")
    before: str | None = Field(description="the different label that counted when this one came")
    error: str | None = Field(description="of a refused report: a stable word")
    detail: str | None = Field(description="of a refused report: a sentence")
    trace_id: str | None = Field(None, description="the trace of the prediction that it judges; null while that is not stored")


class FeedbackAnswer(BaseModel):
    """What became of the reports of a request, in their order."""

    outcomes: dict[str, int] = Field(description="number of reports by outcome")
    refused: int = Field(description="number of reports of which nothing was stored")
    receipts: list[ReceiptInfo]


def feedback_answer(receipts: Sequence[Receipt]) -> FeedbackAnswer:
    """Return the answer to a request."""
    infos = [ReceiptInfo.model_construct(**asdict(receipt)) for receipt in receipts]
    return FeedbackAnswer(outcomes=count_outcomes(receipts), refused=sum(receipt.is_refused for receipt in receipts), receipts=infos)
