"""Copies of a stream: entries, consumer groups and what they have not acknowledged. They go into any Redis-protocol server.

Not by DUMP: its form belongs to one version of one server. The copy is read while others write, in an order that loses nothing: first how
far the groups are, then the entries. What is read or acknowledged in between is delivered once more, as after a crash.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from hearth.streaming.client import StreamClient, id_parts

_PAGE_ENTRIES = 1_000

RawEntry = tuple[str, tuple[bytes, ...]]
"""An id, and names and values in turn."""


@dataclass(frozen=True)
class PendingEntry:
    """A message that a consumer has read and not acknowledged."""

    id: str
    consumer: str
    idle_milliseconds: int
    deliveries: int


@dataclass(frozen=True)
class GroupCopy:
    """A consumer group; `entries_read` is None where the server cannot tell."""

    name: str
    last_delivered_id: str
    entries_read: int | None
    pending: tuple[PendingEntry, ...]


@dataclass(frozen=True)
class StreamHead:
    """The state of a stream beside its entries."""

    last_id: str
    entries_added: int
    largest_deleted_id: str
    groups: tuple[GroupCopy, ...]


class StreamCopy(StreamClient):
    """Reads and writes a stream whole. Every method raises StreamUnavailable if the server does not answer."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(url, name)
        for command in ("XRANGE", "XCLAIM"):  # as the server answers
            self._redis.set_response_callback(command, lambda response, **_: response or [])

    def exists(self) -> bool:
        with self._translate_errors():
            return bool(self._redis.exists(self._name))

    def head(self) -> StreamHead | None:
        """Return the state of the stream; None if there is none."""
        with self._translate_errors():
            try:
                info = self._redis.xinfo_stream(self._name)
            except ResponseError as error:
                if "no such key" in str(error):
                    return None
                raise
            groups = tuple(self._group(group) for group in self._redis.xinfo_groups(self._name))
        return StreamHead(_text(info["last-generated-id"]), int(info["entries-added"]), _text(info["max-deleted-entry-id"]), groups)

    def entries(self) -> Iterator[Sequence[RawEntry]]:
        """Yield all entries, oldest first, page by page."""
        start = "-"
        while True:
            with self._translate_errors():
                page: list[Any] = self._redis.xrange(self._name, min=start, count=_PAGE_ENTRIES)  # type: ignore[assignment]  # our callback
            if page:
                yield [(_text(id_), tuple(fields)) for id_, fields in page]
            if len(page) < _PAGE_ENTRIES:
                return
            start = f"({_text(page[-1][0])}"

    def replace(self, head: StreamHead, pages: Iterator[Sequence[RawEntry]]) -> None:
        """Put a copy in the place of the stream, in one step at the end."""
        key = f"{self._name}:restoring"
        with self._translate_errors():
            self._redis.delete(key)
            # A group makes the stream, also one without entries.
            self._redis.xgroup_create(key, "\0restoring", id="0", mkstream=True)
            last, added = head.last_id, head.entries_added
            for page in pages:
                with self._redis.pipeline(transaction=False) as pipeline:
                    for id_, fields in page:
                        pipeline.execute_command("XADD", key, id_, *fields)  # type: ignore[no-untyped-call]
                        if id_parts(id_) > id_parts(last):  # it came while the copy was made
                            last, added = id_, added + 1
                    pipeline.execute()
            ending = ("ENTRIESADDED", added, "MAXDELETEDID", head.largest_deleted_id)
            self._redis.execute_command("XSETID", key, last, *ending)  # type: ignore[no-untyped-call]
            for group in head.groups:
                self._redis.xgroup_create(key, group.name, id=group.last_delivered_id, entries_read=group.entries_read)
                self._claim(key, group)
            self._redis.xgroup_destroy(key, "\0restoring")
            self._redis.rename(key, self._name)

    def _claim(self, key: str, group: GroupCopy) -> None:
        """Give each consumer the messages that it had; one that was settled and trimmed while the copy was made is passed over."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for entry in group.pending:
                words = ("IDLE", entry.idle_milliseconds, "RETRYCOUNT", entry.deliveries, "FORCE", "JUSTID")
                pipeline.execute_command("XCLAIM", key, group.name, entry.consumer, 0, entry.id, *words)  # type: ignore[no-untyped-call]
            pipeline.execute()

    def _group(self, info: Mapping[str, Any]) -> GroupCopy:
        name = _text(info["name"])
        pending: list[PendingEntry] = []
        start = "-"
        while info["pending"]:
            page = self._redis.xpending_range(self._name, name, min=start, max="+", count=_PAGE_ENTRIES)
            pending += [
                PendingEntry(_text(e["message_id"]), _text(e["consumer"]), int(e["time_since_delivered"]), int(e["times_delivered"]))
                for e in page
            ]
            if len(page) < _PAGE_ENTRIES:
                break
            start = f"({pending[-1].id}"
        return GroupCopy(name, _text(info["last-delivered-id"]), info["entries-read"], tuple(pending))


def _text(value: bytes | str | int) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
