"""JSON as people mean it: an object that has a key twice is refused, of which a parser would silently keep the last value.

No fast parser says so. But each key is followed by a colon outside of texts, so an object without repeated keys has as many keys as the
JSON text has such colons. Colons of all bytes are counted at the speed of memory; only where there are more of them than keys, because a
text holds one or a key is repeated, the JSON is read again by a parser that sees each key.
"""

import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Sequence

from pydantic_core import from_json

_COLON = ord(":")
_LONGEST_SHOWN = 80


class InvalidJson(ValueError):
    """A text is not JSON, or an object in it has a key twice. The message continues a sentence that begins with the text."""


class RepeatedKey(InvalidJson):
    """An object has a key twice."""


def parse_json(content: bytes | str) -> object:
    """Return the value of a JSON text. NaN and Infinity, which Python writes, become floats: the error about them can name the record.

    A byte order mark before the text is read over.

    Raises:
        InvalidJson: the text is not JSON, or not UTF-8.
        RepeatedKey: an object has a key twice.
    """
    if isinstance(content, bytes):
        content = content.removeprefix(BOM_UTF8)
    try:
        value = from_json(content, allow_inf_nan=True)
    except ValueError as error:
        if isinstance(content, bytes):
            _require_utf8(content)
        raise InvalidJson(f"is not JSON: {error}") from error
    colons = content.count(":") if isinstance(content, str) else content.count(_COLON)
    if colons != _keys(value):
        _require_distinct_keys(content)
    return value


def _require_utf8(content: bytes) -> None:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        byte, place = content[error.start], error.start
        raise InvalidJson(f"is not UTF-8 (byte 0x{byte:02x} at position {place}): send JSON as UTF-8") from error


def _keys(value: object) -> int:
    """Return the number of keys of a value, of an object in it, and of the objects in a list in it: at most all that there are."""
    if isinstance(value, list):
        return _keys_of_all(value)
    if not isinstance(value, dict):
        return 0
    return len(value) + sum(
        len(part) if isinstance(part, dict) else _keys_of_all(part) for part in value.values() if isinstance(part, dict | list)
    )


def _keys_of_all(values: Sequence[object]) -> int:
    if not values or type(values[0]) is not dict:
        return 0
    return sum([len(value) for value in values if type(value) is dict])


def _require_distinct_keys(content: bytes | str) -> None:
    json.JSONDecoder(object_pairs_hook=_distinct, parse_int=str, parse_float=str).decode(
        content if isinstance(content, str) else content.decode()
    )


def _distinct(pairs: Sequence[tuple[str, object]]) -> None:
    """Raise RepeatedKey if a key is there twice; the values are of no interest."""
    if len(dict(pairs)) != len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise RepeatedKey(f"has the key {json.dumps(twice[:_LONGEST_SHOWN])} twice in one object, of which JSON would keep only the last")
