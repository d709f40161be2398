"""What of a batch is done: a line for each chunk, and one for each object, each a small file that is written after what it speaks of.

A line counts only for the object, the version and the options that it names. What it does not count for is done again.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from hearth.batch.output import Output
from hearth.tables import Place

SCORED, REJECTED, MANIFEST, SAMPLE = "scored", "rejected", "manifest", "sample"
_CHUNK = re.compile(r"\.([0-9]{5,})\.[a-z]+")


@dataclass(frozen=True)
class ChunkLine:
    """A chunk that is scored. `key` names version and options, `identity` the object's content; `part` and `rejects` are files."""

    key: str
    object: str
    identity: str
    chunk: int
    rows: int
    scored: int
    labels: Mapping[str, int]
    end: Place
    part: str | None
    part_sha256: str
    rejects: str | None
    seconds: float

    @property
    def rejected(self) -> int:
        """The number of rows that broke the contract."""
        return self.rows - self.scored


@dataclass(frozen=True)
class ObjectLine:
    """An object that is done: all its chunks are scored, or `problem` says why the rest cannot be read."""

    key: str
    object: str
    identity: str
    chunks: int
    rows: int
    scored: int
    labels: Mapping[str, int]
    understood: str
    seconds: float
    problem: str = ""


Line = TypeVar("Line", ChunkLine, ObjectLine)
_CHUNK_LINE, _OBJECT_LINE = TypeAdapter(ChunkLine), TypeAdapter(ObjectLine)


class Manifest:
    """The lines of one object."""

    def __init__(self, output: Output, key: str, name: str, identity: str) -> None:
        self._output, self._key, self._name, self._identity = output, key, name, identity

    def chunk_file(self, kind: str, chunk: int, suffix: str) -> str:
        """Return the name of a file of a chunk."""
        return f"{kind}/{self._name}.{chunk:05d}.{suffix}"

    def chunks(self) -> Iterator[ChunkLine]:
        """Yield the lines of the chunks that are scored, from the first up to the first that is not."""
        chunk = 0
        while line := self._read(self.chunk_file(MANIFEST, chunk, "json"), _CHUNK_LINE):
            yield line
            chunk += 1

    def done(self) -> ObjectLine | None:
        """Return the line of the object, None if it is not done."""
        return self._read(self._object_file, _OBJECT_LINE)

    def write_chunk(self, line: ChunkLine) -> None:
        self._output.write(self.chunk_file(MANIFEST, line.chunk, "json"), _CHUNK_LINE.dump_json(line) + b"\n")

    def write_object(self, line: ObjectLine) -> None:
        """Write that the object is done; what an earlier form of it had beyond its last chunk is deleted first."""
        for kind in (MANIFEST, SAMPLE, REJECTED, SCORED):  # the lines first: what they speak of is there as long as they are
            for name in list(self._output.names(f"{kind}/{self._name}.")):
                match = _CHUNK.fullmatch(name.removeprefix(f"{kind}/{self._name}"))
                if match and int(match[1]) >= line.chunks:
                    self._output.delete(name)
        self._output.write(self._object_file, _OBJECT_LINE.dump_json(line) + b"\n")

    def reopen(self) -> None:
        """Delete the line of the object."""
        self._output.delete(self._object_file)

    @property
    def _object_file(self) -> str:
        return f"{MANIFEST}/{self._name}.done.json"

    def _read(self, name: str, form: TypeAdapter[Line]) -> Line | None:
        content = self._output.read(name)
        try:
            line = form.validate_json(content) if content is not None else None
        except ValidationError:  # of another release
            return None
        return line if line and (line.key, line.identity) == (self._key, self._identity) else None
