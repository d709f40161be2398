"""The bytes of a file are hashed while they are read for another purpose."""

import hashlib
from io import SEEK_CUR, SEEK_SET, BufferedReader, RawIOBase
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_HEAD = 8 << 20  # bytes


class HashedFile(RawIOBase):
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

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        self._place = offset + self._place if whence == SEEK_CUR else self._file.seek(offset, whence)
        return self._place

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        target = memoryview(buffer).cast("B")
        content = self._head[self._place : self._place + len(target)] or self._at(self._place, len(target))
        target[: len(content)] = content
        self._place += len(content)
        return len(content)

    def _at(self, place: int, size: int) -> bytes:
        self._file.seek(place)
        content = self._file.read(size)
        if place <= self._hashed < place + len(content):
            self._sha.update(memoryview(content)[self._hashed - place :])
            self._hashed = place + len(content)
        return content
