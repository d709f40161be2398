"""The connection to the Redis-protocol server. Errors of the driver are raised as StreamUnavailable."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.typing import EncodableT

from hearth.errors import StreamFull, StreamUnavailable
from hearth.streaming.trimming import COUNT_UNSETTLED, UNSETTLED
from hearth.tracing.context import current_trace
from hearth.tracing.spans import TRACER, Attributes, span
from hearth.tracing.traceparent import HEADER, TraceContext, parse_traceparent

Fields = Mapping[bytes, bytes]

TRACEPARENT = HEADER.encode()  # the place in a trace that a message was sent from
REPLAY_OF = b"replay_of"  # the id of the original message, in a message that was put back from the dead letters
TOO_LARGE = b"\0too_large"  # the only field of a message above the limit, as scripts return it
MESSAGE_ID = re.compile(rb"[0-9]{1,20}-[0-9]{1,20}")

_SOCKET_SECONDS = 10  # above the longest blocking read that the settings allow
_CONNECT_SECONDS = 5
# Arguments: the settled messages that stay in the stream, the bound, the number of messages, and for each message the number of arguments
# and the arguments. A script runs as one step, so no other client adds messages between the check and the last XADD.
_SEND_WITHIN = (
    f"{UNSETTLED}"
    """
local length, bound, messages = unsettled(KEYS[1], tonumber(ARGV[1])), tonumber(ARGV[2]), tonumber(ARGV[3])
if length + messages > bound then
    return length
end
local ids, at = {}, 4
for i = 1, messages do
    local last = at + tonumber(ARGV[at])
    ids[i] = redis.call('XADD', KEYS[1], '*', unpack(ARGV, at + 1, last))
    at = last + 1
end
return ids
"""
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of the stream; `fields` is empty if the message was trimmed away.

    `repeated` are further fields with a name that is in `fields`: a stream allows them, a message of ours does not. `too_large` is the
    number of bytes of a message above the limit, whose fields were left on the server.
    """

    id: str
    fields: Fields
    repeated: tuple[tuple[bytes, bytes], ...] = ()
    too_large: int = 0

    @property
    def is_trimmed(self) -> bool:
        """Whether the message is no longer in the stream."""
        return not self.fields and not self.too_large

    @property
    def size(self) -> int:
        """The bytes of names and values."""
        return sum(len(name) + len(value) for name, value in (*self.fields.items(), *self.repeated))

    @property
    def key(self) -> str:
        """The id under which predictions and dead letters are stored: for a replayed message that of the original, else its own."""
        origin = self.fields.get(REPLAY_OF)
        return origin.decode() if origin and MESSAGE_ID.fullmatch(origin) else self.id

    @property
    def trace(self) -> TraceContext | None:
        """The place in a trace that the message was sent from; None if it says none that can be read."""
        text = self.fields.get(TRACEPARENT)
        if text is None or any(name == TRACEPARENT for name, _ in self.repeated):
            return None
        return parse_traceparent(text.decode("latin-1"))


class StreamClient:
    """A connection to the server for one stream. A context manager: leaving it closes the connection."""

    def __init__(self, url: str, name: str) -> None:
        parts = urlsplit(url)
        self.place = f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
        self._name = name
        # No retries in the driver: the caller knows which commands may be repeated, and for how long.
        self._redis = Redis.from_url(
            url, socket_timeout=_SOCKET_SECONDS, socket_connect_timeout=_CONNECT_SECONDS, retry=Retry(NoBackoff(), 0)
        )
        for command in ("XRANGE", "XREVRANGE"):  # the driver's own parsers drop repeated fields
            self._redis.set_response_callback(command, parse_entries)
        self._redis.set_response_callback("XREADGROUP", _parse_read)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._redis.close()

    def ping(self) -> None:
        """Check the connection.

        Raises:
            StreamUnavailable: the server does not answer.
        """
        with self._translate_errors():
            self._redis.ping()

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            raise StreamUnavailable(f"The stream {self._name!r} at {self.place} does not answer: {error}") from error


class StreamWriter(StreamClient):
    """Adds messages to a stream.

    `keep` is the number of settled messages that the workers keep in it, which do not count as waiting.
    """

    def __init__(self, url: str, name: str, keep: int = 0) -> None:
        super().__init__(url, name)
        self._keep = keep

    def send(self, messages: Sequence[Fields]) -> list[str]:
        """Add messages and return their ids; see `_traced` for what is added to them.

        Raises:
            StreamUnavailable: some messages may have been added.
        """
        with self._traced(messages) as traced, self._translate_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for fields in traced:
                pipeline.xadd(self._name, _encodable(fields))
            return [id_.decode() for id_ in pipeline.execute()]

    def send_within(self, bound: int, messages: Sequence[Fields]) -> list[str]:
        """Add all messages and return their ids; add none if more messages than the bound would wait, those of others included.

        Raises:
            StreamFull: nothing was added.
            StreamUnavailable: either all messages were added or none.
        """
        arguments: list[EncodableT] = [self._keep, bound, len(messages)]
        with self._traced(messages) as traced, self._translate_errors():
            for fields in traced:
                arguments.append(2 * len(fields))
                for name, value in fields.items():
                    arguments += [name, value]
            answer = self._redis.register_script(_SEND_WITHIN)([self._name], arguments)
        if isinstance(answer, int):
            raise StreamFull(self._name, answer, len(messages), bound)
        return [id_.decode() for id_ in answer]

    def length(self) -> int:
        """Return the number of messages that wait: all that are not settled, and settled ones that cannot be removed before them."""
        with self._translate_errors():
            return int(self._redis.eval(COUNT_UNSETTLED, 1, self._name, self._keep))

    @contextmanager
    def _traced(self, messages: Sequence[Fields]) -> Iterator[Sequence[Fields]]:
        """Give the messages with the place in a trace that they are sent from; those that name one keep it.

        All that are sent for a request belong to its trace. Outside of every trace, each message begins its own.
        """
        name, attributes = f"send {self._name}", _span_attributes(self._name, len(messages))
        if current_trace() is not None:
            with span(name, "producer", attributes) as sending:
                place = str(sending.context).encode()
                yield [{TRACEPARENT: place, **fields} for fields in messages]
            return
        spans = [TRACER.begin(name, "producer", attributes=attributes) for _ in messages]
        try:
            yield [{TRACEPARENT: str(each.context).encode(), **fields} for fields, each in zip(messages, spans, strict=True)]
        except BaseException as error:
            for each in spans:
                each.fail(error)
            raise
        finally:
            for each in spans:
                each.end()


def _span_attributes(stream: str, messages: int) -> Attributes:
    """Return what OpenTelemetry's conventions say of a batch that is sent."""
    return {
        "messaging.system": "redis",
        "messaging.operation.type": "send",
        "messaging.destination.name": stream,
        "messaging.batch.message_count": messages,
    }


def id_parts(id_: str | bytes) -> tuple[int, int]:
    """Return the two numbers of a message id, milliseconds and sequence; ids are ordered by this pair."""
    milliseconds, _, sequence = (id_ if isinstance(id_, str) else id_.decode()).partition("-")
    return int(milliseconds), int(sequence)


def _encodable(fields: Fields) -> dict[EncodableT, EncodableT]:
    return dict(fields)  # type: ignore[arg-type]  # redis types the keys invariantly


def parse_entries(response: Sequence[tuple[bytes, Sequence[bytes]]], **_: object) -> list[Entry]:
    return [_entry(id_.decode(), list(zip(values[::2], values[1::2], strict=True))) for id_, values in response]


def _parse_read(response: Mapping[bytes, Any] | Sequence[tuple[bytes, Any]] | None, **_: object) -> list[Entry]:
    """Parse the response to a read of one stream; RESP3 has a map of streams, RESP2 a list, and both have nothing after a time-out."""
    streams = response.items() if isinstance(response, Mapping) else response or ()
    return [entry for _, entries in streams for entry in parse_entries(entries)]


def _entry(id_: str, pairs: Sequence[tuple[bytes, bytes]]) -> Entry:
    fields = dict(pairs)
    if TOO_LARGE in fields:
        return Entry(id_, {}, too_large=int(fields[TOO_LARGE]))
    if len(fields) == len(pairs):
        return Entry(id_, fields)
    last = {name: index for index, (name, _) in enumerate(pairs)}
    return Entry(id_, fields, tuple(pair for index, pair in enumerate(pairs) if last[pair[0]] != index))
