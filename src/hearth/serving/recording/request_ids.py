"""The ids under which answers are stored."""

from secrets import token_hex
from time import time_ns

_MAX_PREFIX_LENGTH = 128
_SEPARATOR = "."


def unique_id(prefix: str = "") -> str:
    """Return a unique id for one answer: the id of the caller as a prefix, which need not be unique, and a random suffix.

    Without a prefix it begins with the time, so that rows of one day are close together in the index of the store. A prefix is cut after
    128 characters, and characters that are not printable become `?`.
    """
    if not prefix:
        return f"{time_ns() // 1_000_000:012x}{token_hex(10)}"
    printable = prefix if prefix.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in prefix)
    return f"{printable[:_MAX_PREFIX_LENGTH]}{_SEPARATOR}{token_hex(6)}"
