"""Processed data that no version and no run names: first into a trash, whence they come back if somebody names them, later for good.

A digest is whole if it has `manifest.json`. In the trash the manifest has another name: an ETL that makes the same digest again finds it
incomplete and writes it anew, and does not count on files that go a moment later. Nothing else moves.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from hearth.data.processed import MANIFEST, Manifest, last_real_digest, latest_digest, processed_key, read_manifest
from hearth.errors import ObjectNotFound
from hearth.housekeeping.report import KEPT, REMOVED, RESTORED, TRASHED, Item
from hearth.housekeeping.rules import YOUNG, Rules
from hearth.storage import ObjectStore, StoredObject

_LOGGER = logging.getLogger(__name__)
TRASHED_MANIFEST = "trashed-manifest.json"
WHAT = "processed data"
_KEY = re.compile(r"(?P<dataset>[^/]+)/(?P<digest>[0-9a-f]{8,64})/(?P<name>.+)")
Name = tuple[str, str]  # data set and digest


@dataclass
class Digest:
    """The objects of one digest."""

    dataset: str
    digest: str
    objects: dict[str, StoredObject]

    @property
    def name(self) -> Name:
        """Its data set and its digest."""
        return self.dataset, self.digest

    @property
    def size(self) -> int:
        """The bytes of its objects."""
        return sum(each.size for each in self.objects.values())

    @property
    def is_trashed(self) -> bool:
        """Whether it is in the trash, and nobody has written it anew since."""
        return TRASHED_MANIFEST in self.objects and MANIFEST not in self.objects

    @property
    def newest(self) -> datetime:
        """When the last of its objects was written; it goes into the trash by an object, too."""
        return max(each.modified for each in self.objects.values())


def stored_digests(store: ObjectStore) -> list[Digest]:
    """Return all digests in the bucket of processed data; what lies elsewhere in it is nobody's business here."""
    found: dict[Name, dict[str, StoredObject]] = defaultdict(dict)
    for each in store.objects(store.processed_bucket):
        if match := _KEY.fullmatch(each.key):
            found[match["dataset"], match["digest"]][match["name"]] = each
    return [Digest(*name, objects) for name, objects in sorted(found.items())]


def latest_digests(store: ObjectStore, datasets: Iterable[str]) -> set[Name]:
    """Return the data that were published last, and the real data that were."""
    names: set[Name] = set()
    for dataset in datasets:
        try:
            names.add((dataset, latest_digest(store, dataset)))
        except ObjectNotFound:
            continue
        if real := last_real_digest(store, dataset):
            names.add((dataset, real))
    return names


def with_references(store: ObjectStore, names: Collection[Name]) -> set[Name]:
    """Return names and the data that those with served records were added to, whether they are in the trash or not."""
    found, waiting = set(names), list(names)
    while waiting:
        name = waiting.pop()
        manifest = _manifest_wherever(store, name)
        served = manifest.served if manifest else None
        if served and served.reference and (reference := (name[0], served.reference)) not in found:
            found.add(reference)
            waiting.append(reference)
    return found


def _manifest_wherever(store: ObjectStore, name: Name) -> Manifest | None:
    for file in (MANIFEST, TRASHED_MANIFEST, MANIFEST):  # once more: another pass may have brought it back between the first two
        try:
            return read_manifest(store, *name, file)
        except ObjectNotFound:
            continue
    return None


def remove_unnamed(
    store: ObjectStore, names: Callable[[], Collection[Name]], rules: Rules, now: datetime, *, applies: bool
) -> Iterator[Item]:
    """Put digests that nobody names into the trash, delete those that are there long enough, and bring back those that are named again.

    `names` returns what is named at the moment. It is called once more after digests went into the trash: what somebody has named in the
    same moment comes back at once.
    """
    found, named = stored_digests(store), names()
    trashed: list[Digest] = []
    for digest in found:
        item = _judge(digest, named, rules, now)
        yield item
        if not applies:
            continue
        if item.action == TRASHED:
            _move_manifest(store, digest.name, MANIFEST, TRASHED_MANIFEST)
            trashed.append(digest)
        elif item.action == RESTORED:
            _move_manifest(store, digest.name, TRASHED_MANIFEST, MANIFEST)
        elif item.action == REMOVED:
            _delete(store, digest)
    if trashed:
        named = names()
        for digest in trashed:
            if digest.name in named:
                _move_manifest(store, digest.name, TRASHED_MANIFEST, MANIFEST)
                yield Item(WHAT, "/".join(digest.name), RESTORED, "named in the same moment", digest.size)


def _judge(digest: Digest, named: Collection[Name], rules: Rules, now: datetime) -> Item:
    def item(action: str, why: str) -> Item:
        return Item(WHAT, "/".join(digest.name), action, why, digest.size)

    if digest.name in named:
        return item(RESTORED, "named again") if digest.is_trashed else item(KEPT, "named by a version or a run, or published")
    if digest.newest > now - YOUNG:
        return item(KEPT, "younger than a day, or in the trash since then")
    if MANIFEST in digest.objects:
        return item(TRASHED, "no version and no run names it")
    if digest.is_trashed and not rules.is_old_trash(digest.objects[TRASHED_MANIFEST].modified, now):
        return item(KEPT, f"in the trash for less than {rules.trash_days:g} days")
    return item(REMOVED, "was in the trash" if digest.is_trashed else "an ETL that was interrupted left it")


def _move_manifest(store: ObjectStore, name: Name, source: str, target: str) -> None:
    """Give the manifest another name. After an interruption both are there: then the digest is whole, and the next pass goes on."""
    dataset, digest = name
    bucket, key = store.processed_bucket, processed_key(dataset, digest, source)
    try:
        content = store.get(bucket, key)
    except ObjectNotFound:  # another pass was faster
        return
    store.put(bucket, processed_key(dataset, digest, target), content)
    store.delete(bucket, key)


def _delete(store: ObjectStore, digest: Digest) -> None:
    """Delete the objects of a digest, the trashed manifest last: until then it is known why the others are incomplete.

    An ETL that makes the same data again meanwhile writes the objects anew: then nothing more is deleted, and it has its files.
    """
    dataset, name = digest.name
    for listed in sorted(digest.objects.values(), key=lambda each: each.key.endswith(TRASHED_MANIFEST)):
        try:
            present = store.head(listed.bucket, listed.key)
        except ObjectNotFound:
            continue
        if present.modified.replace(microsecond=0) > listed.modified.replace(microsecond=0):
            _LOGGER.warning("%s/%s is written anew: it stays", dataset, name)
            return
        store.delete(listed.bucket, listed.key)
    _LOGGER.info("%s objects of the processed data %s/%s are deleted", len(digest.objects), dataset, name)
