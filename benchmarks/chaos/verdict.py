"""The counts at the end of a run, and what they must be."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from redis import Redis

from hearth.streaming.dead_letters import DeadLetters, StoredLetter
from hearth.streaming.producer.fake_messages import FakeMessage

_LETTER_PROBLEMS = 10  # the most that a letter names
_EXAMPLES = 3
KEEP_MESSAGES = 200  # settled messages that stay in the stream; HEARTH_STREAM_KEEP_MESSAGES of the workers
_MOST_UNREAD = 10_000  # more are not counted

Key = tuple[str, int]


@dataclass(frozen=True)
class Count:
    """One line of the verdict."""

    what: str
    expected: int
    actual: int
    examples: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return self.expected == self.actual


@dataclass(frozen=True)
class Backlog:
    """The messages that a group has not finished. `surplus`: messages in the stream beyond the settled ones that stay in it."""

    pending: int
    unread: int
    surplus: int

    @property
    def is_empty(self) -> bool:
        return self.pending == self.unread == self.surplus == 0


def judge(messages: Mapping[str, FakeMessage], rows: Counter[Key], letters: Sequence[StoredLetter], backlog: Backlog) -> list[Count]:
    """Compare the messages, by id, with the stored rows, by message id and row, and with the dead letters."""
    items = messages.items()
    good = {(id_, row) for id_, message in items for row in range(message.records) if message.readable and row not in message.bad}
    dead = {id_ for id_, message in items if message.bad}
    letter_counts = Counter(letter.message_id for letter in letters)
    not_one_row = (key for key in good if rows[key] != 1)
    not_one_letter = (f"{id_}: {letter_counts[id_]}" for id_ in dead if letter_counts[id_] != 1)
    unexpected_letters = (f"{letter.message_id}: {letter.error}" for letter in letters if letter.message_id not in dead)
    named = sum(_named_rows(messages[letter.message_id], letter) for letter in letters if letter.message_id in dead)
    return [
        _count("good records with exactly one row", len(good), sum(rows[key] == 1 for key in good), not_one_row),
        _count("rows in all", len(good), sum(rows.values()), (key for key in rows if key not in good)),
        _count("bad messages with exactly one dead letter", len(dead), sum(letter_counts[id_] == 1 for id_ in dead), not_one_letter),
        _count("dead letters in all", len(dead), len(letters), unexpected_letters),
        Count("bad records that their letters name", sum(len(message.bad) for message in messages.values()), named),
        Count("messages read and not settled", 0, backlog.pending),
        Count("messages not read", 0, backlog.unread),
        Count("messages left in the stream, but for those that are to stay", 0, backlog.surplus),
    ]


def stored_rows(database_url: str) -> Counter[Key]:
    """Return how often each message and row was stored."""
    with psycopg.connect(database_url) as connection:
        groups = connection.execute("SELECT message_id, row, count(*) FROM predictions GROUP BY message_id, row").fetchall()
    return Counter({(id_, row): count for id_, row, count in groups})


def dead_letters(redis_url: str, stream: str) -> list[StoredLetter]:
    """Return all dead letters."""
    with DeadLetters(redis_url, stream) as letters:
        pages: list[StoredLetter] = []
        while page := letters.list(pages[-1].id if pages else ""):
            pages.extend(page)
        return pages


def backlog(redis_url: str, stream: str, group: str) -> Backlog:
    """Ask the server for the backlog of a group."""
    with Redis.from_url(redis_url) as redis:
        answer: Any = redis.xinfo_groups(stream)
        [state] = [entry for entry in answer if entry["name"].decode() == group]
        length: Any = redis.xlen(stream)
        unread: Any = redis.xrange(stream, min=f"({state['last-delivered-id'].decode()}", count=_MOST_UNREAD)
        return Backlog(state["pending"], len(unread), length - KEEP_MESSAGES)


def _count(what: str, expected: int, actual: int, wrong: Iterator[object]) -> Count:
    return Count(what, expected, actual, tuple(str(example) for example, _ in zip(wrong, range(_EXAMPLES), strict=False)))


def _named_rows(message: FakeMessage, letter: StoredLetter) -> int:
    """Return how many of the bad rows a letter accounts for: all of a message that is unreadable, else those that it names."""
    if not message.readable:
        return len(message.bad)
    first = sorted(message.bad)[:_LETTER_PROBLEMS]
    named = sum(f"row {row}, " in letter.reason for row in first)
    return len(message.bad) if named == len(first) else named
