"""One consumer of a consumer group: reads and claims messages, acknowledges them and writes their dead letters."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from hearth.streaming.client import Entry, id_parts
from hearth.streaming.group import ConsumerGroup, next_id

_MAX_FIELDS = 3_000  # fields of a message that its letter holds: Lua unpacks at most 8,000 values
# The letter is written in the step that acknowledges its message, so a second worker, or a retry after a lost response, writes none.
_ACKNOWLEDGE_DEAD = """
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1) == 1 then
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
    redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
end
"""


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """A message that was read and is not acknowledged, and how often it was delivered."""

    id: str
    deliveries: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The reason why a message, or some of its records, can never be scored."""

    entry: Entry
    error: str
    reason: str
    time: str


class StreamConsumer(ConsumerGroup):
    """One consumer of a group. A message that it reads is pending for it until it is acknowledged or another consumer claims it."""

    def __init__(self, url: str, name: str, group: str, consumer: str, max_dead: int, keep: int = 0) -> None:  # noqa: PLR0913, PLR0917
        """About `max_dead` letters and `keep` settled messages stay on the server."""
        super().__init__(url, name, group, keep)
        self._consumer, self._max_dead = consumer, max_dead

    def read(self, count: int, block_milliseconds: int) -> list[Entry]:
        """Return at most `count` messages that no consumer has read; wait up to `block_milliseconds` for the first."""
        entries: list[Entry] | None = self._in_group(
            lambda: self._redis.xreadgroup(self._group, self._consumer, {self._name: ">"}, count=count, block=block_milliseconds)
        )
        return entries or []

    def own_pending(self, after: str, count: int) -> list[PendingEntry]:
        """Return this consumer's pending messages after an id, those of an earlier process included; oldest first."""
        return self._pending("{}-{}".format(*next_id(id_parts(after))), count, consumername=self._consumer)

    def idle_pending(self, idle_milliseconds: int, count: int) -> list[PendingEntry]:
        """Return messages that have been pending for any consumer for at least this time, oldest first."""
        return self._pending("-", count, idle=idle_milliseconds)

    def claim(self, pending: Sequence[PendingEntry], idle_milliseconds: int = 0) -> list[Entry]:
        """Claim messages for this consumer, count a delivery, and return them, except those that another consumer has claimed meanwhile.

        A message that was trimmed away is returned without fields.
        """
        with self._translate_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for message in pending:
                pipeline.xrange(self._name, message.id, message.id)
            responses = pipeline.execute()
        entries = [one[0] if one else Entry(message.id, {}) for message, one in zip(pending, responses, strict=True)]
        claimed: set[bytes] = set()
        for deliveries in {message.deliveries for message in pending}:
            ids = [entry.id for message, entry in zip(pending, entries, strict=True) if entry.fields and message.deliveries == deliveries]
            if ids:
                claimed.update(self._claim(ids, deliveries + 1, idle_milliseconds))
        return [entry for entry in entries if not entry.fields or entry.id.encode() in claimed]

    def renew(self, ids: Sequence[str]) -> None:
        """Reset the idle time of messages that this consumer holds; no delivery is counted."""
        self._in_group(lambda: self._redis.xclaim(self._name, self._group, self._consumer, 0, list(ids), justid=True))

    def release(self, ids: Sequence[str], idle_milliseconds: int) -> None:
        """Make messages available to any consumer that claims after `idle_milliseconds`, with a delivery count of 0."""
        key = self._name, self._group, self._consumer
        self._in_group(lambda: self._redis.xclaim(*key, 0, list(ids), idle=idle_milliseconds, retrycount=0, justid=True))

    def acknowledge(self, ids: Sequence[str], letters: Sequence[DeadLetter] = ()) -> None:
        """Acknowledge messages. A letter is written in one step with the acknowledgement of its message; retrying writes no second one."""
        dead = {letter.entry.id for letter in letters}
        with self._translate_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for letter in letters:
                arguments = (part for field in _letter_fields(letter) for part in field)
                pipeline.eval(_ACKNOWLEDGE_DEAD, 2, self._name, self.dead_name, self._group, letter.entry.id, self._max_dead, *arguments)
            if others := [id_ for id_ in ids if id_ not in dead]:
                pipeline.xack(self._name, self._group, *others)
            pipeline.execute()

    def _pending(self, start: str, count: int, **condition: Any) -> list[PendingEntry]:  # noqa: ANN401 - arguments of redis
        response = self._in_group(lambda: self._redis.xpending_range(self._name, self._group, start, "+", count, **condition))
        return [PendingEntry(item["message_id"].decode(), int(item["times_delivered"])) for item in response or ()]

    def _claim(self, ids: Sequence[str], deliveries: int, idle_milliseconds: int) -> list[bytes]:
        target = self._name, self._group, self._consumer, idle_milliseconds
        return self._in_group(lambda: self._redis.xclaim(*target, list(ids), retrycount=deliveries, justid=True)) or []


def _letter_fields(letter: DeadLetter) -> list[tuple[bytes, bytes]]:
    entry = letter.entry
    texts = {"message_id": entry.key, "error": letter.error, "reason": letter.reason, "time": letter.time}
    original = islice(chain(entry.repeated, entry.fields.items()), _MAX_FIELDS)
    return [*((name.encode(), text.encode()) for name, text in texts.items()), *((b"original." + name, value) for name, value in original)]
