"""The parts of a backup: encrypted tar files, whose members are written and read in order and never all in memory."""

import gzip
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import IO, BinaryIO, cast

from hearth.backup.manifest import Part
from hearth.backup.places import Place
from hearth.backup.sealing import BackupKey, Readable, SealedReader, SealedWriter
from hearth.errors import InvalidBackup

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Vault:
    """One backup in its place: the folder of its id, and its key."""

    place: Place
    id: str
    key: BackupKey

    @contextmanager
    def create(self, name: str, parts: list[Part], *, compressed: bool) -> Iterator["Archive"]:
        """Write a part; it is there, and appended to `parts`, when the block ends without an error."""
        with self.place.create(f"{self.id}/{name}") as file:
            sealed = SealedWriter(file, self.key, f"{self.id}/{name}")
            archive = Archive(sealed, compressed=compressed)
            yield archive
            archive.close()
            sealed.finish()
        parts.append(Part(name, sealed.size, sealed.sha256, archive.members, archive.bytes))

    @contextmanager
    def read(self, part: Part, *, compressed: bool) -> Iterator[Iterator[tuple[str, BinaryIO]]]:
        """Yield the members of a part, each with its content, which has to be read before the next.

        Raises:
            InvalidBackup: the part is missing, or not what was written.
        """
        with self.place.open(f"{self.id}/{part.name}") as file:
            sealed = SealedReader(file, self.key, f"{self.id}/{part.name}")
            yield _members(sealed, part.name, compressed=compressed)


class Archive:
    """A tar file that is being written. `members` and `bytes` count what it holds."""

    def __init__(self, sealed: SealedWriter, *, compressed: bool) -> None:
        target = cast("IO[bytes]", sealed)
        self._packed = gzip.GzipFile(fileobj=target, mode="wb", compresslevel=1, mtime=0, filename="") if compressed else None
        self._tar = tarfile.open(fileobj=self._packed or target, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by close()
        self.members = self.bytes = 0

    def add(self, name: str, content: bytes) -> None:
        self.add_file(name, BytesIO(content), len(content))

    def add_file(self, name: str, file: Readable, size: int) -> None:
        """Add `size` bytes of a file."""
        info = tarfile.TarInfo(name)
        info.size = size
        self._tar.addfile(info, cast("IO[bytes]", file))
        self.members += 1
        self.bytes += size

    def close(self) -> None:
        self._tar.close()
        if self._packed:
            self._packed.close()


def _members(sealed: SealedReader, name: str, *, compressed: bool) -> Iterator[tuple[str, BinaryIO]]:
    source = cast("IO[bytes]", sealed)
    try:
        with tarfile.open(fileobj=gzip.GzipFile(fileobj=source) if compressed else source, mode="r|") as tar:
            for info in tar:
                file = tar.extractfile(info)
                if file is None:
                    raise InvalidBackup(f"{name} holds {info.name!r}, which is no file.")
                yield info.name, cast("BinaryIO", file)
        while sealed.read(1 << 20):  # to its authenticated end
            pass
    except (tarfile.TarError, gzip.BadGzipFile, EOFError) as error:
        raise InvalidBackup(f"{name} is encrypted with the right key, and is no archive all the same: {error}") from error
