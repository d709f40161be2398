"""Text files, packed or not, that are read from front to back without a copy of them."""

from io import BufferedReader
from typing import BinaryIO, cast

from hearth.contracts.file_format import FileFormat
from hearth.tables.unpacked_stream import UnpackedStream, packing_of
from hearth.tables.unpacking import Unpacked, is_text, unpack

_BUFFER = 1 << 20
_START = 8


def open_text(file: BinaryIO, words: FileFormat, max_bytes: int) -> Unpacked:
    """Return a file as a text file: itself, or what it unpacks to while it is read; of archives, workbooks and the like a copy on disk.

    Raises:
        UnreadableTable: it is broken, of a kind that is not read, or larger than `max_bytes` when it is unpacked.
    """
    file.seek(0)
    if packing := packing_of(file.read(_START)):
        stream = BufferedReader(UnpackedStream(file, packing, max_bytes), _BUFFER)
        if is_text(stream.read(_START)):
            return Unpacked(cast("BinaryIO", stream), (f"unpacked from {packing}",))
    return unpack(file, words, max_bytes)
