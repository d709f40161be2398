"""What the files have in common that are read from something else: from a packed file, or from what is in memory already."""

from abc import abstractmethod
from io import RawIOBase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class SeekableReader(RawIOBase):
    """A raw file to be read; a subclass says what comes next, and where it is."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    @abstractmethod
    def next_bytes(self, most: int) -> bytes:
        """Return up to `most` bytes from where the file stands, and move behind them; empty at the end."""

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        target = memoryview(buffer).cast("B")
        content = self.next_bytes(len(target))
        target[: len(content)] = content
        return len(content)
