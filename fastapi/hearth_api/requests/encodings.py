"""Bodies as clients encode them: compressed, behind a byte order mark, in another charset."""

import zlib

from pydantic_core import from_json

from hearth.errors import ErrorKind, HearthError

_BOM = b"\xef\xbb\xbf"
_GZIP = 31  # the window of zlib that takes the form of gzip alone


class UnsupportedEncoding(HearthError):
    """The body of a request has an encoding that is not read."""

    code = "unsupported_encoding"
    kind = ErrorKind.UNSUPPORTED

    def __init__(self, encoding: str, allowed: str) -> None:
        super().__init__(f"The body has the Content-Encoding {encoding[:80]!r}; expected {allowed}.")


def unzip(content: bytes, limit: int) -> bytes:
    """Return the content of gzip, of more than `limit` bytes only the first `limit + 1`.

    Raises:
        ValueError: it is not gzip, or is cut off.
    """
    stream = zlib.decompressobj(_GZIP)
    try:
        unzipped = stream.decompress(content, limit + 1)
    except zlib.error as error:
        raise ValueError(f"The body is not gzip, which its Content-Encoding says: {error}.") from error
    if len(unzipped) <= limit and (not stream.eof or stream.unused_data):
        raise ValueError("The body is not one whole gzip file: it is cut off, or has bytes behind its end.")
    return unzipped


def read_json(content: bytes) -> object:
    """Parse JSON. NaN and Infinity, which Python writes, become floats: the error about them can then name the record.

    Raises:
        ValueError: it is not JSON; the message is a sentence.
    """
    try:
        return from_json(content.removeprefix(_BOM), allow_inf_nan=True)
    except ValueError as error:
        try:
            content.decode()
        except UnicodeDecodeError as not_text:
            raise ValueError(
                f"The body is not UTF-8 (byte 0x{content[not_text.start]:02x} at position {not_text.start}): send JSON as UTF-8."
            ) from error
        raise ValueError(f"The body is not JSON: {error}.") from error
