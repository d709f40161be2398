"""How the texts of files are read, by the ETL and by the services alike."""

import re
import unicodedata
from collections.abc import Collection, Sequence
from itertools import islice

MISSING = frozenset({"", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "Null", "null", "None"})
"""Texts that mean a missing value, unless they are a category of the column."""

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
"""What a number looks like. Python reads more: underscores, digits of all alphabets, words."""

WHOLE_CODE = re.compile(r"(?:\+(?=[0-9]))?(-?[0-9]+)(?:\.0*)?")
"""What the code of a category looks like: a table often has 1.0 for it once a value is missing. The group is the code."""

PLAIN_WHOLE = re.compile(r"[+-]?[0-9]+")
"""Whole numbers that all formats of numbers read alike."""

MIDNIGHT = re.compile(r"(?<=[0-9]{2})[T ]00:00(?::00(?:\.0+)?)?")
"""The time of day that tables write behind a date that has none."""

ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
"""What a date looks like. Python reads other forms too, and some with letters behind them."""

_LONGEST_SHOWN, _MOST_SHOWN = 60, 50


def normalized(text: str) -> str:
    """Return a text in the form NFC, in which texts are compared: one letter with an accent may be two characters."""
    return unicodedata.normalize("NFC", text)


def abridge(value: object) -> str:
    """Return a value for an error message, at most 61 characters long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def listed(names: Collection[str]) -> str:
    """Return names for an error message, each abridged; of more than 50 the first."""
    shown = ", ".join(abridge(name) for name in islice(names, _MOST_SHOWN))
    return shown if len(names) <= _MOST_SHOWN else f"{shown} and {len(names) - _MOST_SHOWN} more"


def fit_row(row: list[str], width: int) -> list[str]:
    """Return the row with `width` cells: cut, or filled with blank ones."""
    return row if len(row) == width else (row + [""] * width)[:width]


def wrong_width(row: Sequence[str], width: int) -> str:
    """Return why a row is refused that does not have `width` cells."""
    surplus = f"; left out of this row: {listed(row[width:])}" if len(row) > width else ""
    return f"the row has {len(row)} cells, expected {width}, one for each column of the header{surplus}"
