"""The call that reports what records turned out to be."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from hearth.client.answers import FeedbackAnswer
from hearth.client.calls import Call, Repeat, json_body, post


@dataclass(frozen=True, slots=True)
class Report:
    """What one record turned out to be.

    Attributes:
        id: `request_id` of an answer, or an id of `predict_stream`.
        truth: the class by its name, or as the target column of the data set holds it.
        row: index of the record in its request or message.
        dataset: needed if the prediction is not stored, or not yet.
        observed_at: when the truth was observed; by default when it is received.
        reported_by: who says so; by default the name of the API key.
    """

    id: str
    truth: str | float
    row: int = 0
    dataset: str | None = None
    observed_at: datetime | None = None
    reported_by: str | None = None


def send_feedback(
    reports: Report | Mapping[str, object] | Sequence[object],
    *,
    dataset: str | None = None,
    reported_by: str | None = None,
) -> Call[FeedbackAnswer]:
    """Report what one record or several turned out to be, each a `Report` or a mapping; the same report may be sent again.

    A report that is refused does not cost those beside it: look at `refused`, and at the `error` of each receipt. `dataset` and
    `reported_by` are for reports that do not say it themselves.

    Raises:
        InvalidRequest: nothing can be read, or there are too many reports; nothing was stored.
        ServiceUnavailable: the predictions store is away.
    """
    several = [reports] if isinstance(reports, Report | Mapping) else reports
    shared = {name: value for name, value in (("dataset", dataset), ("reported_by", reported_by)) if value is not None}
    return post("/feedback", FeedbackAnswer, json_body({**shared, "feedback": [_plain(report) for report in several]}), Repeat.SAFE)


def _plain(report: object) -> object:
    """Return a report without the fields that are None, for which stands what applies to all; the service judges what is no report."""
    fields = asdict(report) if isinstance(report, Report) else report
    return {name: value for name, value in fields.items() if value is not None} if isinstance(fields, Mapping) else fields
