"""What a message of the stream means.

Fields: `dataset`; `alias`, champion if it is left out; and either `records`, a JSON list, or `record`, one JSON object.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic_core import from_json, to_json

from hearth.errors import InvalidMessage
from hearth.streaming.client import Entry, Fields

DEFAULT_ALIAS = "champion"
_LONGEST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Message:
    """Raw records, not yet checked, and the model that is asked about them."""

    dataset: str
    alias: str
    records: Sequence[object]


def encode(dataset: str, alias: str, records: Sequence[Mapping[str, object]]) -> Fields:
    """Return the fields of a message."""
    return {b"dataset": dataset.encode(), b"alias": alias.encode(), b"records": to_json(records)}


def decode(entry: Entry) -> Message:
    """Read a message.

    Raises:
        InvalidMessage: what it says cannot be read, now or ever.
    """
    fields = entry.fields
    if not fields:
        raise InvalidMessage("the stream was trimmed before the message was scored")
    dataset = _text(fields, b"dataset")
    alias = _text(fields, b"alias") if b"alias" in fields else DEFAULT_ALIAS
    if (b"records" in fields) == (b"record" in fields):
        raise InvalidMessage(f"expected either 'records' or 'record', got the fields {_shown(fields)}")
    if b"record" in fields:
        return Message(dataset, alias, [_json(fields, b"record")])
    records = _json(fields, b"records")
    if not isinstance(records, list) or not records:
        raise InvalidMessage(f"'records' must be a list of at least one record, got {fields[b'records'][:_LONGEST_SHOWN]!r}")
    return Message(dataset, alias, records)


def enqueued_at(message_id: str) -> datetime | None:
    """Return the server's time when a message came in, which its id begins with; None if the sender has chosen the id."""
    try:
        return datetime.fromtimestamp(int(message_id.partition("-")[0]) / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _text(fields: Fields, name: bytes) -> str:
    if name not in fields:
        raise InvalidMessage(f"the field {name.decode()!r} is missing, got the fields {_shown(fields)}")
    try:
        return fields[name].decode()
    except UnicodeDecodeError as error:
        raise InvalidMessage(f"{name.decode()!r} is not UTF-8 text: {fields[name][:_LONGEST_SHOWN]!r}") from error


def _json(fields: Fields, name: bytes) -> object:
    try:
        return from_json(fields[name], allow_inf_nan=False)
    except ValueError as error:
        raise InvalidMessage(f"{name.decode()!r} is not JSON: {error}; got {fields[name][:_LONGEST_SHOWN]!r}") from error


def _shown(fields: Fields) -> str:
    names = ", ".join(repr(name.decode(errors="replace")) for name in fields)
    return names[:_LONGEST_SHOWN]
