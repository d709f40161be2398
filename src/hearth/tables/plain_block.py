"""Whole lines of a text file, of which it is proven that pyarrow reads them as the standard library does."""

import csv
from codecs import BOM_UTF8
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import StringIO

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from hearth.contracts.texts import fit_row, wrong_width
from hearth.tables.csv_rows import Row, RowLimit

TEXTS = pa.dictionary(pa.int32(), pa.string())
"""Each distinct text of a column once, and the position of each cell's text."""
_NEWLINE, _RETURN = 10, 13


@dataclass(frozen=True)
class PlainBlock:
    """Whole lines of a file, without anything that two readers would judge differently but uneven rows.

    Attributes:
        content: the bytes.
        count: the number of lines.
    """

    content: bytes
    count: int

    @classmethod
    def of(cls, content: bytes, limit: RowLimit) -> "PlainBlock | None":
        """Return None for a block that only the standard library may read."""
        if b'"' in content or b"\0" in content or content.startswith(BOM_UTF8) or content.count(b"\r") != content.count(b"\r\n"):
            return None
        longest = min(limit.characters, csv.field_size_limit())
        if _has_long_lines(content, longest // 2) and _longest_line(content) >= longest:
            return None
        return cls(content, content.count(b"\n") + (not content.endswith(b"\n")))

    @cached_property
    def lines(self) -> np.ndarray:
        """The lines that are not blank, counted from 0."""
        content = self.content
        if not (content.startswith((b"\n", b"\r")) or b"\n\n" in content or b"\n\r" in content):
            return np.arange(self.count)
        array = np.frombuffer(content, dtype=np.uint8)
        starts, ends = _lines(array)
        lengths = ends - starts
        blank = (lengths == 0) | ((lengths == 1) & (array[starts.clip(max=len(array) - 1)] == _RETURN))
        return np.flatnonzero(~blank)

    def columns(
        self, delimiter: str, width: int, selected: Sequence[int] | None = None, unshared: Collection[int] = ()
    ) -> tuple[list[pa.Array], dict[int, str]]:
        """Return the cells of columns in the rows that are not blank.

        Args:
            delimiter: Between cells.
            width: The number of cells of a row.
            selected: The positions of the columns; all by default.
            unshared: Those of columns whose texts nearly all differ, and are not looked for in a dictionary.

        Returns:
            For each column its texts, and the reason for each row, by position, that has another width.

        Raises:
            UnicodeDecodeError: the block is no UTF-8.
        """
        selected = range(width) if selected is None else selected
        names = [str(position) for position in range(width)]
        kinds = {names[position]: pa.string() if position in unshared else TEXTS for position in selected}
        options = arrow_csv.ReadOptions(use_threads=False, column_names=names, block_size=len(self.content) + 1)
        parsing = arrow_csv.ParseOptions(delimiter=delimiter, quote_char=False, newlines_in_values=False)
        converting = arrow_csv.ConvertOptions(column_types=kinds, include_columns=list(kinds))
        try:
            table = arrow_csv.read_csv(pa.BufferReader(self.content), options, parsing, converting)
        except pa.ArrowInvalid:  # uneven rows, or no UTF-8
            text = StringIO(self.content.decode(), newline="")
            rows = [row for row in csv.reader(text, delimiter=delimiter, strict=True) if row]
            return row_columns(rows, width, selected)
        columns = dict(zip(kinds, table.columns, strict=True))
        return [columns[names[position]].combine_chunks() for position in selected], {}


def row_columns(rows: Sequence[Row], width: int, selected: Sequence[int]) -> tuple[list[pa.Array], dict[int, str]]:
    """Return the cells of columns of rows, and the reason for each row, by position, that has another width."""
    malformed = {position: wrong_width(row, width) for position, row in enumerate(rows) if len(row) != width}
    fitted = [fit_row(row, width) for row in rows] if malformed else rows
    return [pa.array([row[place] for row in fitted], pa.string()).dictionary_encode() for place in selected], malformed


def _has_long_lines(content: bytes, half: int) -> bool:
    """Return whether a line may have twice as many bytes as `half`; False says that none has."""
    return half < 1 or any(content.find(b"\n", start, start + half) < 0 for start in range(0, len(content) - half + 1, half))


def _longest_line(content: bytes) -> int:
    starts, ends = _lines(np.frombuffer(content, dtype=np.uint8))
    return int((ends - starts).max())


def _lines(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each line starts, and where its end is."""
    ends = np.flatnonzero(array == _NEWLINE)
    if not len(ends) or ends[-1] != len(array) - 1:
        ends = np.append(ends, len(array))
    return np.concatenate([[0], ends[:-1] + 1]), ends
