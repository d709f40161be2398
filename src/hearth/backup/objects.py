"""Copies of buckets in the archives of a backup."""

import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

from hearth.backup.archives import Vault
from hearth.backup.manifest import Part
from hearth.errors import ObjectNotFound
from hearth.storage import ObjectStore, StoredObject

PACK_BYTES = 256 << 20  # of objects, about: the least that an interrupted restore does again, and the room that S3 places need on the disk

_SMALL_BYTES = 4 << 20  # objects that are fetched several at a time, into memory
_AT_ONCE = 8
_WINDOW = 32


@dataclass
class BucketCopy:
    """What was copied of a bucket, in so many packs. `vanished` are keys that were deleted between the listing and their turn."""

    keys: set[str] = field(default_factory=set)
    vanished: set[str] = field(default_factory=set)
    bytes: int = 0
    packs: int = 0

    def whole_folders(self) -> set[str]:
        """Return the folders that have files in the copy, and of which none was deleted while it was made."""
        return _folders(self.keys) - _folders(self.vanished)


def dump(store: ObjectStore, bucket: str, vault: Vault, parts: list[Part], copy: BucketCopy) -> None:
    """Copy what is new in a bucket since `copy`, which is continued.

    Others may write meanwhile. What refers to an object is written after it, so the bucket is listed again until nothing is new: what a
    copied object refers to is then in the copy. An object is copied once, as it was at its turn.
    """
    while new := [entry for entry in store.objects(bucket) if entry.key not in copy.keys and entry.key not in copy.vanished]:
        for pack in _packs(new):
            copy.packs += 1
            with vault.create(f"objects-{bucket}-{copy.packs:04}.part", parts, compressed=False) as archive:
                for entry, content in _contents(store, bucket, pack):
                    if content is not None:
                        archive.add(entry.key, content)
                        size = len(content)
                    else:
                        try:
                            with store.copy(bucket, entry.key) as file:
                                size = file.seek(0, 2)
                                file.seek(0)
                                archive.add_file(entry.key, file, size)
                        except ObjectNotFound:
                            copy.vanished.add(entry.key)
                            continue
                    copy.keys.add(entry.key)
                    copy.bytes += size


def load(store: ObjectStore, bucket: str, members: Iterable[tuple[str, BinaryIO]]) -> set[str]:
    """Write the objects of a part; return their keys."""
    keys: set[str] = set()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting = []
        for key, file in members:
            keys.add(key)
            content = file.read(_SMALL_BYTES)
            if rest := file.read(1):
                _put_large(store, bucket, key, (content, rest), file)
                continue
            waiting.append(pool.submit(store.put, bucket, key, content))
            if len(waiting) >= _AT_ONCE:
                for future in waiting:
                    future.result()
                waiting.clear()
        for future in waiting:
            future.result()
    return keys


def _put_large(store: ObjectStore, bucket: str, key: str, start: Iterable[bytes], file: BinaryIO) -> None:
    """Write an object that memory may not hold."""
    with NamedTemporaryFile(prefix="hearth-restore-") as whole:
        whole.writelines(start)
        shutil.copyfileobj(file, whole, 1 << 20)
        whole.flush()
        store.put_file(bucket, key, Path(whole.name))


def _folders(keys: Iterable[str]) -> set[str]:
    return {key[:end] for key in keys for end, letter in enumerate(key) if letter == "/"}


def _packs(entries: Iterable[StoredObject]) -> Iterator[list[StoredObject]]:
    pack: list[StoredObject] = []
    size = 0
    for entry in entries:
        if pack and size + entry.size > PACK_BYTES:
            yield pack
            pack, size = [], 0
        pack.append(entry)
        size += entry.size
    if pack:
        yield pack


def _contents(store: ObjectStore, bucket: str, pack: list[StoredObject]) -> Iterator[tuple[StoredObject, bytes | None]]:
    """Yield objects with their content; None for large ones, and for those that are gone."""

    def fetch(entry: StoredObject) -> bytes | None:
        try:
            return store.get(bucket, entry.key) if entry.size <= _SMALL_BYTES else None
        except ObjectNotFound:
            return None

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for start in range(0, len(pack), _WINDOW):
            window = pack[start : start + _WINDOW]
            yield from zip(window, pool.map(fetch, window), strict=True)
