"""Compressed bodies."""

import zlib

from hearth.errors import ErrorKind, HearthError

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
