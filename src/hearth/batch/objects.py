"""What a batch scores: files, the files of folders, and the objects of a bucket."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hearth.contracts.texts import listed
from hearth.errors import InvalidScoring, ObjectNotFound
from hearth.storage import ObjectStore, StoredObject

_ADDRESS = re.compile(r"s3://([^/]+)/?(.*)", re.DOTALL)
_TEXT_BUFFER = 8 << 20  # bytes; of a stored object, so many come with a request


@dataclass(frozen=True)
class SourceObject:
    """An object to score.

    Attributes:
        name: within the batch, with `/` between folders; results are named after it.
        address: for people.
        size: in bytes, as it is stored.
        identity: another one when the object is written anew.
    """

    name: str
    address: str
    size: int
    identity: str
    _open: Callable[[int], BinaryIO]

    def open(self, *, by_ranges: bool = False) -> BinaryIO:
        """Open it to be read from front to back, or `by_ranges` wherever a reader wants."""
        return self._open(0 if by_ranges else _TEXT_BUFFER)


def is_stored(address: str) -> bool:
    """Whether an address is one of the object store."""
    return address.startswith("s3://")


def split_address(address: str) -> tuple[str, str]:
    """Return the bucket and the key, or prefix, of `s3://bucket/key`.

    Raises:
        InvalidScoring: it is something else.
    """
    match = _ADDRESS.fullmatch(address)
    if not match:
        raise InvalidScoring(f"{address!r} is no address of the object store: expected s3://bucket/prefix.")
    return match[1], match[2]


def find_objects(sources: Sequence[str], store: Callable[[], ObjectStore]) -> list[SourceObject]:
    """Return the objects of sources, by name: a file or an object is one; a folder or a prefix has all below it.

    Of folders and prefixes, names that begin with `.` or `_`, as marks of other programs do, are left out.

    Raises:
        InvalidScoring: there are none, or two have the same name.
        StorageError: the object store does not answer, or refuses.
    """
    found: dict[str, SourceObject] = {}
    for source in sources:
        for each in _stored(store(), source) if is_stored(source) else _files(source):
            if (other := found.get(each.name)) is not None:
                raise InvalidScoring(f"{other.address} and {each.address} would have the same results: score them apart.")
            found[each.name] = each
    if not found:
        raise InvalidScoring(f"There is nothing to score in {listed(sources)}.")
    return [found[name] for name in sorted(found)]


def _files(source: str) -> Iterator[SourceObject]:
    path = Path(source)
    if path.is_file():
        yield _file(path, path.name)
    elif path.is_dir():
        for each in sorted(path.rglob("*")):
            name = each.relative_to(path).as_posix()
            if each.is_file() and _is_data(name):
                yield _file(each, name)
    else:
        raise InvalidScoring(f"{source} is no file and no folder.")


def _file(path: Path, name: str) -> SourceObject:
    state = path.stat()
    return SourceObject(name, str(path), state.st_size, f"{state.st_size}-{state.st_mtime_ns}", lambda _: path.open("rb"))


def _stored(store: ObjectStore, source: str) -> Iterator[SourceObject]:
    bucket, key = split_address(source)
    if key and not key.endswith("/"):
        try:
            found = store.head(bucket, key)
        except ObjectNotFound:
            key += "/"
        else:
            yield _object(store, found, key.rsplit("/", 1)[-1])
            return
    for found in store.objects(bucket, key):
        name = found.key[len(key) :]
        if name and not name.endswith("/") and _is_data(name):
            yield _object(store, found, name)


def _object(store: ObjectStore, found: StoredObject, name: str) -> SourceObject:
    def opened(buffer: int) -> BinaryIO:
        return store.open(found, buffer)

    return SourceObject(name, f"s3://{found.bucket}/{found.key}", found.size, f"{found.size}-{found.etag.strip(chr(34))}", opened)


def _is_data(name: str) -> bool:
    return not any(part.startswith((".", "_")) for part in name.split("/"))
