"""The rows of raw files against the contract, block by block, from the object store to a spool on disk."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hearth.contracts import Contract
from hearth.contracts.numbers import PLAIN, AmbiguousNumbers, NumberFormat
from hearth.contracts.origins import GENERATED, Origin
from hearth.data.hashed_file import HashedFile
from hearth.data.raw_blocks import RawBlocks
from hearth.data.raw_origin import origin_of
from hearth.data.validated_spool import ValidatedSpool
from hearth.errors import InvalidRawData
from hearth.executors import Executor, find_executor
from hearth.storage import ObjectStore, StoredObject
from hearth.tables import UnnamedColumn, UnreadableTable, find_columns, open_text

_MOST_BLANK = 1 << 16


@dataclass(frozen=True)
class CheckedRaw:
    """Raw files after the check of their rows.

    Attributes:
        hash: of the bytes: the SHA-256 of one file, or of the digests of several; more can be added to it.
        origin: where the rows come from.
        understood, warnings: sentences about how the files were read.
        columns: those of the contract that were read.
    """

    hash: "hashlib._Hash"
    origin: Origin
    understood: tuple[str, ...]
    warnings: tuple[str, ...]
    columns: int


class _OtherNumbers(Exception):
    """A file writes its numbers in another way than the rows before seemed to say."""

    def __init__(self, numbers: NumberFormat) -> None:
        self.numbers = numbers


def raw_objects(store: ObjectStore, key: str) -> list[StoredObject]:
    """Return the raw files of a key by name: one, or all below a prefix, which ends with `/`.

    Raises:
        ObjectNotFound: there is no such key.
    """
    if not key.endswith("/"):
        return [store.head(store.data_bucket, key)]
    found = [each for each in store.objects(store.data_bucket, key) if not _is_aside(each.key.removeprefix(key))]
    return sorted(found, key=lambda each: each.key)


def check_raw(contract: Contract, store: ObjectStore, key: str, folder: Path, max_bytes: int) -> tuple[CheckedRaw, ValidatedSpool]:
    """Check the rows of the raw files of a key, and leave them in a folder.

    Raises:
        ObjectNotFound: there is no such key.
        InvalidRawData: there is no raw file below the key; or a file is no table of the contract's columns, or larger than `max_bytes` once
            it is unpacked.
    """
    found = raw_objects(store, key)
    if not found:
        raise InvalidRawData(
            f"s3://{store.data_bucket}/{key} holds no raw file: expected one at least. Names that begin with . or _ are those of marks of "
            "other programs, and are not read."
        )
    named = {each.key.removeprefix(key) if len(found) > 1 else "": each for each in found}
    formats: dict[str, NumberFormat] = {}
    with find_executor(sum(each.size for each in found)) as executor:
        while True:
            try:
                with ValidatedSpool(contract, folder) as spool:
                    return _check_all(contract, store, named, spool, executor, max_bytes, formats), spool
            except _OtherNumbers:
                continue


def _check_all(  # noqa: PLR0913, PLR0917 - what is read, by whom, and where to
    contract: Contract,
    store: ObjectStore,
    named: Mapping[str, StoredObject],
    spool: ValidatedSpool,
    executor: Executor,
    max_bytes: int,
    formats: dict[str, NumberFormat],
) -> CheckedRaw:
    hashes: list[hashlib._Hash] = []
    understood: list[str] = []
    warnings: list[str] = []
    for name, each in named.items():
        source = f"s3://{each.bucket}/{each.key}"
        hashed = HashedFile(store.open(each))
        reader = _FileCheck(contract, spool, executor, name, formats)
        try:
            notes, warned = reader.check(hashed.buffered(), each.size, max_bytes)
        except (UnreadableTable, AmbiguousNumbers) as error:
            raise InvalidRawData(f"{source}: {error}") from error
        except _Empty:
            raise InvalidRawData(f"{source} is empty ({each.size} bytes): expected a CSV file.") from None
        hashes.append(hashed.finish())
        understood += [f"{name}: {note}" if name else note for note in notes]
        warnings += [f"{name}: {note}" if name else note for note in warned]
    origins = [origin_of(store, contract, each.hexdigest()) for each in hashes]
    origin = GENERATED if GENERATED in origins else origins[0]
    totals = spool.totals
    all_ = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(each.hexdigest() for each in hashes).encode())
    return CheckedRaw(all_, origin, (*understood, *totals.understood), (*warnings, *totals.warnings), len(contract.columns))


class _Empty(Exception):
    """A file holds nothing, or blanks."""


@dataclass
class _FileCheck:
    """`name` is the path of the file below the folder that is read, so no two files have the same; "" where there is one file alone."""

    contract: Contract
    spool: ValidatedSpool
    executor: Executor
    name: str
    formats: dict[str, NumberFormat]

    def check(self, file: BinaryIO, size: int, max_bytes: int) -> tuple[list[str], Sequence[str]]:
        """Check one file; returns sentences about how it was read, and warnings."""
        if size <= _MOST_BLANK and not file.read(_MOST_BLANK).strip():
            raise _Empty
        with ExitStack() as stack:
            text = open_text(file, self.contract.file_format, max_bytes)
            if text.file is not file:
                stack.enter_context(text.file)
            raw = RawBlocks.of(self.contract, text.file)
            numbers = self.formats.get(self.name) or raw.known_numbers()
            raw = raw.with_numbers(numbers)
            unnamed, rows, is_marked = self._check_blocks(raw)
            if numbers is None and is_marked:
                numbers = raw.find_numbers()
                if numbers != PLAIN:
                    self.formats[self.name] = numbers
                    raise _OtherNumbers(numbers)
        found = find_columns(self.contract, raw.header, lambda place: unnamed[place].found())
        if not rows:
            raise UnreadableTable("a header but no rows.")
        return [", ".join([*text.notes, str(raw.form), str(numbers or PLAIN)]), *found.notes], found.warnings

    def _check_blocks(self, raw: RawBlocks) -> tuple[dict[int, UnnamedColumn], int, bool]:
        rows, is_marked = 0, False
        reader, blocks = raw.adapted_blocks()
        unnamed = {place: UnnamedColumn() for place in reader.unnamed}
        for checked in self.executor.map(reader.read, blocks):
            rows += checked.part.rows
            is_marked = is_marked or checked.part.is_marked
            for place, column in unnamed.items():
                column.add(checked.unnamed[place], checked.lines)
            self.spool.add(checked.part, self.name)
        return unnamed, rows, is_marked


def _is_aside(name: str) -> bool:
    """Whether a name is none, or that of a mark of another program."""
    return not name or name.endswith("/") or any(part.startswith((".", "_")) for part in name.split("/"))
