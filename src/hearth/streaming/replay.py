"""List the dead letters, and put messages back on the stream: `python -m hearth.streaming.replay`, with `--help` for the filters.

Without a filter all letters are listed. A message that is put back keeps the id of the original as its key: existing predictions stay as
they are, missing ones are stored under the id that the sender received, and a new letter has that id too. A letter is removed in the step
that adds its message, so a crash neither loses nor duplicates a message.
"""

import argparse
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice

from hearth.errors import HearthError
from hearth.logs import configure_logging
from hearth.moments import parse_moment
from hearth.settings import StreamSettings
from hearth.streaming.client import REPLAY_OF, StreamWriter
from hearth.streaming.dead_letters import DeadLetters, StoredLetter
from hearth.streaming.messages import ALIAS_FIELDS, enqueued_at
from hearth.streaming.retrying import Retrier, Stopped, wait_while_full

_AT_ONCE = 100
_LONGEST_REASON = 100
_CHANGEABLE = ("alias", "dataset")
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
                fields = chain(original, overrides.items(), [(REPLAY_OF, letter.message_id.encode())])
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


def main() -> int:
    """List or put back; 0 if that was done."""
    options = _parser().parse_args()
    configure_logging("replay")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = StreamSettings()
        choice = Choice(frozenset(options.id), frozenset(options.error), frozenset(options.dataset), options.since, options.until)
        url = settings.redis_url.get_secret_value()
        with Replay(url, settings.stream_name) as replay, StreamWriter(url, settings.stream_name, settings.stream_keep_messages) as writer:
            if options.dry_run or not (options.all or choice != Choice()):
                _list(chosen(replay, choice))
            else:
                _put_back(replay, writer, choice, dict(options.set), settings.stream_max_length, Retrier(stop))
    except HearthError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a program for people
        return 1
    return 0


def _list(letters: Iterator[StoredLetter]) -> None:
    counts: Counter[str] = Counter()
    for letter in letters:
        counts[letter.error] += 1
        reason = letter.reason if len(letter.reason) <= _LONGEST_REASON else letter.reason[: _LONGEST_REASON - 1] + "…"
        asked = f"{field_text(letter, b'dataset') or '?'}@{field_text(letter, *ALIAS_FIELDS) or '?'}"
        print(f"{letter.time[:19]}  {letter.message_id:<20} {asked:<24} {letter.error}: {reason}")  # noqa: T201
    each = ", ".join(f"{count} {error}" for error, count in counts.most_common())
    print(f"{counts.total()} dead letters{': ' if each else ''}{each}.")  # noqa: T201


def _put_back(  # noqa: PLR0913, PLR0917 - what is chosen and how
    replay: Replay, writer: StreamWriter, choice: Choice, changes: Mapping[str, str], max_length: int, retrier: Retrier
) -> None:
    done = gone = 0
    try:
        found = chosen(replay, choice)
        writer.length()  # a server that is away now is told at once; one that goes away later is waited for
        while batch := list(islice(found, _AT_ONCE)):
            wait_while_full(writer.length, max_length, retrier)
            if retrier.stopping:
                break
            known = [letter for letter in batch if letter.fields]
            done += len(replay.put_back(known, changes))
            gone += len(batch) - len(known)
    except Stopped:
        pass  # the count below says how far it came
    print(f"{done} messages are back on the stream.")  # noqa: T201
    if gone:
        print(f"{gone} are not: their messages had been trimmed from the stream before anybody read them.")  # noqa: T201


def field_text(letter: StoredLetter, *names: bytes) -> str:
    """Return the first of these fields that the message of a letter has; empty if it has none."""
    name = next((name for name in names if name in letter.fields), b"")
    return letter.fields.get(name, b"").decode(errors="replace")


def _change(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if name not in _CHANGEABLE or not sign or not value:
        raise argparse.ArgumentTypeError(f"expected {' or '.join(f'{name}=VALUE' for name in _CHANGEABLE)}, got {text!r}")
    return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hearth.streaming.replay", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--id", action="append", default=[], help="of a message or of its letter; again for more")
    parser.add_argument("--error", action="append", default=[], help="a kind of error, such as unknown_alias; again for more")
    parser.add_argument("--dataset", action="append", default=[], help="of messages for this data set; again for more")
    parser.add_argument("--since", type=parse_moment, help="of messages that died from then on, such as 2026-11-21T08:00:00+00:00")
    parser.add_argument("--until", type=parse_moment, help="of messages that died before")
    parser.add_argument("--all", action="store_true", help="put all of them back")
    parser.add_argument("--set", type=_change, action="append", default=[], metavar="alias=VALUE", help="change the alias or the dataset")
    parser.add_argument("--dry-run", action="store_true", help="list what would be put back")
    return parser


if __name__ == "__main__":
    sys.exit(main())
