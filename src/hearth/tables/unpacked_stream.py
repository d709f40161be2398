"""A packed file as a file of what is in it: gzip, bzip2, xz and zstd."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import BinaryIO, Protocol

import pyarrow as pa

from hearth.tables.seekable_reader import SeekableReader
from hearth.tables.unreadable import UnreadableTable

_MARKS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_SKIPPED = 1 << 20


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _KeptOpen:
    """A file that pyarrow does not close when it is done with it."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read

    def close(self) -> None:
        """Do nothing."""


_OPENERS: Mapping[str, Callable[[BinaryIO], _Readable]] = {
    "gzip": lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    "bzip2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
    "zstd": lambda file: pa.CompressedInputStream(pa.PythonFile(_KeptOpen(file), mode="r"), "zstd"),
}


def packing_of(start: bytes) -> str:
    """Return what a file is packed by that begins with these bytes; empty if it is not, or in a way that holds several files."""
    return next((name for mark, name in _MARKS.items() if start.startswith(mark)), "")


class UnpackedStream(SeekableReader):
    """Unpacks a file while it is read; going back means to begin again. The packed file stays open.

    Reading raises UnreadableTable if the file is broken, or larger than `max_bytes` when it is unpacked.
    """

    def __init__(self, file: BinaryIO, packing: str, max_bytes: int) -> None:
        super().__init__()
        self._file, self._packing, self._most = file, packing, max_bytes
        self._place = 0
        self._unpacked = self._reopened()

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if whence != 0:
            raise UnreadableTable("The size of a packed file is not known before it is read.")
        if offset < self._place:
            self._place, self._unpacked = 0, self._reopened()
        while self._place < offset and self.next_bytes(min(offset - self._place, _SKIPPED)):
            pass
        return self._place

    def _reopened(self) -> _Readable:
        self._file.seek(0)
        return _OPENERS[self._packing](self._file)

    def next_bytes(self, most: int) -> bytes:
        try:
            content = self._unpacked.read(most)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise UnreadableTable(f"The file is a broken {self._packing} archive: {error}.") from error
        self._place += len(content)
        if self._place > self._most:
            raise UnreadableTable(f"The file is larger than {self._most:,} bytes when it is unpacked.")
        return content
