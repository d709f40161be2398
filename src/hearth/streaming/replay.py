"""The way of dead letters back to the stream; `hearth replay` is the program.

A message that is put back keeps the id of the original as its key: existing predictions stay as they are, missing ones are stored under
the id that the sender received, and a new letter has that id too. A letter is removed in the step that adds its message, so a crash
neither loses nor duplicates a message.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain

from hearth.streaming.client import REPLAY_OF, TRACEPARENT
from hearth.streaming.dead_letters import DeadLetters, StoredLetter
from hearth.streaming.messages import ALIAS_FIELDS, enqueued_at
from hearth.tracing.traceparent import new_trace

# The letter is deleted last: if the message cannot be added, it stays. If another client has put it back, nothing is added.
_PUT_BACK = """
if #redis.call('XRANGE', KEYS[2], ARGV[1], ARGV[1]) == 0 then
    return false
end
local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2))
redis.call('XDEL', KEYS[2], ARGV[1])
return id
"""


@dataclass(frozen=True)
class Choice:
    """A filter of letters: a letter has to meet every condition that is set."""

    ids: frozenset[str] = field(default_factory=frozenset)
    """Ids of messages or of letters."""
    errors: frozenset[str] = field(default_factory=frozenset)
    datasets: frozenset[str] = field(default_factory=frozenset)
    since: datetime | None = None
    until: datetime | None = None

    def fits(self, letter: StoredLetter) -> bool:
        time = enqueued_at(letter.id) or datetime.now(UTC)  # the time of the server, part of the id
        return (
            (not self.ids or bool(self.ids & {letter.id, letter.message_id}))
            and (not self.errors or letter.error in self.errors)
            and (not self.datasets or field_text(letter, b"dataset") in self.datasets)
            and (self.since is None or time >= self.since)
            and (self.until is None or time < self.until)
        )


class Replay(DeadLetters):
    """The dead letters of a stream, with a method to put their messages back."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(url, name)
        self._stream = name

    def put_back(self, letters: Sequence[StoredLetter], changes: Mapping[str, str] | None = None) -> list[str]:
        """Put the messages of letters back and return their new ids; a letter that no longer exists is skipped.

        Raises:
            StreamUnavailable: some messages may have been put back; retrying is safe.
        """
        overrides = {name.encode(): value.encode() for name, value in (changes or {}).items()}
        removed = {*overrides, REPLAY_OF, *(ALIAS_FIELDS if b"alias" in overrides else ())}
        with self._translate_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for letter in letters:
                original = (pair for pair in chain(letter.repeated, letter.fields.items()) if pair[0] not in removed)
                fields = chain(original, overrides.items(), [(REPLAY_OF, letter.message_id.encode())], _trace(letter))
                arguments = (part for field in fields for part in field)
                pipeline.eval(_PUT_BACK, 2, self._stream, self._name, letter.id, *arguments)
            return [id_.decode() for id_ in pipeline.execute() if id_]


def chosen(letters: DeadLetters, choice: Choice) -> Iterator[StoredLetter]:
    """Yield the letters that pass the filter, oldest first; letters that are added meanwhile are not included.

    Raises:
        StreamUnavailable: the server does not answer.
    """
    for last in letters.latest(1):
        yield from (letter for letter in letters.until(last.id) if choice.fits(letter))


def _trace(letter: StoredLetter) -> list[tuple[bytes, bytes]]:
    """Return the field that keeps a message in the trace of its letter, if it has none of its own."""
    if letter.trace_id is None or TRACEPARENT in letter.fields:
        return []
    return [(TRACEPARENT, str(new_trace()._replace(trace_id=letter.trace_id)).encode())]


def field_text(letter: StoredLetter, *names: bytes) -> str:
    """Return the first of these fields that the message of a letter has; empty if it has none."""
    name = next((name for name in names if name in letter.fields), b"")
    return letter.fields.get(name, b"").decode(errors="replace")
