"""The one module that speaks to the Redis-protocol server; its errors leave here as StreamUnavailable."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.typing import EncodableT

from hearth.errors import StreamFull, StreamUnavailable

Fields = Mapping[bytes, bytes]

REPLAY_OF = b"replay_of"  # the field of a message that was put back from the dead letters; it holds the first message's id
MESSAGE_ID = re.compile(rb"[0-9]{1,20}-[0-9]{1,20}")

_SOCKET_SECONDS = 10  # above the longest blocking read that the settings allow
_CONNECT_SECONDS = 5
# Arguments: the bound, how many messages there are, and for each how many arguments it has, and those. One script is one step: nobody adds
# anything between the look at the length and the last message.
_SEND_WITHIN = """
local length, bound, messages = redis.call('XLEN', KEYS[1]), tonumber(ARGV[1]), tonumber(ARGV[2])
if length + messages > bound then
    return length
end
local ids, at = {}, 3
for i = 1, messages do
    local last = at + tonumber(ARGV[at])
    ids[i] = redis.call('XADD', KEYS[1], '*', unpack(ARGV, at + 1, last))
    at = last + 1
end
return ids
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message as the stream holds it; `fields` is empty if the stream was trimmed past it."""

    id: str
    fields: Fields

    @property
    def key(self) -> str:
        """What its predictions and its dead letter are known by: its id, or that of the dead message that was put back as this one."""
        origin = self.fields.get(REPLAY_OF)
        return origin.decode() if origin and MESSAGE_ID.fullmatch(origin) else self.id


class StreamClient:
    """A connection to the server, for the stream of this name; closed at the end of the `with` block."""

    def __init__(self, url: str, name: str) -> None:
        parts = urlsplit(url)
        self.place = f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
        self._name = name
        # No hidden retries: those who call know what may be repeated and how long to wait.
        self._redis = Redis.from_url(
            url, socket_timeout=_SOCKET_SECONDS, socket_connect_timeout=_CONNECT_SECONDS, retry=Retry(NoBackoff(), 0)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._redis.close()

    def ping(self) -> None:
        """Return if the server answers."""
        with self._answering():
            self._redis.ping()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            raise StreamUnavailable(f"The stream {self._name!r} at {self.place} does not answer: {error}") from error


class StreamWriter(StreamClient):
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

    def send_within(self, bound: int, messages: Sequence[Fields]) -> list[str]:
        """Add all messages and return their ids, or none of them if the stream would then hold more than the bound, whoever else adds.

        Raises:
            StreamFull: nothing was added.
            StreamUnavailable: all of them may have been added nevertheless, or none.
        """
        arguments: list[EncodableT] = [bound, len(messages)]
        for fields in messages:
            arguments.append(2 * len(fields))
            for name, value in fields.items():
                arguments += [name, value]
        with self._answering():
            answer = self._redis.register_script(_SEND_WITHIN)([self._name], arguments)
        if isinstance(answer, int):
            raise StreamFull(self._name, answer, len(messages), bound)
        return [id_.decode() for id_ in answer]

    def length(self) -> int:
        """Return how many messages the stream holds."""
        with self._answering():
            return int(self._redis.xlen(self._name))


def entries_of(answer: Sequence[tuple[bytes, Fields | None]]) -> list[Entry]:
    """Return what the server has answered as messages, in its order."""
    return [Entry(id_.decode(), fields or {}) for id_, fields in answer]


def id_parts(id_: bytes) -> tuple[int, int]:
    """Return the milliseconds and the number of a message's id; ids are in the order of these pairs."""
    milliseconds, _, sequence = id_.decode().partition("-")
    return int(milliseconds), int(sequence)


def _sendable(fields: Fields) -> dict[EncodableT, EncodableT]:
    return dict(fields)  # type: ignore[arg-type]  # redis asks for keys of exactly its own union
