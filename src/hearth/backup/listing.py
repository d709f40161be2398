"""Which backups lie in a place."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from hearth.backup.archives import MANIFEST
from hearth.backup.manifest import Manifest
from hearth.backup.places import Place
from hearth.errors import InvalidBackup

_ID = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]{4}")


@dataclass(frozen=True)
class BackupEntry:
    """A backup in a place. `manifest` is None for one that was not finished, and `problem` says why it is none."""

    id: str
    started_at: datetime
    size: int
    manifest: Manifest | None
    problem: str = ""


def list_backups(place: Place) -> list[BackupEntry]:
    """Return the backups of a place, oldest first. Needs no key; whether they are what was written is for `verify`."""
    sizes = place.sizes()
    found = []
    for backup_id in sorted({name.partition("/")[0] for name in sizes}):
        match = _ID.fullmatch(backup_id)
        if not match:
            continue
        started = datetime.strptime(match[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        size = sum(bytes_ for name, bytes_ in sizes.items() if name.startswith(f"{backup_id}/"))
        name = f"{backup_id}/{MANIFEST}"
        if name not in sizes:
            found.append(BackupEntry(backup_id, started, size, None, "not finished: it has no manifest"))
            continue
        try:
            found.append(BackupEntry(backup_id, started, size, read_manifest(place, backup_id)[0]))
        except InvalidBackup as error:
            found.append(BackupEntry(backup_id, started, size, None, str(error)))
    return found


def read_manifest(place: Place, backup_id: str) -> tuple[Manifest, bytes, str]:
    """Read a backup's manifest, with what was signed and the proof.

    Raises:
        InvalidBackup: there is none, or it cannot be read.
    """
    with place.open(f"{backup_id}/{MANIFEST}") as file:
        return Manifest.from_bytes(file.read(), f"{backup_id}/{MANIFEST}")


def choose_backup(place: Place, backup_id: str | None) -> str:
    """Return this backup's id, or that of the newest whole one.

    Raises:
        InvalidBackup: there is no such backup.
    """
    found = list_backups(place)
    if backup_id is None:
        whole = [backup.id for backup in found if backup.manifest]
        if whole:
            return whole[-1]
        others = f"; what is there is none: {', '.join(f'{backup.id} ({backup.problem})' for backup in found)}" if found else ""
        raise InvalidBackup(f"There is no backup in {place}{others}.")
    chosen = next((backup for backup in found if backup.id == backup_id), None)
    if chosen is None:
        raise InvalidBackup(f"There is no backup {backup_id} in {place}; there are: {', '.join(b.id for b in found) or 'none'}.")
    if chosen.manifest is None:
        raise InvalidBackup(f"The backup {backup_id} in {place} is none: {chosen.problem}.")
    return chosen.id
