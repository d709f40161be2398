"""Reports of what records turned out to be, from any door: each is checked, stored and answered by itself.

A report is an object with `id` and `truth`; `row` (0), `dataset`, `observed_at` and `reported_by` may be left out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from hearth.contracts import Contract
from hearth.contracts.truth import read_truth
from hearth.errors import HearthError, InvalidFeedback, UnknownDataset, UnknownPrediction
from hearth.predictions.label import Label, LabelOutcome, RecordKey
from hearth.predictions.label_store import LabelStore

FIELDS = ("id", "row", "truth", "dataset", "observed_at", "reported_by")
REFUSED = "refused"
_LONGEST_ID, _LONGEST_NAME = 256, 100
_LAST_ROW = 2**31 - 1
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Door:
    """Where reports come in.

    `source` is rest, graphql, grpc, stream or file. `reported_by` and `dataset` are for reports that do not say it themselves.
    """

    source: str
    reported_by: str
    dataset: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one report.

    Attributes:
        id: as it was sent; empty if it could not be read.
        outcome: one of `Outcome`, or refused.
        dataset: the data set that the label belongs to; None if it is refused.
        before: the different label that counted when this one came.
        error: the code of the error of a refused report, `detail` its message.
        trace_id: of the prediction that the report judges; None while that is not stored.
    """

    id: str
    row: int
    outcome: str
    dataset: str | None = None
    before: str | None = None
    error: str | None = None
    detail: str | None = None
    trace_id: str | None = None

    @property
    def is_refused(self) -> bool:
        """Whether nothing was stored because of a mistake in the report."""
        return self.outcome == REFUSED


@dataclass(frozen=True, slots=True)
class _Report:
    key: RecordKey
    truth: object
    dataset: str | None
    observed_at: datetime | None
    reported_by: str


def receive(store: LabelStore, contracts: Mapping[str, Contract], reports: Sequence[object], door: Door) -> list[Receipt]:
    """Store the labels of the reports that can be read, and answer each of all; retrying is safe.

    Raises:
        PredictionsUnavailable: all or none may be stored.
    """
    now = datetime.now(UTC)
    parsed: list[_Report | Receipt] = [_attempted(report, door, now) for report in reports]
    datasets = store.datasets({report.key for report in parsed if isinstance(report, _Report)}) if parsed else {}
    resolved = [report if isinstance(report, Receipt) else _resolved(report, contracts, datasets, door) for report in parsed]
    outcomes = iter(store.add([label for label in resolved if isinstance(label, Label)]))
    return [item if isinstance(item, Receipt) else _receipt(item, next(outcomes)) for item in resolved]


def count_outcomes(receipts: Sequence[Receipt]) -> dict[str, int]:
    """Return how many reports had each outcome."""
    return dict(sorted(Counter(receipt.outcome for receipt in receipts).items()))


def _receipt(label: Label, outcome: LabelOutcome) -> Receipt:
    return Receipt(label.message_id, label.row, outcome.outcome.value, label.dataset, outcome.before, trace_id=outcome.trace_id)


def _attempted(report: object, door: Door, now: datetime) -> _Report | Receipt:
    try:
        return _parsed(report, door, now)
    except InvalidFeedback as error:
        return _refusal(_key_of(report), error)


def _parsed(report: object, door: Door, now: datetime) -> _Report:
    if not isinstance(report, Mapping):
        raise InvalidFeedback("report", report, f"an object with {', '.join(FIELDS)}")
    for name in report:
        if name not in FIELDS:
            raise InvalidFeedback("field", name, f"one of {', '.join(FIELDS)}")
    message_id = _text(report, "id", _LONGEST_ID)
    row = report.get("row")
    row = 0 if row is None else row
    if isinstance(row, bool) or not isinstance(row, int) or not 0 <= row <= _LAST_ROW:
        raise InvalidFeedback("row", row, "the index of the record in its request, from 0")
    if report.get("truth") is None:
        raise InvalidFeedback("truth", None, "what the record turned out to be")
    dataset = door.dataset if report.get("dataset") is None else _text(report, "dataset", _LONGEST_NAME)
    reported_by = door.reported_by if report.get("reported_by") is None else _text(report, "reported_by", _LONGEST_NAME)
    return _Report(RecordKey(message_id, row), report["truth"], dataset, _moment(report.get("observed_at"), now), reported_by)


def _text(report: Mapping[object, object], name: str, longest: int) -> str:
    text = report.get(name)
    if not isinstance(text, str) or not 1 <= len(text) <= longest or not text.isprintable():
        raise InvalidFeedback(name, text, f"a text of 1 to {longest} printable characters")
    return text


def _moment(value: object, now: datetime) -> datetime | None:
    """Return when something was observed; without a zone it is UTC, and a day is its beginning."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime.combine(moment, time.min)
    if not isinstance(moment, datetime):
        raise InvalidFeedback("observed_at", value, "a time such as 2026-11-21T08:00:00Z")
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not _EARLIEST <= moment <= now + _CLOCKS_DIFFER:
        raise InvalidFeedback("observed_at", value, f"a time from 1970 to now, which is {now:%Y-%m-%dT%H:%M:%SZ}")
    return moment.astimezone(UTC)  # PostgreSQL takes no zone of more than 16 hours


def _resolved(report: _Report, contracts: Mapping[str, Contract], datasets: Mapping[RecordKey, str], door: Door) -> Label | Receipt:
    try:
        return _label(report, contracts, datasets.get(report.key), door.source)
    except (InvalidFeedback, UnknownDataset) as error:
        return _refusal(report.key, error)


def _label(report: _Report, contracts: Mapping[str, Contract], predicted: str | None, source: str) -> Label:
    """Return the label of a report; `predicted` is the data set of its prediction, if that is stored."""
    if predicted is not None and report.dataset not in {None, predicted}:
        raise InvalidFeedback("dataset", report.dataset, f"{predicted!r}, to which the prediction belongs")
    dataset = predicted or report.dataset
    if dataset is None:
        raise UnknownPrediction(*report.key)
    if dataset not in contracts:
        raise UnknownDataset(dataset, sorted(contracts))
    code = read_truth(contracts[dataset], report.truth)
    label = contracts[dataset].target.classes[code]
    return Label(*report.key, dataset, code, label, report.observed_at, report.reported_by, source)


def _refusal(key: RecordKey, error: HearthError) -> Receipt:
    return Receipt(*key, REFUSED, error=error.code, detail=str(error))


def _key_of(report: object) -> RecordKey:
    """Return id and row of a report as far as they can be read, so that the sender finds it."""
    fields = report if isinstance(report, Mapping) else {}
    message_id, row = fields.get("id"), fields.get("row")
    known_row = row if isinstance(row, int) and not isinstance(row, bool) and 0 <= row <= _LAST_ROW else 0
    return RecordKey(message_id[:_LONGEST_ID] if isinstance(message_id, str) else "", known_row)
