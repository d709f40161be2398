"""Make a backup: in an order in which whatever refers to something is copied before what it refers to (ADR 0027).

Applications write what is referred to first: MLflow the files of a version before the version, the ETL the rows before the pointer to
them, a worker the prediction before the acknowledgement of its message. So the streams are copied first, then all databases are seen at
the moment after that, the registry last, and then the files. A copy of a later moment has everything that one of an earlier moment names.
"""

import json
import logging
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from hearth.backup import databases, objects, streams
from hearth.backup.archives import MANIFEST, Vault
from hearth.backup.listing import list_backups
from hearth.backup.manifest import Manifest, Part
from hearth.backup.places import Place
from hearth.backup.sealing import SALT_BYTES, SHORTEST_SECRET, BackupKey
from hearth.backup.settings_copy import public_settings
from hearth.errors import InvalidSettings
from hearth.settings import BackupSettings
from hearth.storage import ObjectStore
from hearth.streaming.stream_copy import StreamCopy

REGISTRY = "mlflow"
SETTINGS = "settings.part"
STREAMS = "streams.part"

_LOGGER = logging.getLogger(__name__)
_UNFINISHED_DAYS = 1  # a backup that has no manifest after this is not being written any more
_VERSIONS = """
SELECT v.name, v.version, coalesce(v.storage_location, ''), r.artifact_uri FROM model_versions v
LEFT JOIN runs r ON r.run_uuid = v.run_id WHERE v.current_stage IS DISTINCT FROM 'Deleted_Internal' ORDER BY v.name, v.version
"""


@dataclass(frozen=True)
class _Version:
    """A version in the registry, and the prefix in MLflow's bucket under which its files are; None if they are elsewhere."""

    name: str
    prefix: str | None


def require_secret(secret: str) -> str:
    """Return the secret that backups are encrypted with.

    Raises:
        InvalidSettings: there is none, or one that can be guessed.
    """
    if len(secret) < SHORTEST_SECRET:
        raise InvalidSettings(
            f"HEARTH_BACKUP_KEY has {len(secret)} characters, expected {SHORTEST_SECRET} at least: `make secrets` writes one. "
            "Keep a copy elsewhere: without it no backup can be read."
        )
    return secret


def create_backup(place: Place, settings: BackupSettings | None = None) -> Manifest:
    """Back up the stack of the settings to a place; return what the backup holds.

    A process that is killed leaves a backup without a manifest, which no command takes for one.

    Raises:
        InvalidSettings: there is no key, or no user who may read everything.
        HearthError: a server does not answer or refuses; or the place does.
    """
    settings = settings or BackupSettings()
    secret = require_secret(settings.backup_key.get_secret_value())
    postgres_url = settings.backup_postgres_url.get_secret_value()
    if settings.backup_databases and not postgres_url:
        raise InvalidSettings("HEARTH_BACKUP_POSTGRES_URL is empty: it has to name a user who may read all databases.")
    started, salt = datetime.now(UTC), secrets.token_bytes(SALT_BYTES)
    backup_id = f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    vault = Vault(place, backup_id, BackupKey(secret, salt))
    parts: list[Part] = []
    with vault.create(SETTINGS, parts, compressed=True) as archive:
        archive.add("settings.json", json.dumps(public_settings(os.environ), indent=1).encode())
    copied_streams = _copy_streams(settings, vault, parts)
    copied_databases, versions = _copy_databases(settings.backup_databases, postgres_url, vault, parts)
    copied_buckets = _copy_buckets(settings, vault, parts)
    warnings = [*_missing_files(versions, copied_buckets[settings.mlflow_bucket])]
    vanished = {bucket: len(copy.vanished) for bucket, copy in copied_buckets.items() if copy.vanished}
    warnings += [f"{count} objects of the bucket {bucket!r} were deleted while it was copied" for bucket, count in vanished.items()]
    manifest = Manifest(
        id=backup_id,
        started_at=started,
        finished_at=datetime.now(UTC),
        salt=salt.hex(),
        fingerprint=vault.key.fingerprint,
        parts=tuple(parts),
        databases=copied_databases,
        buckets={bucket: {"objects": len(copy.keys), "bytes": copy.bytes} for bucket, copy in copied_buckets.items()},
        streams=copied_streams,
        versions={"hearth": version("hearth"), "mlflow": version("mlflow-skinny")},
        warnings=tuple(warnings),
    )
    with place.create(f"{backup_id}/{MANIFEST}") as file:
        file.write(manifest.to_bytes(vault.key))
    return manifest


def remove_old(place: Place, keep: int) -> list[str]:
    """Delete all but the newest `keep` backups, and what killed ones left a day ago or more; return the ids.

    The manifest goes first, so what is left of an interrupted deletion is no backup.
    """
    found = list_backups(place)
    oldest_unfinished = datetime.now(UTC) - timedelta(days=_UNFINISHED_DAYS)
    whole = [backup for backup in found if backup.manifest]
    old = whole[: max(0, len(whole) - keep)] + [b for b in found if not b.manifest and b.started_at < oldest_unfinished]
    for backup in old:
        for name in sorted(place.sizes(f"{backup.id}/"), key=lambda name: not name.endswith(MANIFEST)):
            place.delete(name)
    return [backup.id for backup in old]


def stream_names(name: str) -> tuple[str, ...]:
    """Return the streams that belong to the stream of records: itself and its dead letters."""
    return name, f"{name}_dead"


def _copy_streams(settings: BackupSettings, vault: Vault, parts: list[Part]) -> dict[str, dict[str, int]]:
    copied = {}
    with vault.create(STREAMS, parts, compressed=True) as archive:
        for name in stream_names(settings.stream_name):
            with StreamCopy(settings.redis_url.get_secret_value(), name) as stream:
                counts = streams.dump(stream, name, archive)
            if counts is not None:
                copied[name] = counts
    return copied


def _copy_databases(names: Sequence[str], url: str, vault: Vault, parts: list[Part]) -> tuple[dict[str, dict[str, object]], list[_Version]]:
    copied: dict[str, dict[str, object]] = {}
    versions: list[_Version] = []
    with ExitStack() as stack:
        # What refers to the registry (answers, runs of DAGs) is seen at an earlier moment than the registry.
        ordered = sorted(names, key=lambda name: name == REGISTRY)
        connections = {name: stack.enter_context(databases.connected(url, name)) for name in ordered}
        for connection in connections.values():
            databases.open_snapshot(connection)
        for name, connection in connections.items():
            schema = databases.read_schema(connection)
            with vault.create(f"postgres-{name}.part", parts, compressed=True) as archive:
                rows = databases.dump(connection, schema, archive)
            copied[name] = {"server": schema.server, "revisions": schema.revisions, "tables": rows}
            if name == REGISTRY and "model_versions" in rows:
                versions = [
                    _Version(f"{model} {number}", _prefix(location or artifacts or ""))
                    for model, number, location, artifacts in connection.execute(_VERSIONS)
                ]
    return copied, versions


def _copy_buckets(settings: BackupSettings, vault: Vault, parts: list[Part]) -> dict[str, objects.BucketCopy]:
    store = ObjectStore(
        settings.s3_endpoint_url,
        region=settings.s3_region,
        access_key=settings.s3_backup_access_key.get_secret_value(),
        secret_key=settings.s3_backup_secret_key.get_secret_value(),
    )
    buckets = (settings.data_bucket, settings.processed_bucket, settings.mlflow_bucket)
    return {bucket: objects.dump(store, bucket, vault, parts) for bucket in buckets}


def _prefix(location: str) -> str | None:
    """Return the place of files in MLflow's bucket: the server hands out `mlflow-artifacts:/1/…` for `1/…`."""
    match = re.fullmatch(r"(?:mlflow-artifacts:/+(?:[^/]+:\d+/)?|s3://[^/]+/)(.+)", location)
    return f"{match[1].rstrip('/')}/" if match else None


def _missing_files(versions: Sequence[_Version], copy: objects.BucketCopy) -> Iterator[str]:
    folders = {str(parent) for key in copy.keys for parent in Path(key).parents}
    for found in versions:
        if found.prefix is None:
            yield f"the files of the version {found.name} are not in MLflow's bucket, and so not in the backup"
        elif found.prefix.rstrip("/") not in folders:
            yield f"the version {found.name} has no files in the object store"
