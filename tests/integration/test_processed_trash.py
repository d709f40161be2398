"""A real object store: what data that are named were added to stays or comes back with them, wherever the two are."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from deploy.embedded import temporary_servers
from hearth.data.processed import Manifest, ServedPart, write_manifest
from hearth.housekeeping.processed_data import TRASHED_MANIFEST, Name, remove_unnamed, with_references
from hearth.housekeeping.report import REMOVED, RESTORED, TRASHED
from hearth.housekeeping.rules import Rules
from hearth.storage import ObjectStore

RULES = Rules(30, 1, 7)
LATEST, REFERENCE, FIRST, UNNAMED = (f"{number:016x}" for number in range(20, 24))
CHAIN = (LATEST, REFERENCE, FIRST)  # each was added to the next


@pytest.fixture
def store(object_store: temporary_servers.ObjectStore) -> ObjectStore:
    """A store whose bucket of processed data holds a chain of digests, and one that has to do with none."""
    store = ObjectStore(
        object_store.endpoint_url,
        region=object_store.region,
        access_key=object_store.access_key,
        secret_key=object_store.secret_key,
        processed_bucket=f"processed-{uuid4().hex}",
    )
    store.ensure_bucket(store.processed_bucket)
    now = datetime.now(UTC)
    for digest, reference in {LATEST: REFERENCE, REFERENCE: FIRST, FIRST: "", UNNAMED: ""}.items():
        store.put(store.processed_bucket, f"employees/{digest}/X_train.parquet", b"content")
        served = ServedPart(now, now, 1, "keys", reference) if reference else None
        write_manifest(store, Manifest("employees", digest, 2, 1, served=served))
    return store


def house_pass(store: ObjectStore, names: Callable[[], Collection[Name]], days: float) -> set[tuple[str, str]]:
    """Keep house so many days from now, and return what changed."""
    now = datetime.now(UTC) + timedelta(days=days)
    items = remove_unnamed(store, lambda: with_references(store, names()), RULES, now, applies=True)
    return {(item.action, item.name.removeprefix("employees/")) for item in items if item.action in {TRASHED, RESTORED, REMOVED}}


def whole(store: ObjectStore) -> set[str]:
    keys = store.keys(store.processed_bucket, "employees/")
    return {key.split("/")[1] for key in keys if key.endswith("/manifest.json")}


def test_data_that_are_named_again_bring_back_from_the_trash_what_they_were_added_to(store: ObjectStore) -> None:
    assert house_pass(store, set, days=2) == {(TRASHED, digest) for digest in (*CHAIN, UNNAMED)}
    assert whole(store) == set()

    changed = house_pass(store, lambda: {("employees", LATEST)}, days=8)  # the days in the trash are over for all

    assert changed == {*((RESTORED, digest) for digest in CHAIN), (REMOVED, UNNAMED)}
    assert whole(store) == set(CHAIN)
    assert store.exists(store.processed_bucket, f"employees/{FIRST}/X_train.parquet")
    assert not [key for key in store.keys(store.processed_bucket) if key.endswith(TRASHED_MANIFEST)]


def test_data_that_are_named_while_they_go_into_the_trash_come_back_with_what_they_were_added_to(store: ObjectStore) -> None:
    answers: list[set[Name]] = [set(), {("employees", LATEST)}]

    changed = house_pass(store, lambda: answers.pop(0), days=2)

    assert changed == {*((TRASHED, digest) for digest in (*CHAIN, UNNAMED)), *((RESTORED, digest) for digest in CHAIN)}
    assert whole(store) == set(CHAIN)
