"""Copies of streams in the archive of a backup."""

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from hearth.backup.archives import Archive
from hearth.streaming.stream_copy import GroupCopy, PendingEntry, RawEntry, StreamCopy, StreamHead

_HEAD = "head.json"


def dump(stream: StreamCopy, name: str, archive: Archive) -> dict[str, int] | None:
    """Write a stream to an archive; return how much it held, None if there is no such stream."""
    head = stream.head()
    if head is None:
        return None
    archive.add(f"{name}/{_HEAD}", json.dumps(asdict(head)).encode())
    count = 0
    for number, page in enumerate(stream.entries()):
        archive.add(f"{name}/{number:06}", "\n".join(map(_line, page)).encode())
        count += len(page)
    return {"entries": count, "groups": len(head.groups), "pending": sum(len(group.pending) for group in head.groups)}


def load(url: str, members: Iterator[tuple[str, Any]]) -> list[str]:
    """Replace the streams that an archive holds; return their names."""
    names: list[str] = []
    rest = _Rest(members)
    while rest.name:
        name, _, kind = rest.name.rpartition("/")
        if kind != _HEAD:
            raise ValueError(f"{rest.name} comes before the head of its stream")
        head = _head(json.loads(rest.content))
        rest.advance()
        with StreamCopy(url, name) as stream:
            stream.replace(head, rest.pages(name))
        names.append(name)
    return names


class _Rest:
    """The members that are not used yet, the first of them at hand."""

    def __init__(self, members: Iterator[tuple[str, Any]]) -> None:
        self._members = members
        self.name, self.content = "", b""
        self.advance()

    def advance(self) -> None:
        self.name, self.content = next(((name, file.read()) for name, file in self._members), ("", b""))

    def pages(self, stream: str) -> Iterator[Sequence[RawEntry]]:
        while self.name.startswith(f"{stream}/") and not self.name.endswith(f"/{_HEAD}"):
            yield [_entry(line) for line in self.content.decode().splitlines()]
            self.advance()


def _head(document: dict[str, Any]) -> StreamHead:
    groups = tuple(
        GroupCopy(**{**group, "pending": tuple(PendingEntry(**entry) for entry in group["pending"])}) for group in document["groups"]
    )
    return StreamHead(**{**document, "groups": groups})


def _line(entry: RawEntry) -> str:
    return json.dumps([entry[0], *(base64.b64encode(part).decode() for part in entry[1])])


def _entry(line: str) -> RawEntry:
    id_, *parts = json.loads(line)
    return str(id_), tuple(base64.b64decode(part) for part in parts)
