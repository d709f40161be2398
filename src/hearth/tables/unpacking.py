"""Packed files, workbooks and Parquet files become text files; all within a bound on bytes."""

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import PurePosixPath
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq
from python_calamine import CalamineError, CalamineWorkbook

from hearth.contracts.file_format import FileFormat
from hearth.contracts.texts import listed
from hearth.tables.unreadable import UnreadableTable

_GZIP, _ZIP, PARQUET = b"\x1f\x8b", b"PK\x03\x04", b"PAR1"
_REFUSED = {
    b"%PDF": "a PDF",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls); save it as .xlsx or CSV",
    b"PK\x05\x06": "an empty zip archive",
    b"BZh": "a bzip2 archive; gzip and zip are read",
    b"\xfd7zXZ": "an xz archive; gzip and zip are read",
    b"7z\xbc\xaf": "a 7-zip archive; gzip and zip are read",
}
_CHUNK = 1 << 16
_IN_MEMORY = 1 << 20
_BATCH_ROWS = 100  # of Parquet, whose texts may be long
_LAYERS = 3  # an archive in an archive


@dataclass(frozen=True)
class Unpacked:
    """A text file, and what it was before: `notes` are parts of a sentence. The file is another one than came in if there are notes."""

    file: BinaryIO
    notes: tuple[str, ...] = ()


def unpack(file: BinaryIO, words: FileFormat, max_bytes: int) -> Unpacked:
    """Return a file as a text file: itself if it is neither packed nor a workbook nor Parquet, else a temporary file of the caller's.

    Raises:
        UnreadableTable: it is broken, of a kind that is not read, or larger than `max_bytes` when it is unpacked.
    """
    layer = _unpacked_once(file, words, max_bytes)
    if layer is None:
        return Unpacked(file)
    unpacked = layer
    for _ in range(_LAYERS - 1):
        try:
            layer = _unpacked_once(unpacked.file, words, max_bytes)
        except UnreadableTable:
            unpacked.file.close()
            raise
        if layer is None:
            return unpacked
        unpacked.file.close()
        unpacked = Unpacked(layer.file, (*unpacked.notes, *layer.notes))
    unpacked.file.close()
    raise UnreadableTable(f"The file is packed {_LAYERS} times or more.")


def _unpacked_once(file: BinaryIO, words: FileFormat, max_bytes: int) -> Unpacked | None:
    """Take one layer off; returns None for a text file."""
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    for mark, kind in _REFUSED.items():
        if start.startswith(mark):
            raise UnreadableTable(f"The file is {kind}: expected CSV, Parquet or .xlsx, plain or packed by gzip or zip.")
    if start.startswith(_GZIP):
        return Unpacked(_bounded(_gzip_chunks(file), max_bytes), ("unpacked from gzip",))
    if start.startswith(_ZIP):
        return _unzip(file, words, max_bytes)
    if start.startswith(PARQUET):
        return Unpacked(_bounded(_encoded(_parquet_rows(file)), max_bytes), ("converted from Parquet",))
    return None


def _bounded(chunks: Iterable[bytes], max_bytes: int) -> BinaryIO:
    """Write chunks to a temporary file."""
    target = cast("BinaryIO", SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115 - the caller closes it
    size = 0
    try:
        for chunk in chunks:
            size += len(chunk)
            if size > max_bytes:
                raise UnreadableTable(f"The file is larger than {max_bytes:,} bytes when it is unpacked.")  # noqa: TRY301 - closes the target
            target.write(chunk)
    except BaseException:
        target.close()
        raise
    return target


def _gzip_chunks(file: BinaryIO) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
            while chunk := unpacked.read(_CHUNK):
                yield chunk
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableTable(f"The file is a broken gzip archive: {error}.") from error


def _unzip(file: BinaryIO, words: FileFormat, max_bytes: int) -> Unpacked:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if "[Content_Types].xml" in names and any(name.startswith("xl/") for name in names):
                if (size := sum(member.file_size for member in archive.infolist())) > max_bytes:
                    raise UnreadableTable(f"The workbook has {size:,} bytes when it is unpacked, the limit is {max_bytes:,}.")
                return _workbook(file, words, max_bytes)
            members = [member for member in archive.infolist() if not member.is_dir() and not _is_by_the_way(member.filename)]
            if len(members) != 1:
                raise UnreadableTable(f"The zip archive holds {len(members)} files, expected one: {listed(names[:10])}.")
            with archive.open(members[0]) as unpacked:
                return Unpacked(
                    _bounded(iter(lambda: unpacked.read(_CHUNK), b""), max_bytes), (f"unpacked from zip ({members[0].filename})",)
                )
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, zlib.error) as error:  # RuntimeError: it is encrypted
        raise UnreadableTable(f"The zip archive cannot be read: {error}.") from error


def _is_by_the_way(name: str) -> bool:
    return name.startswith("__MACOSX/") or PurePosixPath(name).name.startswith(".")


def _workbook(file: BinaryIO, words: FileFormat, max_bytes: int) -> Unpacked:
    file.seek(0)
    try:
        with CalamineWorkbook.from_filelike(file) as workbook:
            sheets = {name: workbook.get_sheet_by_name(name) for name in workbook.sheet_names}
            filled = [name for name, sheet in sheets.items() if sheet.start is not None]
            if words.sheet:
                filled = [name for name in filled if name == words.sheet]
            if len(filled) != 1:
                raise UnreadableTable(
                    f"The workbook has the sheets {listed(sheets)}, of which {len(filled)} could be meant: name one in the contract "
                    "(source.format.sheet)."
                )
            rows = sheets[filled[0]].to_python(skip_empty_area=False)
            return Unpacked(_bounded(_encoded(rows), max_bytes), (f"converted from the sheet {filled[0]!r} of a workbook",))
    except CalamineError as error:
        raise UnreadableTable(f"The workbook cannot be read: {error}.") from error


def _parquet_rows(file: BinaryIO) -> Iterator[Sequence[object]]:
    try:
        table = pq.ParquetFile(pa.PythonFile(file, mode="r"), pre_buffer=False)
        nested = [column.name for column in table.schema_arrow if pa.types.is_nested(column.type) or pa.types.is_binary(column.type)]
        if nested:
            raise UnreadableTable(f"Lists, structures and bytes cannot be columns of a data set: {listed(nested)}.")
        yield table.schema_arrow.names
        for batch in table.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableTable(f"The file is not Parquet, or broken: {error}.") from error


def _encoded(rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
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
