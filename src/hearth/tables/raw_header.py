"""Which column of a raw file is which column of the contract, and what is left out."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hearth.contracts import Contract
from hearth.contracts.texts import NUMBER, listed, normalized
from hearth.tables.csv_rows import Row
from hearth.tables.unreadable import UnreadableTable

_UNNAMED = re.compile(r"|Unnamed: [0-9]+|__index_level_[0-9]+__")  # as pandas writes its index


@dataclass(frozen=True)
class RawHeader:
    """The header of a raw file.

    Attributes:
        places: the place of each column of the contract, in contract order.
        notes: sentences about what is left out.
        warnings: those that a person should read.
    """

    places: tuple[int, ...]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unnamed:
    """What is in a column without a name: the line of its first cell that is not blank, 0 if all are, and whether it numbers the rows."""

    line: int = 0
    numbers_rows: bool = False


def is_unnamed(name: str) -> bool:
    """Return whether the name of a column in a header is none, or one that programs write in place of none."""
    return bool(_UNNAMED.fullmatch(normalized(name.strip())))


def find_columns(contract: Contract, header: Row, unnamed: Callable[[int], Unnamed]) -> RawHeader:
    """Find the contract's columns; names are compared in the form NFC.

    `unnamed(place)` says what is in a column without a name.

    Raises:
        UnreadableTable: columns are missing, are there twice, or are not in the contract, if that refuses them.
    """
    names = [normalized(cell.strip()) for cell in header]
    wanted = [normalized(name) for name in contract.columns]
    if not set(names) & set(wanted):
        _require_header(contract, header)
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise UnreadableTable(f"the header names a column twice: {listed(twice)}.")
    notes: list[str] = []
    extra: list[str] = []
    for place, name in enumerate(names):
        if name in wanted:
            continue
        if not _UNNAMED.fullmatch(name):
            extra.append(name)
        elif not (found := unnamed(place)).line:
            notes.append("a column without name and values was left out")
        elif found.numbers_rows:
            notes.append(f"the column {name!r} numbers the rows and was left out")
        elif contract.file_format.extra_columns == "refuse":
            raise UnreadableTable(f"the header has a column without a name, but line {found.line} has a value in it: name the column.")
        else:
            extra.append(name)
    missing = [name for name, form in zip(contract.columns, wanted, strict=True) if form not in names]
    _require_columns(header, missing, extra if contract.file_format.extra_columns == "refuse" else [])
    warnings = [f"columns that the contract does not have were left out: {listed(extra)}"] if extra else []
    warns = contract.file_format.extra_columns == "warn"
    places = tuple(names.index(name) for name in wanted)
    return RawHeader(places, (*notes, *(() if warns else warnings)), tuple(warnings if warns else ()))


def _require_header(contract: Contract, header: Row) -> None:
    if any(NUMBER.fullmatch(cell.strip()) for cell in header):
        raise UnreadableTable(
            f"there seems to be no header: the first line holds {listed(header[:10])}. Put a line with the names of the columns before it: "
            f"{listed(contract.columns)}."
        )


def _require_columns(header: Row, missing: Sequence[str], extra: Sequence[str]) -> None:
    if missing or extra:
        parts = [f"columns are missing: {listed(missing)}"] if missing else []
        parts += [f"columns are not in the contract: {listed(extra)}"] if extra else []
        hint = " Are the values separated by something other than commas, semicolons, tabs and bars?" if len(header) == 1 else ""
        leave_out = " source.format.extra_columns: warn or ignore leaves them out." if extra and not missing else ""
        raise UnreadableTable(f"{'; '.join(parts)}.{hint}{leave_out}")
