"""The dead-letter stream, read: which messages, or records of messages, could never be scored, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from hearth.streaming.client import Entry, Fields, StreamClient, entries_of, id_parts
from hearth.streaming.messages import enqueued_at
from hearth.streaming.pending import is_message_id

_PAGE_ENTRIES = 1_000
_ORIGINAL = b"original."


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter as the stream holds it. `id` is its own, `message_id` that of the message, `fields` are what the message said."""

    id: str
    message_id: str
    error: str
    reason: str
    time: str
    fields: Fields


class DeadLetters(StreamClient):
    """The dead letters of a stream, oldest first; `name` is that of the stream whose messages died."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(url, f"{name}_dead")

    def find(self, message_id: str) -> StoredLetter | None:
        """Return the letter of a message, the latest if it has died more than once; None if there is none.

        Letters have ids of their own, so this reads all that were added since the message was.

        Raises:
            StreamUnavailable: the server does not answer.
        """
        found = None
        if not is_message_id(message_id):
            return None
        for letter in self._from(_start(message_id)):
            if letter.message_id == message_id:
                found = letter
        return found

    def until(self, end: str) -> Iterator[StoredLetter]:
        """Yield all letters up to the one whose own id is `end`, page by page: what dies meanwhile has a later one.

        Raises:
            StreamUnavailable: the server does not answer.
        """
        for letter in self._from("-"):
            if id_parts(letter.id.encode()) > id_parts(end.encode()):
                return
            yield letter

    def latest(self, count: int) -> Sequence[StoredLetter]:
        """Return the last letters, the latest first.

        Raises:
            StreamUnavailable: the server does not answer.
        """
        with self._answering():
            answer = self._redis.xrevrange(self._name, count=count)
        return [_letter(entry) for entry in entries_of(answer)]  # type: ignore[arg-type]  # redis types every answer as anything

    def list(self, after: str = "", count: int = _PAGE_ENTRIES) -> Sequence[StoredLetter]:
        """Return the letters that follow the one whose own id is `after`, or the first ones.

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
        with self._answering():
            answer = self._redis.xrange(self._name, min=start, count=count)
        return [_letter(entry) for entry in entries_of(answer)]  # type: ignore[arg-type]  # redis types every answer as anything


def _start(message_id: str) -> str:
    """Return the first id that a message's letter can have: it is younger than the message, unless the sender has chosen that one's id."""
    came_in = enqueued_at(message_id)
    if came_in is None or came_in > datetime.now(UTC):
        return "-"
    return str(max(0, int(came_in.timestamp() * 1000) - 1))


def _letter(entry: Entry) -> StoredLetter:
    fields = entry.fields
    original = {name.removeprefix(_ORIGINAL): value for name, value in fields.items() if name.startswith(_ORIGINAL)}
    return StoredLetter(
        entry.id, _text(fields, b"message_id"), _text(fields, b"error"), _text(fields, b"reason"), _text(fields, b"time"), original
    )


def _text(fields: Fields, name: bytes) -> str:
    return fields.get(name, b"").decode(errors="replace")
