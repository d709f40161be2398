"""What a message of the stream means.

Fields: `dataset`; `alias`, champion if it is left out; and either `records`, a JSON list, or `record`, one JSON object. One that was put
back from the dead letters has `replay_of` too: the id of the first message, which its predictions keep.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic_core import from_json, to_json

from hearth.errors import InvalidMessage
from hearth.streaming.client import MESSAGE_ID, REPLAY_OF, Entry, Fields

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


def address(entry: Entry) -> tuple[str, str]:
    """Return the data set and the alias that a message asks.

    Raises:
        InvalidMessage: it does not say, now or ever.
    """
    fields = entry.fields
    if not fields:
        raise InvalidMessage("the stream was trimmed before the message was scored")
    if REPLAY_OF in fields and not MESSAGE_ID.fullmatch(fields[REPLAY_OF]):
        raise InvalidMessage(f"{REPLAY_OF.decode()!r} must be the id of a message, got {fields[REPLAY_OF][:_LONGEST_SHOWN]!r}")
    return _text(fields, b"dataset"), _text(fields, b"alias") if b"alias" in fields else DEFAULT_ALIAS


def records_of(entry: Entry) -> Sequence[object]:
    """Return the raw records of a message.

    Raises:
        InvalidMessage: they cannot be read, now or ever.
    """
    fields = entry.fields
    if (b"records" in fields) == (b"record" in fields):
        raise InvalidMessage(f"expected either 'records' or 'record', got the fields {_shown(fields)}")
    if b"record" in fields:
        return [_json(fields, b"record")]
    records = _json(fields, b"records")
    if not isinstance(records, list) or not records:
        raise InvalidMessage(f"'records' must be a list of at least one record, got {fields[b'records'][:_LONGEST_SHOWN]!r}")
    return records


def decode(entry: Entry) -> Message:
    """Read a message.

    Raises:
        InvalidMessage: what it says cannot be read, now or ever.
    """
    dataset, alias = address(entry)
    return Message(dataset, alias, records_of(entry))


def most_records(entry: Entry) -> int:
    """Return how many records a message can hold at most, without reading it: each that can be scored has an opening brace."""
    return max(1, entry.fields.get(b"records", b"").count(b"{"))


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
    """Parse JSON. NaN and Infinity, which JSON does not have, are read as floats, so that only their record is refused."""
    try:
        return from_json(fields[name], allow_inf_nan=True)
    except ValueError as error:
        raise InvalidMessage(f"{name.decode()!r} is not JSON: {error}; got {fields[name][:_LONGEST_SHOWN]!r}") from error


def _shown(fields: Fields) -> str:
    names = ", ".join(repr(name.decode(errors="replace")) for name in fields)
    return names[:_LONGEST_SHOWN]
