"""Reports of what records turned out to be, as messages."""

from collections.abc import Sequence
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from grpc_service.v1 import prediction_pb2 as pb
from hearth.predictions.feedback import Receipt, count_outcomes


def read_reports(request: pb.SendFeedbackRequest) -> list[dict[str, object]]:
    """Return the reports of a request, unchecked."""
    return [_read(report) for report in request.reports]


def feedback_response(receipts: Sequence[Receipt]) -> pb.SendFeedbackResponse:
    """Return the response to a request."""
    response = pb.SendFeedbackResponse(outcomes=count_outcomes(receipts), refused=sum(receipt.is_refused for receipt in receipts))
    for receipt in receipts:
        message = response.receipts.add(id=receipt.id, row=receipt.row, outcome=receipt.outcome)
        message.dataset, message.before, message.trace_id = receipt.dataset or "", receipt.before or "", receipt.trace_id or ""
        if receipt.error is not None:
            message.error.error, message.error.detail = receipt.error, receipt.detail or ""
    return response


def _read(report: pb.Feedback) -> dict[str, object]:
    kind = report.truth.WhichOneof("kind")
    return {
        "id": report.id,
        "row": report.row,
        "truth": getattr(report.truth, kind) if kind in {"number", "text"} else None,
        "dataset": report.dataset or None,
        "observed_at": _moment(report.observed_at) if report.HasField("observed_at") else None,
        "reported_by": report.reported_by or None,
    }


def _moment(time: Timestamp) -> datetime | str:
    """Return a time; one outside of the years 1 to 9999 as a text, which is refused with its report."""
    try:
        return time.ToDatetime(UTC)
    except (ValueError, OverflowError):
        return f"{time.seconds} seconds after 1970"
