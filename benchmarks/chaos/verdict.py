"""What has to be true when all is over, and what is."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from redis import Redis

from hearth.streaming.dead_letters import DeadLetters, StoredLetter
from hearth.streaming.producer.fake_messages import FakeMessage

_PROBLEMS_IN_A_LETTER = 10  # a letter names so many
_EXAMPLES = 3
KEEP_MESSAGES = 200  # settled messages that stay in the stream; HEARTH_STREAM_KEEP_MESSAGES of the workers
_MOST_UNREAD = 10_000  # are counted

Key = tuple[str, int]


@dataclass(frozen=True)
class Count:
    """One line of the verdict."""

    what: str
    expected: int
    found: int
    examples: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return self.expected == self.found


@dataclass(frozen=True)
class Backlog:
    """What a group has still to do. `surplus` are the messages in the stream beyond the settled ones that are to stay in it."""

    pending: int
    unread: int
    surplus: int

    @property
    def is_empty(self) -> bool:
        return self.pending == self.unread == self.surplus == 0


def judge(messages: Mapping[str, FakeMessage], rows: Counter[Key], letters: Sequence[StoredLetter], backlog: Backlog) -> list[Count]:
    """Compare what was sent, by message id, with what was stored, by message id and row, and with the dead letters."""
    sent = messages.items()
    good = {(id_, row) for id_, message in sent for row in range(message.records) if message.readable and row not in message.bad}
    dead = {id_ for id_, message in sent if message.bad}
    told = Counter(letter.message_id for letter in letters)
    not_once = (key for key in good if rows[key] != 1)
    not_told_once = (f"{id_}: {told[id_]}" for id_ in dead if told[id_] != 1)
    not_to_be_dead = (f"{letter.message_id}: {letter.error}" for letter in letters if letter.message_id not in dead)
    named = sum(_rows_named(messages[letter.message_id], letter) for letter in letters if letter.message_id in dead)
    return [
        _count("good records with exactly one row", len(good), sum(rows[key] == 1 for key in good), not_once),
        _count("rows in all", len(good), sum(rows.values()), (key for key in rows if key not in good)),
        _count("bad messages with exactly one dead letter", len(dead), sum(told[id_] == 1 for id_ in dead), not_told_once),
        _count("dead letters in all", len(dead), len(letters), not_to_be_dead),
        Count("bad records that their letters name", sum(len(message.bad) for message in messages.values()), named),
        Count("messages read and not settled", 0, backlog.pending),
        Count("messages not read", 0, backlog.unread),
        Count("messages left in the stream, but for those that are to stay", 0, backlog.surplus),
    ]


def stored_rows(database_url: str) -> Counter[Key]:
    """Return how often each message and row was stored."""
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT message_id, row, count(*) FROM predictions GROUP BY message_id, row").fetchall()
    return Counter({(id_, row): count for id_, row, count in found})


def dead_letters(redis_url: str, stream: str) -> list[StoredLetter]:
    """Return all dead letters."""
    with DeadLetters(redis_url, stream) as letters:
        found: list[StoredLetter] = []
        while page := letters.list(found[-1].id if found else ""):
            found.extend(page)
        return found


def backlog(redis_url: str, stream: str, group: str) -> Backlog:
    """Ask the server what the group has still to do."""
    with Redis.from_url(redis_url) as redis:
        answer: Any = redis.xinfo_groups(stream)
        [found] = [given for given in answer if given["name"].decode() == group]
        length: Any = redis.xlen(stream)
        unread: Any = redis.xrange(stream, min=f"({found['last-delivered-id'].decode()}", count=_MOST_UNREAD)
        return Backlog(found["pending"], len(unread), length - KEEP_MESSAGES)


def _count(what: str, expected: int, found: int, wrong: Iterator[object]) -> Count:
    return Count(what, expected, found, tuple(str(given) for given, _ in zip(wrong, range(_EXAMPLES), strict=False)))


def _rows_named(message: FakeMessage, letter: StoredLetter) -> int:
    """Return how many of the bad rows a letter accounts for: all of a message that nobody can read, else those it names."""
    if not message.readable:
        return len(message.bad)
    shown = sorted(message.bad)[:_PROBLEMS_IN_A_LETTER]
    named = sum(f"row {row}, " in letter.reason for row in shown)
    return len(message.bad) if named == len(shown) else named
