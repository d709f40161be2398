"""The bytes of a file are hashed while they are read for another purpose."""

import hashlib
from io import SEEK_CUR, SEEK_SET, BufferedReader
from typing import BinaryIO, cast

from hearth.tables.seekable_reader import SeekableReader

_HEAD = 8 << 20  # bytes


class HashedFile(SeekableReader):
    """A file that can seek, and the SHA-256 of its bytes: of those that were read on the way, and at the end of the others.

    Its beginning stays in memory, since readers come back to it. The file that is given is raw: what is asked for comes with one request.
    """

    def __init__(self, file: BinaryIO, head: int = _HEAD) -> None:
        super().__init__()
        self._file, self._sha, self._hashed, self._place = file, hashlib.sha256(), 0, 0
        self._head = b""
        self._head = self._at(0, head)

    def buffered(self, size: int = _HEAD) -> BinaryIO:
        """Return the file to read from."""
        return cast("BinaryIO", BufferedReader(self, size))

    def finish(self) -> "hashlib._Hash":
        """Read what was not read, and return the hash of all; more can be added to a copy of it."""
        while self._at(self._hashed, _HEAD):
            pass
        return self._sha

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        self._place = offset + self._place if whence == SEEK_CUR else self._file.seek(offset, whence)
        return self._place

    def next_bytes(self, most: int) -> bytes:
        content = self._head[self._place : self._place + most] or self._at(self._place, most)
        self._place += len(content)
        return content

    def _at(self, place: int, size: int) -> bytes:
        self._file.seek(place)
        content = self._file.read(size)
        if place <= self._hashed < place + len(content):
            self._sha.update(memoryview(content)[self._hashed - place :])
            self._hashed = place + len(content)
        return content
