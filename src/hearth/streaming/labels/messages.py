"""The format of a message of the stream of labels.

Fields: either `reports`, a JSON list, or `report`, one JSON object, each report as docs/feedback.md has it; and for all reports that do not
say it themselves `dataset`, `reported_by` and `observed_at`, by default the time at which the message was added. Any other field is an
error. A message that was put back from the dead letters also has `replay_of`, and `traceparent` is the place in a trace that a message was
sent from.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydantic_core import to_json

from hearth.contracts.strict_json import InvalidJson, parse_json
from hearth.errors import InvalidMessage
from hearth.predictions.feedback import FIELDS
from hearth.streaming.client import REPLAY_OF, TRACEPARENT, Entry, Fields
from hearth.streaming.messages import enqueued_at

_SHARED = ("dataset", "reported_by", "observed_at")
_KNOWN = frozenset((b"report", b"reports", REPLAY_OF, TRACEPARENT, *(name.encode() for name in _SHARED)))
_EXCERPT_LENGTH = 100


def encode_reports(reports: Sequence[Mapping[str, object]], dataset: str | None = None) -> Fields:
    """Return the fields of a message."""
    fields = {b"reports": to_json(reports)}
    return fields if dataset is None else {b"dataset": dataset.encode(), **fields}


def read_reports(entry: Entry) -> list[object]:
    """Return the reports of a message, unchecked, each with what applies to all.

    Raises:
        InvalidMessage: they are missing or cannot be read.
    """
    fields = entry.fields
    if entry.too_large:
        raise InvalidMessage(
            f"it has {entry.too_large} bytes, more than HEARTH_STREAM_MAX_MESSAGE_BYTES allows; its fields are not in the letter. Send its "
            "reports in several messages"
        )
    if not fields:
        raise InvalidMessage("the stream was trimmed before the message was read")
    repeated = [name for name, _ in entry.repeated if name != TRACEPARENT]
    if repeated or not fields.keys() <= _KNOWN or (b"report" in fields) == (b"reports" in fields):
        names = ", ".join(repr(name.decode(errors="replace")) for name in (*fields, *dict(entry.repeated)))[:_EXCERPT_LENGTH]
        raise InvalidMessage(f"expected either 'report' or 'reports', and {', '.join(_SHARED)}, each once; got the fields {names}")
    reports = [_json(fields, b"report")] if b"report" in fields else _json(fields, b"reports")
    if not isinstance(reports, list) or not reports:
        raise InvalidMessage(f"'reports' must be a list of at least one object with {', '.join(FIELDS)}")
    shared = {name: _text(fields, name.encode()) for name in _SHARED if name.encode() in fields}
    if "observed_at" not in shared and (added := enqueued_at(entry.key)):
        shared["observed_at"] = min(added, datetime.now(UTC)).isoformat()  # so that a message that is read again says the same
    return [{**shared, **report} if isinstance(report, dict) else report for report in reports]


def _text(fields: Fields, name: bytes) -> str:
    try:
        return fields[name].decode()
    except UnicodeDecodeError as error:
        raise InvalidMessage(f"{name.decode()!r} is not UTF-8 text: {fields[name][:_EXCERPT_LENGTH]!r}") from error


def _json(fields: Fields, name: bytes) -> object:
    try:
        return parse_json(fields[name])
    except InvalidJson as error:
        raise InvalidMessage(f"{name.decode()!r} {error}; it has {len(fields[name])} bytes") from error
