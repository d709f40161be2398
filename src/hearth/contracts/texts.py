"""How the texts of files are read, by the ETL and by the services alike."""

import re
from collections.abc import Collection, Sequence
from itertools import islice

MISSING = frozenset({"", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "Null", "null", "None"})
"""Texts that mean a missing value, unless they are a category of the column."""

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
"""What a number looks like. Python reads more: underscores, digits of all alphabets, words."""

WHOLE_CODE = re.compile(r"(?:\+(?=[0-9]))?(-?[0-9]+)(?:\.0*)?")
"""What the code of a category looks like: a table often has 1.0 for it once a value is missing. The group is the code."""

ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
"""What a date looks like. Python reads other forms too, and some with letters behind them."""

OTHER_FORMATS = {
    b"PK": "a zip archive or a spreadsheet",
    b"\x1f\x8b": "a gzip archive",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
"""First bytes of files that are not CSV in UTF-8, and what such a file is."""

_LONGEST_SHOWN, _MOST_SHOWN = 60, 50


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
