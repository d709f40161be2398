"""Where the results of a batch go: a folder, or a prefix of the object store. Each is written whole or not at all."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from hearth.batch.objects import is_stored, split_address
from hearth.errors import InvalidScoring, ObjectNotFound
from hearth.storage import ObjectStore

_UNFINISHED = ".unfinished"


class Output(Protocol):
    """A place for results; names may have folders."""

    @property
    def address(self) -> str: ...

    def read(self, name: str) -> bytes | None:
        """Return a result, None if there is none."""

    def write(self, name: str, content: bytes) -> None: ...

    def delete(self, name: str) -> None:
        """Delete a result; nothing happens if there is none."""

    def names(self, prefix: str) -> Iterator[str]:
        """Yield the names that begin with a prefix, in no particular order."""


class Folder:
    """A folder as an output."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def address(self) -> str:
        return str(self._path)

    def read(self, name: str) -> bytes | None:
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        target = self._path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}.{os.getpid()}{_UNFINISHED}")
        unfinished.write_bytes(content)
        unfinished.replace(target)

    def delete(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)

    def names(self, prefix: str) -> Iterator[str]:
        folder = self._path / (prefix if prefix.endswith("/") else prefix.rpartition("/")[0])
        for path in folder.rglob("*") if folder.is_dir() else ():
            name = path.relative_to(self._path).as_posix()
            if path.is_file() and name.startswith(prefix) and not name.endswith(_UNFINISHED):
                yield name


class Prefix:
    """A prefix of the object store as an output."""

    def __init__(self, store: ObjectStore, bucket: str, prefix: str) -> None:
        self._store, self._bucket = store, bucket
        self._prefix = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"

    @property
    def address(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def read(self, name: str) -> bytes | None:
        try:
            return self._store.get(self._bucket, self._prefix + name)
        except ObjectNotFound:
            return None

    def write(self, name: str, content: bytes) -> None:
        self._store.put(self._bucket, self._prefix + name, content)

    def delete(self, name: str) -> None:
        self._store.delete(self._bucket, self._prefix + name)

    def names(self, prefix: str) -> Iterator[str]:
        for key in self._store.keys(self._bucket, self._prefix + prefix):
            yield key[len(self._prefix) :]


def find_output(address: str, sources: Sequence[str], store: Callable[[], ObjectStore]) -> Output:
    """Return the output at an address.

    Raises:
        InvalidScoring: it is a file, or in one of the sources, whose objects the results would become.
    """
    for source in sources:
        if _inside(address, source):
            raise InvalidScoring(f"The output {address} is inside the source {source}, where it would be scored: choose another place.")
    if is_stored(address):
        return Prefix(store(), *split_address(address))
    path = Path(address)
    if path.exists() and not path.is_dir():
        raise InvalidScoring(f"The output {address} is a file, expected a folder.")
    return Folder(path)


def _inside(address: str, source: str) -> bool:
    if is_stored(address) != is_stored(source):
        return False
    if is_stored(address):
        return f"{address.rstrip('/')}/".startswith(f"{source.rstrip('/')}/")
    return Path(source).is_dir() and Path(address).resolve().is_relative_to(Path(source).resolve())
