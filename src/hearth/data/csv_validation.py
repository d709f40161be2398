"""Raw files against the contract: a file becomes a table of texts, and that becomes typed rows and rejected rows."""

import io
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa

from hearth.contracts.model import Contract
from hearth.contracts.numbers import PLAIN, AmbiguousNumbers, NumberFormat, find_number_format
from hearth.contracts.rules import rules_of
from hearth.data.raw_blocks import require_header
from hearth.data.validated_part import ValidationTotals, as_frame, validate_part
from hearth.errors import InvalidRawData
from hearth.tables import (
    TextColumn,
    Unnamed,
    UnnamedColumn,
    UnreadableTable,
    find_columns,
    find_form,
    read_columns,
    unpack,
)

LARGEST_UNPACKED = 1 << 30
"""Bytes of a raw file once it is unpacked."""
_MOST_BLANK = 1 << 16


@dataclass(frozen=True)
class RawTable:
    """The rows of a raw file.

    Attributes:
        columns: those of the contract in its order.
        lines: where each row starts in the file, counted from 1 in lines of the file, so a quoted line break counts; shape (rows,).
        malformed: the reason for each row, by position, that has more or fewer cells than the header.
        numbers: how numbers are written.
        understood: sentences about how the file was read.
        warnings: those that a person should read.
    """

    columns: Mapping[str, TextColumn]
    lines: np.ndarray
    malformed: Mapping[int, str] = field(default_factory=dict)
    numbers: NumberFormat = PLAIN
    understood: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.lines)

    @classmethod
    def of(cls, contract: Contract, rows: Sequence[Sequence[str]]) -> "RawTable":
        """Make a table of rows in contract order that come from no file; they are counted from 0."""
        columns = zip(*rows, strict=True) if rows else [()] * len(contract.columns)
        return cls({name: TextColumn.of(cells) for name, cells in zip(contract.columns, columns, strict=True)}, np.arange(len(rows)))

    def cells(self, rows: np.ndarray | slice = slice(None)) -> pd.DataFrame:
        """Return the texts of rows, indexed by line."""
        texts = {name: pd.Series(column.cells(rows), dtype="str") for name, column in self.columns.items()}
        return pd.DataFrame(texts, copy=False).set_axis(pd.Index(self.lines[rows], name="line"))


@dataclass(frozen=True)
class Validated:
    """The rows of a raw file, sorted out.

    Attributes:
        accepted: typed columns in contract order: texts for identifiers and categories, float64 for numbers and whole numbers,
            datetime64[us] for dates. A value of a dropped column that breaks its rule is missing.
        rejected: in this order the line, the reason (all that is wrong, joined by "; ") and the raw texts. The first two are called `line`
            and `reason`, with a `_` more where the contract has such a column.
        understood: sentences about words that were read as missing values.
        warnings: sentences about values of dropped columns that break their rules.
        lines: where each accepted row starts in the file, counted from 1, int64 of shape (accepted rows,).
        reasons: how many rows were rejected for each reason, without their values; a row may have several.
    """

    accepted: pd.DataFrame
    rejected: pd.DataFrame
    understood: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    lines: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    reasons: Mapping[str, int] = field(default_factory=dict)


def read_raw(contract: Contract, content: bytes | BinaryIO, name: str, max_bytes: int = LARGEST_UNPACKED) -> RawTable:
    """Read a raw file, or its bytes, into a table of texts, nothing converted; `name` is what errors call the file.

    CSV of any delimiter, plain or packed by gzip, bzip2, xz, zstd or zip, Parquet and .xlsx are read. Columns may have any order in the
    file. Blank lines are left out, and so is a column without a name that is empty or numbers the rows.

    Raises:
        InvalidRawData: the file is not a table of the contract's columns, or larger than `max_bytes` once it is unpacked; the message says
            what is wrong and where.
    """
    raw = io.BytesIO(content) if isinstance(content, bytes) else content
    if (size := raw.seek(0, io.SEEK_END)) <= _MOST_BLANK and not _beginning(raw).strip():
        raise InvalidRawData(f"{name} is empty ({size} bytes): expected a CSV file.")
    try:
        unpacked = unpack(raw, contract.file_format, max_bytes)
        with nullcontext(raw) if unpacked.file is raw else unpacked.file as file:
            form, header = find_form(file, contract.columns, contract.file_format)
            require_header(contract, header)
            table = read_columns(file, form)
        found = find_columns(contract, header, lambda place: _unnamed(table.columns[place], table.lines))
        if not len(table.lines):
            raise UnreadableTable("a header but no rows.")  # noqa: TRY301 - named below
        columns = {name: table.columns[place] for name, place in zip(contract.columns, found.places, strict=True)}
        numbers = _number_format(contract, columns)
    except (UnreadableTable, AmbiguousNumbers) as error:
        raise InvalidRawData(f"{name}: {error}") from error
    understood = (", ".join([*unpacked.notes, str(form), str(numbers)]), *found.notes)
    return RawTable(columns, table.lines, table.malformed, numbers, understood, found.warnings)


def validate(contract: Contract, raw: RawTable) -> Validated:
    """Convert and check every row; a row that breaks the contract is rejected with all its reasons.

    A column that no model sees, dropped or kept for groups, rejects no row: what breaks its rule becomes a missing value and is a warning.
    """
    columns = {name: pa.DictionaryArray.from_arrays(column.codes, column.texts) for name, column in raw.columns.items()}
    part = validate_part(contract, columns, raw.lines, raw.malformed, raw.numbers)
    totals = ValidationTotals(contract)
    totals.add(part)
    accepted = as_frame(contract, [part.accepted])
    return Validated(accepted, part.rejected, totals.understood, totals.warnings, part.lines, totals.reasons)


def _unnamed(column: TextColumn, lines: np.ndarray) -> Unnamed:
    found = UnnamedColumn()
    found.add(column.cells(), lines)
    return found.found()


def _beginning(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(_MOST_BLANK)


def _number_format(contract: Contract, columns: Mapping[str, TextColumn]) -> NumberFormat:
    """Find out how the numbers of a file are written, from all columns of numbers."""
    texts: set[str] = set()
    for name, rule in rules_of(contract).items():
        if rule.holds_numbers:
            texts.update(map(str.strip, columns[name].texts.to_pylist()))
    return find_number_format(texts, contract.file_format)
