"""Check a backup without restoring it: every byte of every part."""

import hashlib
import hmac
from collections.abc import Iterator
from typing import BinaryIO

from hearth.backup.archives import Vault
from hearth.backup.listing import read_manifest
from hearth.backup.manifest import Manifest, Part
from hearth.backup.places import Place
from hearth.backup.sealing import BackupKey
from hearth.errors import InvalidBackup

_CHUNK = 1 << 20


def open_backup(place: Place, backup_id: str, secret: str) -> tuple[Manifest, Vault]:
    """Read a backup's manifest and check that it was written with this key.

    Raises:
        InvalidBackup: it was written with another key, or changed since.
    """
    manifest, signed, mac = read_manifest(place, backup_id)
    try:
        salt = bytes.fromhex(manifest.salt)
    except (ValueError, TypeError):
        raise InvalidBackup(f"The manifest of the backup {backup_id} was changed after it was written: its salt is none.") from None
    key = BackupKey(secret, salt)
    if manifest.fingerprint != key.fingerprint:
        raise InvalidBackup(
            f"The backup {backup_id} was made with another key: HEARTH_BACKUP_KEY has to be that of the stack that made it."
        )
    if manifest.id != backup_id or not hmac.compare_digest(mac, key.mac(signed)):
        raise InvalidBackup(f"The manifest of the backup {backup_id} was changed after it was written.")
    return manifest, Vault(place, backup_id, key)


def find_problems(place: Place, manifest: Manifest, vault: Vault) -> Iterator[str]:
    """Yield what is wrong with the parts of a backup; each is read whole, hashed, decrypted and unpacked."""
    sizes = place.sizes(f"{manifest.id}/")
    for part in manifest.parts:
        name = f"{manifest.id}/{part.name}"
        if name not in sizes:
            yield f"{part.name} is missing"
        elif sizes[name] != part.size:
            change = "cut off" if sizes[name] < part.size else "changed"
            yield f"{part.name} has {sizes[name]:,} bytes, expected {part.size:,}: it was {change}"
        else:
            try:
                yield from _part_problems(place, part, vault)
            except InvalidBackup as error:
                yield str(error)


def is_compressed(part: Part) -> bool:
    """Whether the archive of a part is compressed; files of models and Parquet files are by themselves."""
    return not part.name.startswith("objects-")


def _part_problems(place: Place, part: Part, vault: Vault) -> Iterator[str]:
    with place.open(f"{vault.id}/{part.name}") as file:
        if _sha256(file) != part.sha256:
            yield f"{part.name} was changed: its bytes are not those that were written (SHA-256)"
            return
    count = total = 0
    with vault.read(part, compressed=is_compressed(part)) as members:
        for _, content in members:
            count += 1
            while data := content.read(_CHUNK):
                total += len(data)
    if (count, total) != (part.members, part.bytes):
        yield f"{part.name} holds {count} members with {total:,} bytes, expected {part.members} with {part.bytes:,}"


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while data := file.read(_CHUNK):
        digest.update(data)
    return digest.hexdigest()
