"""What is in a column without a name, found out block by block: whether it is blank, or numbers the rows as pandas writes its index."""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hearth.contracts.texts import WHOLE_CODE
from hearth.tables.raw_header import Unnamed

if TYPE_CHECKING:
    from collections.abc import Iterable

_NUMBER = r"^(0|[1-9][0-9]{0,17})$"  # other texts of this form are other numbers


class UnnamedColumn:
    """Takes the cells of a column in their order. Numbers that rise take little memory; of others the set of texts is kept."""

    def __init__(self) -> None:
        self._line = 0
        self._numbers_rows = True
        self._rising: list[Iterable[int]] = []
        self._last = -1
        self._texts: set[str] = set()

    def add(self, cells: pa.Array, lines: np.ndarray) -> None:
        """Add cells with their lines."""
        if not len(cells) or (self._line and not self._numbers_rows):
            return
        cells = cells.cast(pa.string()) if pa.types.is_dictionary(cells.type) else cells
        if self._numbers_rows and not self._texts and self._add_rising(cells):
            self._line = self._line or int(lines[0])
            return
        stripped = [text.strip() for text in cells.to_pylist()]
        if not self._line:
            self._line = next((int(line) for text, line in zip(stripped, lines, strict=True) if text), 0)
        if self._numbers_rows:
            self._texts.update(str(number) for part in self._rising for number in part)
            self._rising = []
            before = len(self._texts)
            self._texts.update(stripped)
            self._numbers_rows = len(self._texts) == before + len(stripped) and all(map(WHOLE_CODE.fullmatch, stripped))

    def found(self) -> Unnamed:
        """Return what was found in all cells."""
        return Unnamed(self._line, self._numbers_rows)

    def _add_rising(self, cells: pa.Array) -> bool:
        if not pc.all(pc.match_substring_regex(cells, _NUMBER)).as_py():
            return False
        numbers = cells.cast(pa.int64()).to_numpy()
        if numbers[0] <= self._last or (np.diff(numbers) <= 0).any():
            return False
        first, self._last = int(numbers[0]), int(numbers[-1])
        self._rising.append(range(first, self._last + 1) if self._last - first == len(numbers) - 1 else numbers)
        return True
