"""Values of workbooks and Parquet files as the text of a CSV file."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time


def encoded(rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """Write rows of values as CSV; a row without any value is a blank line, so that lines are counted as the file has them."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        cells = [_text(value) for value in row]
        if any(cells):
            writer.writerow(cells)
        else:
            text.write("\n")
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()


def _text(value: object) -> str:
    """Return what a text file would hold for a value."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)
