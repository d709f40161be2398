"""The format of a message of the stream.

Fields: `dataset`; `alias` or, as in REST, `model`, by default champion; and either `records`, a JSON list, or `record`, one JSON object. A
message that was put back from the dead letters also has `replay_of`, the id of the original message, under which its predictions are
stored. `include` names what its predictions must have: `set`, `unusual`, or both with a comma between. Every prediction is stored with
what its version knows of the two; a message that names what its version does not know is a dead letter. `routing_key` says who asks:
while a candidate answers a share of the champion's messages, the same key meets the same version; without it the id of the message decides.
`traceparent` is the place in a trace that the message was sent from, in W3C's form; one that cannot be read counts as none, and refuses
nothing. Any other field is an error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic_core import to_json

from hearth.contracts.strict_json import InvalidJson, parse_json
from hearth.errors import InvalidMessage
from hearth.serving.include import NOTHING, Include, InvalidInclude, parse_include
from hearth.streaming.client import MESSAGE_ID, REPLAY_OF, TRACEPARENT, Entry, Fields

DEFAULT_ALIAS = "champion"
ALIAS_FIELDS = (b"alias", b"model")
INCLUDE, ROUTING_KEY = b"include", b"routing_key"
_FIELDS = frozenset((b"dataset", *ALIAS_FIELDS, b"records", b"record", INCLUDE, ROUTING_KEY, REPLAY_OF, TRACEPARENT))
_EXCERPT_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Message:
    """Raw records, not yet checked, and the model that is to score them."""

    dataset: str
    alias: str
    records: Sequence[object]


def encode(dataset: str, alias: str, records: Sequence[Mapping[str, object]], include: Include = NOTHING, routing_key: str = "") -> Fields:
    """Return the fields of a message."""
    fields = {b"dataset": dataset.encode(), b"alias": alias.encode(), b"records": to_json(records)}
    if include:
        fields[INCLUDE] = ",".join(include.names).encode()
    return {**fields, ROUTING_KEY: routing_key.encode()} if routing_key else fields


def read_address(entry: Entry) -> tuple[str, str]:
    """Return the data set and the alias of a message.

    Raises:
        InvalidMessage: they are missing or cannot be read.
    """
    fields = entry.fields
    if entry.too_large:
        raise InvalidMessage(
            f"it has {entry.too_large} bytes, more than HEARTH_STREAM_MAX_MESSAGE_BYTES allows; its fields are not in the letter. Send its "
            "records in several messages"
        )
    if not fields:
        raise InvalidMessage("the stream was trimmed before the message was scored")
    if repeated := {name: value for name, value in entry.repeated if name != TRACEPARENT}:
        raise InvalidMessage(f"a field may occur only once; these occur more often: {_field_names(repeated)}")
    if REPLAY_OF in fields and not MESSAGE_ID.fullmatch(fields[REPLAY_OF]):
        raise InvalidMessage(f"{REPLAY_OF.decode()!r} must be the id of a message, got {fields[REPLAY_OF][:_EXCERPT_LENGTH]!r}")
    if unknown := {name: value for name, value in fields.items() if name not in _FIELDS}:
        raise InvalidMessage(
            f"unknown fields: {_field_names(unknown)}; "
            "expected 'dataset', 'alias' (or 'model'), 'records' or 'record', 'include' and 'routing_key'"
        )
    alias_fields = [name for name in ALIAS_FIELDS if name in fields]
    if len(alias_fields) > 1:
        raise InvalidMessage("expected either 'alias' or 'model', got both")
    return _text(fields, b"dataset"), _text(fields, alias_fields[0]) if alias_fields else DEFAULT_ALIAS


def read_records(entry: Entry) -> Sequence[object]:
    """Return the raw records of a message.

    Raises:
        InvalidMessage: they are missing or cannot be read.
    """
    fields = entry.fields
    if (b"records" in fields) == (b"record" in fields):
        raise InvalidMessage(f"expected either 'records' or 'record', got the fields {_field_names(fields)}")
    if b"record" in fields:
        return [_json(fields, b"record")]
    records = _json(fields, b"records")
    if not isinstance(records, list) or not records:
        raise InvalidMessage(f"'records' must be a list of at least one record, got {_described(records)}")
    return records


def read_message_include(entry: Entry) -> Include:
    """Return what the predictions of a message must have.

    Raises:
        InvalidMessage: the field cannot be read.
    """
    if INCLUDE not in entry.fields:
        return NOTHING
    try:
        return parse_include(_text(entry.fields, INCLUDE))
    except InvalidInclude as error:
        raise InvalidMessage(str(error)) from error


def decode(entry: Entry) -> Message:
    """Return the content of a message.

    Raises:
        InvalidMessage: it cannot be read.
    """
    dataset, alias = read_address(entry)
    return Message(dataset, alias, read_records(entry))


def max_records(entry: Entry) -> int:
    """Return an upper bound of the valid records of a message without parsing it: each has an opening brace."""
    return max(1, entry.fields.get(b"records", b"").count(b"{"))


def enqueued_at(message_id: str) -> datetime | None:
    """Return the time of the server that a message id begins with; None if the sender chose an id that is no time."""
    try:
        return datetime.fromtimestamp(int(message_id.partition("-")[0]) / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _text(fields: Fields, name: bytes) -> str:
    if name not in fields:
        raise InvalidMessage(f"the field {name.decode()!r} is missing, got the fields {_field_names(fields)}")
    try:
        return fields[name].decode()
    except UnicodeDecodeError as error:
        raise InvalidMessage(f"{name.decode()!r} is not UTF-8 text: {fields[name][:_EXCERPT_LENGTH]!r}") from error


def _json(fields: Fields, name: bytes) -> object:
    """Parse the JSON of a field."""
    try:
        return parse_json(fields[name])
    except InvalidJson as error:
        raise InvalidMessage(f"{name.decode()!r} {error}; it has {len(fields[name])} bytes") from error


def _described(value: object) -> str:
    """Return what a value is without its content, which may be personal; the letter of the message holds the content."""
    names: dict[type, str] = {
        dict: "an object",
        list: "an empty list",
        str: "a text",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")


def _field_names(fields: Fields) -> str:
    names = ", ".join(repr(name.decode(errors="replace")) for name in fields)
    return names[:_EXCERPT_LENGTH]
