"""The one module that speaks to the Redis-protocol server; its errors leave here as StreamUnavailable."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry
from redis.typing import EncodableT

from hearth.errors import StreamUnavailable

Fields = Mapping[bytes, bytes]

_SOCKET_SECONDS = 10  # above the longest blocking read that the settings allow
_CONNECT_SECONDS = 5
_NO_GROUP = ("NOGROUP", "no such key")


@dataclass(frozen=True, slots=True)
class Entry:
    """One message as the stream holds it; `fields` is empty if the stream was trimmed past it."""

    id: str
    fields: Fields


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a message, or some of its records, can never be scored."""

    entry: Entry
    error: str
    reason: str
    time: str


class _Client:
    def __init__(self, url: str, name: str) -> None:
        parts = urlsplit(url)
        self._place = f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
        self._name = name
        # No hidden retries: those who call know what may be repeated and how long to wait.
        self._redis = Redis.from_url(
            url, socket_timeout=_SOCKET_SECONDS, socket_connect_timeout=_CONNECT_SECONDS, retry=Retry(NoBackoff(), 0)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._redis.close()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            raise StreamUnavailable(f"The stream {self._name!r} at {self._place} does not answer: {error}") from error


class StreamWriter(_Client):
    """Puts messages into a stream."""

    def send(self, messages: Sequence[Fields]) -> list[str]:
        """Add messages and return their ids.

        Raises:
            StreamUnavailable: some of them may have been added nevertheless.
        """
        with self._answering(), self._redis.pipeline(transaction=False) as pipeline:
            for fields in messages:
                pipeline.xadd(self._name, _sendable(fields))
            return [id_.decode() for id_ in pipeline.execute()]

    def length(self) -> int:
        """Return how many messages the stream holds."""
        with self._answering():
            return int(self._redis.xlen(self._name))


class StreamReader(_Client):
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
        return self._read(">", count, block_milliseconds)

    def read_own(self, after: str, count: int) -> list[Entry]:
        """Return messages that this consumer has read, perhaps in an earlier life, and not settled; each counts as delivered again."""
        return self._read(after, count, None)

    def claim(self, idle_milliseconds: int) -> tuple[list[Entry], int]:
        """Take over one message that a consumer has held too long; also return how many such were trimmed away, lost for good."""
        answer = self._in_group(
            lambda: self._redis.xautoclaim(self._name, self._group, self._consumer, idle_milliseconds, start_id="0-0", count=1)
        )
        return (_entries(answer[1]), len(answer[2])) if answer else ([], 0)

    def deliveries(self, entry: Entry) -> int:
        """Return how often a message was handed to a consumer."""
        found = self._in_group(lambda: self._redis.xpending_range(self._name, self._group, entry.id, entry.id, 1))
        return int(found[0]["times_delivered"]) if found else 0

    def keep(self, ids: Sequence[str]) -> None:
        """Hold messages longer, without counting a delivery."""
        self._in_group(lambda: self._redis.xclaim(self._name, self._group, self._consumer, 0, list(ids), justid=True))

    def give_back(self, ids: Sequence[str], idle_milliseconds: int) -> None:
        """Leave messages to the next one who looks, as if they had never been delivered."""
        mine = self._name, self._group, self._consumer
        self._in_group(lambda: self._redis.xclaim(*mine, 0, list(ids), idle=idle_milliseconds, retrycount=0, justid=True))

    def settle(self, ids: Sequence[str], dead: Sequence[DeadLetter] = ()) -> None:
        """Acknowledge messages, and in the same transaction bury those that are dead."""
        with self._answering(), self._redis.pipeline(transaction=True) as pipeline:
            for letter in dead:
                pipeline.xadd(self.dead_name, _sendable(_letter_fields(letter)), maxlen=self._max_dead, approximate=True)
            pipeline.xack(self._name, self._group, *ids)
            pipeline.execute()

    def trim(self) -> None:
        """Remove what every group has settled."""
        bounds = []
        for group in self._in_group(lambda: self._redis.xinfo_groups(self._name)) or []:
            with self._answering():
                first_pending = self._redis.xpending(self._name, group["name"])["min"]
            bounds.append(_parsed(first_pending) if first_pending else _after(_parsed(group["last-delivered-id"])))
        if bounds:
            with self._answering():
                self._redis.xtrim(self._name, minid="{}-{}".format(*min(bounds)), approximate=False)

    def _read(self, start: str, count: int, block: int | None) -> list[Entry]:
        answer = self._in_group(lambda: self._redis.xreadgroup(self._group, self._consumer, {self._name: start}, count=count, block=block))
        return _entries(answer[0][1]) if answer else []

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


def _entries(answer: Sequence[tuple[bytes, Fields | None]]) -> list[Entry]:
    return [Entry(id_.decode(), fields or {}) for id_, fields in answer]


def _parsed(id_: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = id_.decode().partition("-")
    return int(milliseconds), int(sequence)


def _after(id_: tuple[int, int]) -> tuple[int, int]:
    return id_[0], id_[1] + 1


def _letter_fields(letter: DeadLetter) -> Fields:
    said = {"message_id": letter.entry.id, "error": letter.error, "reason": letter.reason, "time": letter.time}
    original = {b"original." + name: value for name, value in letter.entry.fields.items()}
    return {name.encode(): text.encode() for name, text in said.items()} | original


def _sendable(fields: Fields) -> dict[EncodableT, EncodableT]:
    return dict(fields)  # type: ignore[arg-type]  # redis asks for keys of exactly its own union
