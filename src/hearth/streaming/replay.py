"""The way of dead letters back to the stream; `hearth replay` is the program.

A message that is put back keeps the id of the first one as its key: predictions that its good
records have already stay as they are, those that were missing are stored under the id that its sender knows, and if it dies again, its
letter has that id too. A letter leaves the dead-letter stream in the same step in which its message is added, so a crash neither loses nor
doubles one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hearth.streaming.client import REPLAY_OF
from hearth.streaming.dead_letters import DeadLetters, StoredLetter
from hearth.streaming.messages import enqueued_at

# The letter goes last: if the message cannot be added, it is still there. If somebody else has put it back, nothing is added.
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
    """Which letters are meant: those that fit all that is given."""

    ids: frozenset[str] = field(default_factory=frozenset)
    """Of the messages, or of the letters themselves."""
    errors: frozenset[str] = field(default_factory=frozenset)
    datasets: frozenset[str] = field(default_factory=frozenset)
    since: datetime | None = None
    until: datetime | None = None

    def fits(self, letter: StoredLetter) -> bool:
        died = enqueued_at(letter.id) or datetime.now(UTC)  # by the server's clock, which is in the letter's own id
        return (
            (not self.ids or bool(self.ids & {letter.id, letter.message_id}))
            and (not self.errors or letter.error in self.errors)
            and (not self.datasets or field_text(letter, b"dataset") in self.datasets)
            and (self.since is None or died >= self.since)
            and (self.until is None or died < self.until)
        )


class Replay(DeadLetters):
    """The dead letters of a stream, and the way back."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(url, name)
        self._stream = name

    def put_back(self, letters: Sequence[StoredLetter], changes: Mapping[str, str] | None = None) -> list[str]:
        """Put the messages of letters back and return their new ids; of those that are no longer there, nothing is added.

        Raises:
            StreamUnavailable: some of them may be put back already; to try again is safe.
        """
        changed = {name.encode(): value.encode() for name, value in (changes or {}).items()}
        with self._answering(), self._redis.pipeline(transaction=False) as pipeline:
            for letter in letters:
                fields = {**letter.fields, **changed, REPLAY_OF: letter.message_id.encode()}
                said = (part for pair in fields.items() for part in pair)
                pipeline.eval(_PUT_BACK, 2, self._stream, self._name, letter.id, *said)
            return [id_.decode() for id_ in pipeline.execute() if id_]


def chosen(letters: DeadLetters, choice: Choice) -> Iterator[StoredLetter]:
    """Yield the letters that fit, oldest first; those that come meanwhile are not looked at.

    Raises:
        StreamUnavailable: the server does not answer.
    """
    for last in letters.latest(1):
        yield from (letter for letter in letters.until(last.id) if choice.fits(letter))


def field_text(letter: StoredLetter, name: bytes) -> str:
    """Return a field of the message of a letter; empty if it has none."""
    return letter.fields.get(name, b"").decode(errors="replace")
