"""A raw file as blocks of rows that are checked apart: it is read once, from front to back, and never in memory whole."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from hearth.contracts.model import Contract
from hearth.contracts.numbers import PLAIN, NumberFormat, find_number_format, is_marked
from hearth.contracts.rules import rules_of
from hearth.contracts.texts import PLAIN_WHOLE
from hearth.data.judged_column import can_be_unshared
from hearth.data.validated_part import ValidatedPart, validate_part
from hearth.tables import BlockColumns, CsvForm, Row, TextBlock, Unnamed, UnreadableTable, cut, find_columns, find_form, is_unnamed

_MOST_COLUMNS = 10_000
_NEARLY_ALL = 0.2  # distinct texts, as a share of the cells: above, a dictionary costs more than it saves


@dataclass(frozen=True)
class BlockReader:
    """Parses and checks blocks of one file; the same for all of them, in any process.

    Attributes:
        contract: What rows have to keep.
        places: where each of its columns is in the file.
        unnamed: the places of columns without a name.
        numbers: how numbers are written.
        unshared: the places of columns whose texts nearly all differ.
    """

    contract: Contract
    places: Mapping[str, int]
    unnamed: tuple[int, ...]
    numbers: NumberFormat
    unshared: frozenset[int] = frozenset()

    def read(self, block: TextBlock) -> "CheckedBlock":
        """Parse and check a block; raises UnreadableTable."""
        selected = list(dict.fromkeys([*self.places.values(), *self.unnamed]))
        rows = block.columns(selected, self.unshared)
        columns = dict(zip(selected, rows.columns, strict=True))
        texts = {name: columns[place] for name, place in self.places.items()}
        part = validate_part(self.contract, texts, rows.lines, rows.malformed, self.numbers)
        return CheckedBlock(part, {place: columns[place] for place in self.unnamed}, rows.lines if self.unnamed else rows.lines[:0])

    def adapted(self, rows: BlockColumns, selected: list[int]) -> "BlockReader":
        """Return a reader for a file whose columns look like those of these rows."""
        columns = dict(zip(selected, rows.columns, strict=True))
        unshared = {
            place
            for name, place in self.places.items()
            if can_be_unshared(rules_of(self.contract)[name], self.numbers) and _differ(columns[place])
        }
        return replace(self, unshared=frozenset(unshared))


@dataclass(frozen=True)
class CheckedBlock:
    """The rows of a block, sorted out, and the cells of columns without a name, with their lines."""

    part: ValidatedPart
    unnamed: Mapping[int, pa.Array]
    lines: np.ndarray


@dataclass(frozen=True)
class RawBlocks:
    """A text file, open to be read block by block, as often as one wants; `numbers` says how numbers are written."""

    contract: Contract
    file: BinaryIO
    form: CsvForm
    header: Row
    numbers: NumberFormat = PLAIN

    @classmethod
    def of(cls, contract: Contract, file: BinaryIO) -> "RawBlocks":
        """Find out how a text file is written.

        Raises:
            UnreadableTable: it has no header with the contract's columns.
        """
        form, header = find_form(file, contract.columns, contract.file_format)
        require_header(contract, header)
        return cls(contract, file, form, header)

    def reader(self) -> BlockReader:
        """Return what reads the blocks."""
        found = find_columns(self.contract, self.header, lambda _: Unnamed())
        unnamed = tuple(place for place, name in enumerate(self.header) if is_unnamed(name) and place not in found.places)
        return BlockReader(self.contract, dict(zip(self.contract.columns, found.places, strict=True)), unnamed, self.numbers)

    def blocks(self) -> Iterator[TextBlock]:
        """Yield the blocks; raises UnreadableTable."""
        return cut(self.file, self.form)

    def adapted_blocks(self) -> tuple[BlockReader, Iterator[TextBlock]]:
        """Return the blocks, and a reader that is fast for what is in the first of them; one alone is not worth a look first."""
        blocks, reader = self.blocks(), self.reader()
        begin = list(islice(blocks, 2))
        if len(begin) > 1:
            selected = list(reader.places.values())
            reader = reader.adapted(begin[0].columns(selected), selected)
        return reader, chain(begin, blocks)

    def known_numbers(self) -> NumberFormat | None:
        """Return how numbers are written where that is known without the last row; None where it is plainly unless a row says otherwise.

        Raises:
            AmbiguousNumbers: they can be read in two ways.
        """
        words = self.contract.file_format
        if "auto" not in {words.decimal, words.thousands}:
            return find_number_format((), words)
        may_be_plain = words.decimal != "comma" and words.thousands in {"auto", "none"}
        return None if may_be_plain and not self._is_marked_at_once() else self.find_numbers()

    def find_numbers(self) -> NumberFormat:
        """Read all numbers of the file to find out how they are written.

        Raises:
            AmbiguousNumbers: they can be read in two ways.
        """
        texts: set[str] = set()
        for block in self.blocks():
            for column in block.columns(self._number_places()).columns:
                # whole numbers are read alike by all formats
                texts.update(text for cell in column.dictionary.to_pylist() if not PLAIN_WHOLE.fullmatch(text := cell.strip()))
        return find_number_format(texts, self.contract.file_format)

    def with_numbers(self, numbers: NumberFormat | None) -> "RawBlocks":
        """Return the same file, whose numbers are written in this way; plainly if it is None."""
        return replace(self, numbers=numbers or PLAIN)

    def _is_marked_at_once(self) -> bool:
        first = next(self.blocks(), None)
        columns = first.columns(self._number_places()).columns if first else ()
        return any(is_marked(text.strip()) for column in columns for text in column.dictionary.to_pylist())

    def _number_places(self) -> list[int]:
        return [place for name, place in self.reader().places.items() if rules_of(self.contract)[name].holds_numbers]


def require_header(contract: Contract, header: Row) -> None:
    """Raise UnreadableTable for a header that no rows can make good, before they are read: each would be as wide as it."""
    most = max(_MOST_COLUMNS, 2 * len(contract.columns))
    if len(header) > most:
        raise UnreadableTable(f"the header has {len(header):,} columns, at most {most:,} are read.")
    find_columns(contract, header, lambda _: Unnamed())


def _differ(column: pa.Array) -> bool:
    return pa.types.is_dictionary(column.type) and len(column.dictionary) > _NEARLY_ALL * len(column)
