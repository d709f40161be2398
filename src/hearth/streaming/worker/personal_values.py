"""Keeps values of personal columns out of dead letters, which stay for long and which more people read than records."""

from collections.abc import Iterable
from dataclasses import replace

from pydantic_core import from_json, to_json

from hearth.contracts import Contract
from hearth.contracts.column_types import HIDDEN
from hearth.streaming.client import MESSAGE_ID, REPLAY_OF, TRACEPARENT
from hearth.streaming.consumer import DeadLetter
from hearth.streaming.messages import ALIAS_FIELDS
from hearth.tracing.traceparent import parse_traceparent

_ADDRESS = frozenset((b"dataset", *ALIAS_FIELDS))


class PersonalValues:
    """Removes personal columns from the messages that letters hold; without such columns letters stay as they are.

    A message that goes to the wrong data set may hold the columns of any, so those of all contracts are removed. What cannot be read as
    records is left out as a whole: nobody knows what it holds.
    """

    def __init__(self, contracts: Iterable[Contract]) -> None:
        self._names = frozenset(name for contract in contracts for name in contract.personal_columns)

    def hide(self, letters: Iterable[DeadLetter]) -> list[DeadLetter]:
        """Return the letters without personal values."""
        return [self._hidden(letter) for letter in letters] if self._names else list(letters)

    def _hidden(self, letter: DeadLetter) -> DeadLetter:
        entry = letter.entry
        fields = {name: self._field(name, value) for name, value in entry.fields.items()}
        repeated = tuple((name, self._field(name, value)) for name, value in entry.repeated)
        return replace(letter, entry=replace(entry, fields=fields, repeated=repeated))

    def _field(self, name: bytes, value: bytes) -> bytes:
        if name in _ADDRESS or (name == REPLAY_OF and MESSAGE_ID.fullmatch(value)):
            return value
        if name == TRACEPARENT and parse_traceparent(value.decode("latin-1")):
            return value
        try:
            content = from_json(value, allow_inf_nan=True)
        except ValueError:
            return HIDDEN.encode()
        records = content if isinstance(content, list) else [content]
        if not all(isinstance(record, dict) for record in records):
            return HIDDEN.encode()
        kept = [{column: cell for column, cell in record.items() if column not in self._names} for record in records]
        return to_json(kept if isinstance(content, list) else kept[0], inf_nan_mode="constants")
