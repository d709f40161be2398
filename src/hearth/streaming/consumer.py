"""One consumer of a group: what it reads, holds, settles and buries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from redis.exceptions import ResponseError

from hearth.streaming.client import Entry, Fields, StreamClient, entries_of, id_parts

_NO_GROUP = ("NOGROUP", "no such key")
_MOST_FIELDS = 3_000  # of a message that a letter keeps: Lua passes on no more than 8,000 values
# Whoever acknowledges a message writes its letter: a second worker, or a second try after an answer that was lost, finds nothing to do.
_BURY = """
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1) == 1 then
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
    redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
end
"""
# Deleting a consumer drops what it holds, so looking and deleting are one step.
_FORGET = """
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local told = {}
    for i = 1, #consumer, 2 do told[consumer[i]] = consumer[i + 1] end
    if told.pending == 0 and told.idle > tonumber(ARGV[2]) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], told.name)
    end
end
"""


@dataclass(frozen=True, slots=True)
class StreamState:
    """How a stream is, for one group. `lag` is None if the server cannot tell.

    `oldest_seconds` is the age of the oldest message that is not settled, 0 if there is none; `newest_seconds` is the age of the last one
    that ever came, settled or not, None before the first; `dead` counts letters that are kept.
    """

    length: int
    lag: int | None
    pending: int
    oldest_seconds: float
    newest_seconds: float | None
    dead: int


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A message that a consumer holds, and how often one was handed it."""

    id: str
    deliveries: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a message, or some of its records, can never be scored."""

    entry: Entry
    error: str
    reason: str
    time: str


class StreamConsumer(StreamClient):
    """One consumer of a group. What it reads is its own until it is settled, or until another consumer takes it over."""

    def __init__(self, url: str, name: str, group: str, consumer: str, max_dead: int) -> None:
        super().__init__(url, name)
        self._group, self._consumer, self._max_dead = group, consumer, max_dead
        self.dead_name = f"{name}_dead"

    def join(self) -> None:
        """Make the group, from the stream's beginning, unless it is there."""
        with self._answering():
            try:
                self._redis.xgroup_create(self._name, self._group, id="0", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

    def read(self, count: int, block_milliseconds: int) -> list[Entry]:
        """Return messages that nobody has read yet, after waiting for the first one."""
        answer = self._in_group(
            lambda: self._redis.xreadgroup(self._group, self._consumer, {self._name: ">"}, count=count, block=block_milliseconds)
        )
        return entries_of(answer[0][1]) if answer else []

    def unsettled_own(self, after: str, count: int) -> list[Unsettled]:
        """Return messages after this one that this consumer has read, perhaps in an earlier life, and not settled; oldest first."""
        return self._pending("{}-{}".format(*_after(id_parts(after.encode()))), count, consumername=self._consumer)

    def unsettled_idle(self, idle_milliseconds: int, count: int) -> list[Unsettled]:
        """Return messages that any consumer has held for so long without settling them, oldest first."""
        return self._pending("-", count, idle=idle_milliseconds)

    def take(self, wanted: Sequence[Unsettled], idle_milliseconds: int = 0) -> list[Entry]:
        """Make messages this consumer's own and count a delivery, but for those that another one has taken meanwhile.

        A message that was trimmed away comes back without fields.
        """
        with self._answering(), self._redis.pipeline(transaction=False) as pipeline:
            for one in wanted:
                pipeline.xrange(self._name, one.id, one.id)
            found = pipeline.execute()
        entries = [entries_of(answer)[0] if answer else Entry(one.id, {}) for one, answer in zip(wanted, found, strict=True)]
        mine: set[bytes] = set()
        for deliveries in {one.deliveries for one in wanted}:
            alive = [entry.id for one, entry in zip(wanted, entries, strict=True) if entry.fields and one.deliveries == deliveries]
            if alive:
                mine.update(self._claim(alive, deliveries + 1, idle_milliseconds))
        return [entry for entry in entries if not entry.fields or entry.id.encode() in mine]

    def keep(self, ids: Sequence[str]) -> None:
        """Hold messages longer, without counting a delivery."""
        self._in_group(lambda: self._redis.xclaim(self._name, self._group, self._consumer, 0, list(ids), justid=True))

    def give_back(self, ids: Sequence[str], idle_milliseconds: int) -> None:
        """Leave messages to the next one who looks, as if they had never been delivered."""
        mine = self._name, self._group, self._consumer
        self._in_group(lambda: self._redis.xclaim(*mine, 0, list(ids), idle=idle_milliseconds, retrycount=0, justid=True))

    def settle(self, ids: Sequence[str], dead: Sequence[DeadLetter] = ()) -> None:
        """Acknowledge messages; those that are dead are buried in one step with that, once however often this is tried."""
        buried = {letter.entry.id for letter in dead}
        with self._answering(), self._redis.pipeline(transaction=False) as pipeline:
            for letter in dead:
                said = (part for field in _letter_fields(letter).items() for part in field)
                pipeline.eval(_BURY, 2, self._name, self.dead_name, self._group, letter.entry.id, self._max_dead, *said)
            if living := [id_ for id_ in ids if id_ not in buried]:
                pipeline.xack(self._name, self._group, *living)
            pipeline.execute()

    def trim(self) -> None:
        """Remove what every group has settled."""
        bounds = []
        for group in self._in_group(lambda: self._redis.xinfo_groups(self._name)) or []:
            with self._answering():
                first_pending = self._redis.xpending(self._name, group["name"])["min"]
            bounds.append(id_parts(first_pending) if first_pending else _after(id_parts(group["last-delivered-id"])))
        if bounds:
            with self._answering():
                self._redis.xtrim(self._name, minid="{}-{}".format(*min(bounds)), approximate=False)

    def forget_consumers(self, idle_milliseconds: int) -> None:
        """Remove the names of consumers that hold nothing and have not asked for so long: each new container brings a new name."""
        self._in_group(lambda: self._redis.eval(_FORGET, 1, self._name, self._group, idle_milliseconds))

    def state(self) -> StreamState:
        """Tell how the stream is."""
        with self._answering(), self._redis.pipeline(transaction=False) as pipeline:
            pipeline.xlen(self._name)
            pipeline.xlen(self.dead_name)
            pipeline.time()
            pipeline.xrange(self._name, count=1)
            length, dead, (seconds, microseconds), first = pipeline.execute()
        groups = self._in_group(lambda: self._redis.xinfo_groups(self._name)) or []
        lag, pending = next(((group["lag"], group["pending"]) for group in groups if group["name"].decode() == self._group), (None, 0))
        now = seconds + microseconds / 1e6
        waits = first and (pending or lag != 0)
        info = self._in_group(lambda: self._redis.xinfo_stream(self._name))  # what was trimmed away was there too
        last, _ = id_parts(info["last-generated-id"]) if info else (0, 0)
        return StreamState(
            length=length,
            lag=lag,
            pending=pending,
            oldest_seconds=_age(id_parts(first[0][0])[0], now) if waits else 0.0,
            newest_seconds=_age(last, now) if last else None,
            dead=dead,
        )

    def _pending(self, start: str, count: int, **which: Any) -> list[Unsettled]:  # noqa: ANN401 - arguments of redis
        found = self._in_group(lambda: self._redis.xpending_range(self._name, self._group, start, "+", count, **which))
        return [Unsettled(one["message_id"].decode(), int(one["times_delivered"])) for one in found or ()]

    def _claim(self, ids: Sequence[str], deliveries: int, idle_milliseconds: int) -> list[bytes]:
        to_me = self._name, self._group, self._consumer, idle_milliseconds
        return self._in_group(lambda: self._redis.xclaim(*to_me, list(ids), retrycount=deliveries, justid=True)) or []

    def _in_group(self, command: Callable[[], Any]) -> Any:  # noqa: ANN401 - redis types every answer as anything
        """Return the answer to a command; None if the server has forgotten the group, which is then made anew."""
        with self._answering():
            try:
                return command()
            except ResponseError as error:
                if not str(error).startswith(_NO_GROUP):
                    raise
        self.join()
        return None


def _age(milliseconds: int, now: float) -> float:
    return max(0.0, now - milliseconds / 1000)


def _after(id_: tuple[int, int]) -> tuple[int, int]:
    return id_[0], id_[1] + 1


def _letter_fields(letter: DeadLetter) -> Fields:
    said = {"message_id": letter.entry.key, "error": letter.error, "reason": letter.reason, "time": letter.time}
    original = {b"original." + name: value for name, value in islice(letter.entry.fields.items(), _MOST_FIELDS)}
    return {name.encode(): text.encode() for name, text in said.items()} | original
