"""Packed files, workbooks and Parquet files become text files; all within a bound on bytes."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from tempfile import SpooledTemporaryFile, TemporaryFile
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from hearth.contracts.file_format import FileFormat
from hearth.contracts.texts import listed
from hearth.tables.csv_texts import encoded
from hearth.tables.unpacked_stream import UnpackedStream, packing_of
from hearth.tables.unreadable import UnreadableTable

_ZIP, PARQUET = b"PK\x03\x04", b"PAR1"
_REFUSED = {
    b"%PDF": "a PDF",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls); save it as .xlsx or CSV",
    b"PK\x05\x06": "an empty zip archive",
    b"7z\xbc\xaf": "a 7-zip archive",
}
_CHUNK = 1 << 16
_IN_MEMORY = 1 << 20
_BATCH_ROWS = 100  # of Parquet, whose texts may be long
_LAYERS = 3  # an archive in an archive
_PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "TMPDIR")
_TOO_MUCH = "The workbook cannot be read: it takes too much memory or time, as one with a cell far from the others does. Save it as CSV."


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


def is_text(start: bytes) -> bool:
    """Return whether a file that begins with these bytes is neither packed nor of another kind than text."""
    return not packing_of(start) and not start.startswith((_ZIP, PARQUET, *_REFUSED))


def _unpacked_once(file: BinaryIO, words: FileFormat, max_bytes: int) -> Unpacked | None:
    """Take one layer off; returns None for a text file."""
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    for mark, kind in _REFUSED.items():
        if start.startswith(mark):
            raise UnreadableTable(f"The file is {kind}: expected CSV, Parquet or .xlsx, plain or packed by gzip, bzip2, xz, zstd or zip.")
    if packing := packing_of(start):
        stream = UnpackedStream(file, packing, max_bytes)
        return Unpacked(_bounded(iter(lambda: stream.read(_CHUNK) or b"", b""), max_bytes), (f"unpacked from {packing}",))
    if start.startswith(_ZIP):
        return _unzip(file, words, max_bytes)
    if start.startswith(PARQUET):
        return Unpacked(_bounded(encoded(_parquet_rows(file)), max_bytes), ("converted from Parquet",))
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
    """Let a process of its own read a workbook: what it takes is not said by its size, and what it lacks would end this one."""
    command = [sys.executable, "-P", "-m", "hearth.tables.workbook_process", words.sheet or ""]
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    with TemporaryFile() as copy:
        file.seek(0)
        shutil.copyfileobj(file, copy)
        copy.seek(0)
        process = subprocess.Popen(  # noqa: S603 - our own program
            command, stdin=copy, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
    answer = cast("BinaryIO", process.stdout)
    try:
        sheet = _meant_sheet(answer.readline())
        text = _bounded(iter(lambda: answer.read(_CHUNK), b""), max_bytes)
        if process.wait() != 0:
            text.close()
            raise UnreadableTable(_TOO_MUCH)
    finally:
        process.kill()
        process.wait()
        answer.close()
    return Unpacked(text, (f"converted from the sheet {sheet!r} of a workbook",))


def _meant_sheet(line: bytes) -> str:
    if not line.endswith(b"\n"):
        raise UnreadableTable(_TOO_MUCH)
    found = json.loads(line)
    if found["problem"]:
        raise UnreadableTable(f"The workbook cannot be read: {found['problem']}.")
    if len(found["meant"]) != 1:
        raise UnreadableTable(
            f"The workbook has the sheets {listed(found['sheets'])}, of which {len(found['meant'])} could be meant: name one in the "
            "contract (source.format.sheet)."
        )
    return str(found["meant"][0])


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
