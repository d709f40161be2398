"""Under which name an answer is stored."""

from secrets import token_hex
from time import time_ns

_LONGEST_GIVEN = 128
_MARK = "."


def unique_id(given: str = "") -> str:
    """Return an id for one answer: what the caller gave with a mark of ours behind it, as callers send the same id twice.

    Without one it begins with the time, so that the rows of one day lie together in the store's index. What a caller gave is cut where
    it is long, and characters that no log or table should hold are replaced.
    """
    if not given:
        return f"{time_ns() // 1_000_000:012x}{token_hex(10)}"
    printable = given if given.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in given)
    return f"{printable[:_LONGEST_GIVEN]}{_MARK}{token_hex(6)}"
