"""One consumer of a consumer group: reads and claims messages, acknowledges them and writes their dead letters."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any

from hearth.streaming.client import Entry, id_parts, parse_entries
from hearth.streaming.group import ConsumerGroup, next_id

_MAX_FIELDS = 3_000  # fields of a message that its letter holds: Lua unpacks at most 8,000 values
# The letter is written in the step that acknowledges its message, so a second worker, or a retry after a lost response, writes none.
_ACKNOWLEDGE_DEAD = """
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1) == 1 then
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
    redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
end
"""
_SIZE = """
local function size(fields)
    local bytes = 0
    for i = 1, #fields do bytes = bytes + #fields[i] end
    return bytes
end
local function within(entry, limit)
    local bytes = size(entry[2])
    if bytes > limit then entry[2] = {'\\0too_large', tostring(bytes)} end
    return entry, math.min(bytes, limit)
end
"""
# Arguments: group, consumer, messages, bytes, bytes of a message. A read cannot be bounded by bytes, so few messages are read at a time.
_READ_WITHIN = (
    f"{_SIZE}"
    """
local entries, total = {}, 0
while #entries < tonumber(ARGV[3]) and total < tonumber(ARGV[4]) do
    local count = math.min(4, tonumber(ARGV[3]) - #entries)
    local read = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', count, 'STREAMS', KEYS[1], '>')
    if not read then break end
    for _, entry in ipairs(read[1][2]) do
        local bytes
        entries[#entries + 1], bytes = within(entry, tonumber(ARGV[5]))
        total = total + bytes
    end
end
return entries
"""
)
_FETCH_WITHIN = (
    f"{_SIZE}"
    """
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
return entry and {(within(entry, tonumber(ARGV[2])))} or {}
"""
)
_MEASURE = (
    f"{_SIZE}"
    """
local sizes = {}
for i = 1, #ARGV do
    local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
    sizes[i] = entry and size(entry[2]) or 0
end
return sizes
"""
)


@dataclass(frozen=True, slots=True)
class ByteLimits:
    """Bytes of the messages that are read together, about, and of one message."""

    batch: int = 20_000_000
    message: int = 10_000_000


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """A message that was read and is not acknowledged, and how often it was delivered."""

    id: str
    deliveries: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The reason why a message, or some of its records, can never be scored.

    `reason` may hold values of the message; `columns`, those of the contract that it breaks, are for the log, which must hold none.
    """

    entry: Entry
    error: str
    reason: str
    time: str
    trace_id: str | None = None
    columns: tuple[str, ...] = ()


class StreamConsumer(ConsumerGroup):
    """One consumer of a group. A message that it reads is pending for it until it is acknowledged or another consumer claims it."""

    def __init__(  # noqa: PLR0913, PLR0917
        self, url: str, name: str, group: str, consumer: str, max_dead: int, keep: int = 0, limits: ByteLimits | None = None
    ) -> None:
        """About `max_dead` letters and `keep` settled messages stay on the server."""
        super().__init__(url, name, group, keep)
        self._consumer, self._max_dead, self._limits = consumer, max_dead, limits or ByteLimits()

    def read(self, count: int, block_milliseconds: int) -> list[Entry]:
        """Return at most `count` messages that no consumer has read; wait up to `block_milliseconds` for the first.

        They have about as many bytes as the limit of a batch at most. A message above the limit of one has no fields.
        """
        if self._is_large():
            limits = self._limits.batch, self._limits.message
            read = partial(self._redis.eval, _READ_WITHIN, 1, self._name, self._group, self._consumer, count, *limits)
            if found := self._in_group(read):
                return parse_entries(found)
            count = 1
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
                pipeline.eval(_FETCH_WITHIN, 1, self._name, message.id, self._limits.message)
            responses = map(parse_entries, pipeline.execute())
            entries = [one[0] if one else Entry(message.id, {}) for message, one in zip(pending, responses, strict=True)]
        claimed: set[bytes] = set()
        for deliveries in {message.deliveries for message in pending}:
            ids = [
                entry.id
                for message, entry in zip(pending, entries, strict=True)
                if (entry.fields or entry.too_large) and message.deliveries == deliveries
            ]
            if ids:
                claimed.update(self._claim(ids, deliveries + 1, idle_milliseconds))
        return [entry for entry in entries if entry.is_trimmed or entry.id.encode() in claimed]

    def batches(self, pending: Sequence[PendingEntry]) -> list[list[PendingEntry]]:
        """Divide messages, in their order, so that each list has about as many bytes as the limit of a batch at most."""
        if not pending or not self._is_large():
            return [list(pending)] if pending else []
        with self._translate_errors():
            sizes = self._redis.eval(_MEASURE, 1, self._name, *(message.id for message in pending))
        lists: list[list[PendingEntry]] = []
        total = self._limits.batch
        for message, size in zip(pending, sizes, strict=True):
            total += min(size, self._limits.message)
            if total > self._limits.batch:
                lists.append([])
                total = min(size, self._limits.message)
            lists[-1].append(message)
        return lists

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

    def _is_large(self) -> bool:
        """Whether the stream has more bytes than a batch may have, so that a read could return too many."""
        with self._translate_errors():
            return (self._redis.memory_usage(self._name, samples=0) or 0) > self._limits.batch

    def _pending(self, start: str, count: int, **condition: Any) -> list[PendingEntry]:  # noqa: ANN401 - arguments of redis
        response = self._in_group(lambda: self._redis.xpending_range(self._name, self._group, start, "+", count, **condition))
        return [PendingEntry(item["message_id"].decode(), int(item["times_delivered"])) for item in response or ()]

    def _claim(self, ids: Sequence[str], deliveries: int, idle_milliseconds: int) -> list[bytes]:
        target = self._name, self._group, self._consumer, idle_milliseconds
        return self._in_group(lambda: self._redis.xclaim(*target, list(ids), retrycount=deliveries, justid=True)) or []


def _letter_fields(letter: DeadLetter) -> list[tuple[bytes, bytes]]:
    entry = letter.entry
    texts = {"message_id": entry.key, "error": letter.error, "reason": letter.reason, "time": letter.time}
    if letter.trace_id is not None:
        texts["trace_id"] = letter.trace_id
    original = islice(chain(entry.repeated, entry.fields.items()), _MAX_FIELDS)
    return [*((name.encode(), text.encode()) for name, text in texts.items()), *((b"original." + name, value) for name, value in original)]
