"""Files in MLflow's bucket whose run or model MLflow has not: left by a removal that was cut short, or by an older MLflow.

The files of a run lie below `<experiment>/<run id>/artifacts/`, of a model below `<experiment>/models/<model id>/artifacts/`.
What lies elsewhere is somebody else's, and stays.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from hearth.errors import HousekeepingRefused
from hearth.housekeeping.report import KEPT, REMOVED, Item
from hearth.housekeeping.rules import YOUNG
from hearth.registry import Inventory
from hearth.storage import ObjectStore, StoredObject

_LOGGER = logging.getLogger(__name__)
_RUN = re.compile(r"[0-9]+/(?P<id>[0-9a-f]{32})/artifacts/")
_RUN_ID = re.compile(rb"^run_id: (?P<id>[0-9a-f]{32})$", re.MULTILINE)
_MOST_BYTES = 1_000_000  # of the description of a model, which has a few thousand
_MODEL = re.compile(r"[0-9]+/models/(?P<id>m-[0-9a-f]{32})/artifacts/")


@dataclass
class Owner:
    """A run or a model by whose id files lie in the bucket."""

    kind: Literal["run", "model"]
    id: str
    objects: list[StoredObject]

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(each.size for each in self.objects)

    @property
    def newest(self) -> datetime:
        """When its last file was written."""
        return max(each.modified for each in self.objects)


class Artifacts:
    """What MLflow's bucket held when it was listed."""

    def __init__(self, objects: Iterable[StoredObject]) -> None:
        owned: dict[tuple[Literal["run", "model"], str], list[StoredObject]] = defaultdict(list)
        self.others: list[StoredObject] = []
        for each in objects:
            if found := _RUN.match(each.key):
                owned["run", found["id"]].append(each)
            elif found := _MODEL.match(each.key):
                owned["model", found["id"]].append(each)
            else:
                self.others.append(each)
        self.owners = [Owner(kind, id_, of) for (kind, id_), of in sorted(owned.items())]
        self._sizes = {owner.id: owner.size for owner in self.owners}

    def size_of(self, *ids: str) -> int:
        """Return the bytes of the files of runs and models."""
        return sum(self._sizes.get(id_, 0) for id_ in ids)

    def require_same_mlflow(self, inventory: Inventory) -> None:
        """Check that the bucket is that of this MLflow, before anything is removed in either.

        Raises:
            HousekeepingRefused: MLflow knows none of the runs and models: the bucket is another MLflow's, or its database is another one.
        """
        if len(self.owners) > 1 and len(self._unknown(inventory)) == len(self.owners):
            raise HousekeepingRefused(
                f"MLflow knows none of the {len(self.owners)} runs and models whose files are in its bucket. Is it the bucket of this "
                "MLflow, and is this its database? Nothing was removed."
            )

    def orphans(self, inventory: Inventory, now: datetime) -> Iterator[tuple[Owner, bool]]:
        """Yield whom MLflow has not, and whether its files can go by their age.

        MLflow is asked after the bucket was listed: it knows a run before the run's first file is written.
        """
        for owner in self._unknown(inventory):
            yield owner, owner.newest <= now - YOUNG

    def _unknown(self, inventory: Inventory) -> list[Owner]:
        known = {"run": inventory.known_run_ids(), "model": inventory.known_model_ids()}
        return [owner for owner in self.owners if owner.id not in known[owner.kind]]


def remove_orphans(artifacts: Artifacts, store: ObjectStore, inventory: Inventory, now: datetime, *, applies: bool) -> Iterator[Item]:
    """Delete the files of runs and models that MLflow has not; each is asked for once more before."""
    for owner, is_old in artifacts.orphans(inventory, now):
        what = f"files of a lost {owner.kind}"
        if not is_old:
            yield Item(what, owner.id, KEPT, "younger than a day", owner.size)
            continue
        if owner.kind == "model" and (run_id := _run_of(owner, store)) and inventory.has_run(run_id):
            yield Item(what, owner.id, KEPT, "in MLflow's trash, where its garbage collection finds it", owner.size)
            continue
        if applies:
            if inventory.has_run(owner.id) if owner.kind == "run" else inventory.has_model(owner.id):
                yield Item(what, owner.id, KEPT, "MLflow has it meanwhile", owner.size)
                continue
            for each in owner.objects:
                store.delete(each.bucket, each.key)
            _LOGGER.info("%s objects of the %s %s are deleted, which MLflow has not", len(owner.objects), owner.kind, owner.id)
        yield Item(what, owner.id, REMOVED, f"MLflow has no such {owner.kind}", owner.size)
    if artifacts.others:
        yield from (Item("other files", each.key, KEPT, "not of a run or a model", each.size) for each in artifacts.others)


def _run_of(owner: Owner, store: ObjectStore) -> str:
    """Return the id of the run that made a model, as the model's own description has it; empty if it has none.

    MLflow does not say which models are in its trash, but their runs are known until both are collected.
    """
    described = next((each for each in owner.objects if each.key.endswith("/artifacts/MLmodel") and each.size <= _MOST_BYTES), None)
    found = _RUN_ID.search(store.get(described.bucket, described.key)) if described else None
    return found["id"].decode() if found else ""
