"""Reads the dead-letter stream: messages, or records of messages, that can never be scored, and the reasons."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from hearth.streaming.client import Entry, Fields, StreamClient, id_parts
from hearth.streaming.messages import enqueued_at
from hearth.streaming.pending import is_message_id

_PAGE_ENTRIES = 1_000
_ORIGINAL = b"original."
_LONGEST_NAME = 200  # bytes


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter. `id` is its own id, `message_id` that of its message; `fields` and `repeated` are those of the message.

    `trace_id` is that of the message, or where it named none of the batch that found it dead; None in letters that are older than traces.
    """

    id: str
    message_id: str
    error: str
    reason: str
    time: str
    fields: Fields
    repeated: tuple[tuple[bytes, bytes], ...] = ()
    trace_id: str | None = None

    @property
    def dataset(self) -> str:
        """The data set that the message names; empty if it names none, or in a way that nobody can read."""
        name = self.fields.get(b"dataset", b"")
        return name.decode(errors="replace") if len(name) <= _LONGEST_NAME else ""


class DeadLetters(StreamClient):
    """The dead letters of the stream `name`, oldest first."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(url, f"{name}_dead")

    def find(self, message_id: str) -> StoredLetter | None:
        """Return the latest letter of a message; None if there is none.

        Letters have ids of their own, so this reads all letters that are younger than the message.

        Raises:
            StreamUnavailable: the server does not answer.
        """
        latest = None
        if not is_message_id(message_id):
            return None
        for letter in self._from(_start(message_id)):
            if letter.message_id == message_id:
                latest = letter
        return latest

    def until(self, end: str) -> Iterator[StoredLetter]:
        """Yield all letters up to the id `end`, page by page; letters that are added meanwhile have later ids.

        Raises:
            StreamUnavailable: the server does not answer.
        """
        for letter in self._from("-"):
            if id_parts(letter.id) > id_parts(end):
                return
            yield letter

    def latest(self, count: int) -> Sequence[StoredLetter]:
        """Return at most `count` of the latest letters, latest first.

        Raises:
            StreamUnavailable: the server does not answer.
        """
        with self._translate_errors():
            entries: list[Entry] = self._redis.xrevrange(self._name, count=count)  # type: ignore[assignment]  # parsed by our own callback
        return [_letter(entry) for entry in entries]

    def list(self, after: str = "", count: int = _PAGE_ENTRIES) -> Sequence[StoredLetter]:
        """Return at most `count` letters after the id `after`, or the first ones.

        Raises:
            StreamUnavailable: the server does not answer.
        """
        return self._range(f"({after}" if after else "-", count)

    def _from(self, start: str) -> Iterator[StoredLetter]:
        while page := self._range(start, _PAGE_ENTRIES):
            yield from page
            if len(page) < _PAGE_ENTRIES:
                return
            start = f"({page[-1].id}"

    def _range(self, start: str, count: int) -> Sequence[StoredLetter]:
        with self._translate_errors():
            entries: list[Entry] = self._redis.xrange(self._name, min=start, count=count)  # type: ignore[assignment]  # parsed by our own callback
        return [_letter(entry) for entry in entries]


def _start(message_id: str) -> str:
    """Return the first id that the letter of a message can have: a letter is younger than its message, unless the sender chose the id."""
    message_time = enqueued_at(message_id)
    if message_time is None or message_time > datetime.now(UTC):
        return "-"
    return str(max(0, int(message_time.timestamp() * 1000) - 1))


def _letter(entry: Entry) -> StoredLetter:
    fields = entry.fields
    return StoredLetter(
        id=entry.id,
        message_id=_text(fields, b"message_id"),
        error=_text(fields, b"error"),
        reason=_text(fields, b"reason"),
        time=_text(fields, b"time"),
        fields=dict(_original(fields.items())),
        repeated=tuple(_original(entry.repeated)),
        trace_id=_text(fields, b"trace_id") or None,
    )


def _original(fields: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    return ((name.removeprefix(_ORIGINAL), value) for name, value in fields if name.startswith(_ORIGINAL))


def _text(fields: Fields, name: bytes) -> str:
    return fields.get(name, b"").decode(errors="replace")
