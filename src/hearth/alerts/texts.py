"""Text and JSON from anywhere in a form that the store takes and that stays on one line. Pure."""

from collections.abc import Mapping, Sequence

LONGEST_NAME = 200
LONGEST_TEXT = 1_000
_DEEPEST = 6
_MOST_ITEMS = 200
_EXACT = 2**53  # up to here every reader of JSON reads the same whole number
_CUT = "…"


def one_line(text: str, longest: int = LONGEST_TEXT) -> str:
    """Return a text without control characters, half surrogate pairs and breaks of lines, cut to a length."""
    # In a mail a break of a line begins a header, and in a log an entry; what changes the direction of writing hides what follows it
    printable = "".join(" " if char.isspace() else char if _is_shown(char) else "\N{REPLACEMENT CHARACTER}" for char in text[: 4 * longest])
    line = " ".join(printable.split())
    return line if len(line) <= longest else line[: longest - 1] + _CUT


def _is_shown(char: str) -> bool:
    return char.isprintable() and not "\ud800" <= char <= "\udfff"


def plain_json(value: object, depth: int = _DEEPEST) -> object:
    """Return a value as PostgreSQL's jsonb can hold it: text without NUL, finite numbers, and a bound on depth and length."""
    match value:
        case None | bool() | int() | float() if value is None or abs(value) < _EXACT:
            return value
        case str():
            return _multi_line(value)
        case _ if depth == 0:
            return _CUT
        case Mapping():
            items = list(value.items())[:_MOST_ITEMS]
            return {one_line(str(key), LONGEST_NAME): plain_json(item, depth - 1) for key, item in items}
        case Sequence():
            return [plain_json(item, depth - 1) for item in list(value)[:_MOST_ITEMS]]
        case _:
            return one_line(hex(value) if isinstance(value, int) else str(value), LONGEST_NAME)


def _multi_line(text: str) -> str:
    kept = "".join(char if char == "\n" or _is_shown(char) else " " for char in text[:LONGEST_TEXT])
    return kept if len(text) <= LONGEST_TEXT else kept[:-1] + _CUT
