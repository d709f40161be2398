"""Copies of buckets in the archives of a backup."""

import itertools
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
    """What was copied of a bucket. `vanished` are keys that were deleted between the listing and their turn."""

    keys: set[str]
    bytes: int
    vanished: list[str]


def dump(store: ObjectStore, bucket: str, vault: Vault, parts: list[Part]) -> BucketCopy:
    """Copy a bucket in parts; return what was copied.

    Others may write meanwhile. What refers to an object is written after it, so the bucket is listed again until nothing is new: what a
    copied object refers to is then in the copy. An object is copied once, as it was at its turn.
    """
    copy = BucketCopy(set(), 0, [])
    numbers = itertools.count(1)
    seen: set[str] = set()
    while new := [entry for entry in store.entries(bucket) if entry.key not in seen]:
        seen.update(entry.key for entry in new)
        for pack in _packs(new):
            with vault.create(f"objects-{bucket}-{next(numbers):04}.part", parts, compressed=False) as archive:
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
                            copy.vanished.append(entry.key)
                            continue
                    copy.keys.add(entry.key)
                    copy.bytes += size
    copy.vanished = [key for key in copy.vanished if key not in copy.keys]
    return copy


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
