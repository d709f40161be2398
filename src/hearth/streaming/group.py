"""A consumer group of a stream: its state, and the removal of what it has settled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from hearth.streaming.client import Entry, StreamClient, id_parts
from hearth.streaming.trimming import COUNT_UNSETTLED, TRIM_IDLE, KeepWindow, MessageId

_NO_GROUP = ("NOGROUP", "no such key")
_NEW_GROUP: Mapping[str, Any] = {"lag": None, "pending": 0, "last-delivered-id": b"0-0"}
# Deleting a consumer drops its pending messages, so the check and the deletion are one step.
_REMOVE_IDLE = """
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local info = {}
    for i = 1, #consumer, 2 do info[consumer[i]] = consumer[i + 1] end
    if info.pending == 0 and info.idle > tonumber(ARGV[2]) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], info.name)
    end
end
"""


@dataclass(frozen=True, slots=True)
class StreamState:
    """The state of a stream for one group.

    Attributes:
        length: messages that wait, as `StreamWriter.length` counts them.
        lag: messages that no consumer of the group has read; None if the server cannot tell.
        pending: messages that were read and are not acknowledged.
        oldest_seconds: age of the oldest message that is not settled; 0 if there is none.
        newest_seconds: age of the latest message, settled or not; None before the first.
        dead: letters in the dead-letter stream.
    """

    length: int
    lag: int | None
    pending: int
    oldest_seconds: float
    newest_seconds: float | None
    dead: int


class ConsumerGroup(StreamClient):
    """A consumer group. `keep` settled messages stay in the stream."""

    def __init__(self, url: str, name: str, group: str, keep: int = 0) -> None:
        super().__init__(url, name)
        self._group, self._keep = group, keep
        self._window = KeepWindow(keep)
        self.dead_name = f"{name}_dead"

    def join(self) -> None:
        """Create the group, from the beginning of the stream, if it does not exist."""
        with self._translate_errors():
            try:
                self._redis.xgroup_create(self._name, self._group, id="0", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

    def trim(self) -> None:
        """Remove the messages that every group has acknowledged, except the last `keep`; while the stream is busy, some more may stay."""
        groups = self._in_group(lambda: self._redis.xinfo_groups(self._name))
        if not groups:
            return
        with self._translate_errors():
            if not any(group["pending"] for group in groups):
                self._redis.eval(TRIM_IDLE, 1, self._name, self._keep)
            bounds = []
            for group in groups:
                first_pending = self._redis.xpending(self._name, group["name"])["min"] if group["pending"] else None
                bounds.append(id_parts(first_pending) if first_pending else next_id(id_parts(group["last-delivered-id"])))
            cut: MessageId | None = min(bounds)
            if self._keep and all(group["lag"] is not None and group["entries-read"] is not None for group in groups):
                cut = self._window.cut(min(group["entries-read"] - group["pending"] for group in groups), min(bounds))
            if cut:
                self._redis.xtrim(self._name, minid="{}-{}".format(*cut), approximate=False)

    def remove_idle_consumers(self, idle_milliseconds: int) -> None:
        """Remove consumers without pending messages that have been idle for longer than this: each new container brings a new name."""
        self._in_group(lambda: self._redis.eval(_REMOVE_IDLE, 1, self._name, self._group, idle_milliseconds))

    def state(self) -> StreamState:
        """Return the state of the stream for this group."""
        with self._translate_errors(), self._redis.pipeline(transaction=False) as pipeline:
            pipeline.eval(COUNT_UNSETTLED, 1, self._name, self._keep)
            pipeline.xlen(self.dead_name)
            pipeline.time()
            length, dead, (seconds, microseconds) = pipeline.execute()
        groups = self._in_group(lambda: self._redis.xinfo_groups(self._name)) or []
        group = next((group for group in groups if group["name"].decode() == self._group), _NEW_GROUP)
        now = seconds + microseconds / 1e6
        oldest = self._oldest(group)
        info = self._in_group(lambda: self._redis.xinfo_stream(self._name))  # its last id outlives trimming
        last, _ = id_parts(info["last-generated-id"]) if info else (0, 0)
        return StreamState(
            length=length,
            lag=group["lag"],
            pending=group["pending"],
            oldest_seconds=_age(id_parts(oldest)[0], now) if oldest else 0.0,
            newest_seconds=_age(last, now) if last else None,
            dead=dead,
        )

    def _oldest(self, group: Mapping[str, Any]) -> bytes | str | None:
        """Return the id of the oldest message that a group has not settled."""
        with self._translate_errors():
            if group["pending"]:
                first: bytes | None = self._redis.xpending(self._name, group["name"])["min"]
                return first
            unread: list[Entry] = self._redis.xrange(self._name, min=b"(" + group["last-delivered-id"], count=1)  # type: ignore[assignment]
            return unread[0].id if unread else None

    def _in_group(self, command: Callable[[], Any]) -> Any:  # noqa: ANN401 - redis types every response as anything
        """Return the response to a command; None if the server has lost the group, which is then created again."""
        with self._translate_errors():
            try:
                return command()
            except ResponseError as error:
                if not str(error).startswith(_NO_GROUP):
                    raise
        self.join()
        return None


def _age(milliseconds: int, now: float) -> float:
    return max(0.0, now - milliseconds / 1000)


def next_id(id_: MessageId) -> MessageId:
    """Return the smallest id after this one."""
    return id_[0], id_[1] + 1
