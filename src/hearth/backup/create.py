"""Make a backup: in an order in which whatever refers to something is copied before what it refers to (ADR 0027).

Applications write what is referred to first: MLflow the files of a version before the version, the ETL the rows before the pointer to
them, a worker the prediction before the acknowledgement of its message. So the streams are copied first, then all databases are seen at
the moment after that, the registry last, and then the files. A copy of a later moment has everything that one of an earlier moment names.
"""

import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

from hearth.audit import Action
from hearth.backup import databases, objects, streams
from hearth.backup.archives import MANIFEST, Vault
from hearth.backup.audit_row import PREDICTIONS, record
from hearth.backup.listing import list_backups
from hearth.backup.manifest import Manifest, Part
from hearth.backup.places import Place
from hearth.backup.sealing import SALT_BYTES, SHORTEST_SECRET, BackupKey
from hearth.backup.settings_copy import public_settings
from hearth.errors import BackupError, InvalidSettings
from hearth.settings import BackupSettings, StreamSettings
from hearth.storage import ObjectStore
from hearth.streaming.stream_copy import StreamCopy

REGISTRY = "mlflow"
SETTINGS = "settings.part"
STREAMS = "streams.part"

_WITHOUT_MIGRATIONS = ("data",)  # its tables are derived from contracts
_REGISTRY_TRIES = 3
_UNFINISHED_DAYS = 1  # a backup that has no manifest after this is not being written any more
_VERSIONS = """
SELECT v.name, v.version, coalesce(v.storage_location, ''), r.artifact_uri FROM model_versions v
LEFT JOIN runs r ON r.run_uuid = v.run_id WHERE v.current_stage IS DISTINCT FROM 'Deleted_Internal' ORDER BY v.name, v.version
"""


@dataclass(frozen=True)
class _Version:
    """A version in the registry, and the folder of its files in MLflow's bucket; None if they are elsewhere."""

    name: str
    folder: str | None


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
    if settings.backup_databases and not settings.backup_postgres_url.get_secret_value():
        raise InvalidSettings("HEARTH_BACKUP_POSTGRES_URL is empty: it has to name a user who may read all databases.")
    started, salt = datetime.now(UTC), secrets.token_bytes(SALT_BYTES)
    backup_id = f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    vault = Vault(place, backup_id, BackupKey(secret, salt))
    parts: list[Part] = []
    with vault.create(SETTINGS, parts, compressed=True) as archive:
        archive.add("settings.json", json.dumps(public_settings(os.environ), indent=1).encode())
    copied_streams = _copy_streams(settings, vault, parts)
    run = _Run(settings, vault, parts)
    run.copy_databases()
    run.copy_buckets()
    manifest = Manifest(
        id=backup_id,
        started_at=started,
        finished_at=datetime.now(UTC),
        salt=salt.hex(),
        fingerprint=vault.key.fingerprint,
        parts=tuple(parts),
        databases=run.databases,
        buckets={bucket: {"objects": len(copy.keys), "bytes": copy.bytes} for bucket, copy in run.buckets.items()},
        streams=copied_streams,
        versions={"hearth": version("hearth"), "mlflow": version("mlflow-skinny")},
        warnings=tuple(run.warnings()),
    )
    with place.create(f"{backup_id}/{MANIFEST}") as file:
        file.write(manifest.to_bytes(vault.key))
    if PREDICTIONS in settings.backup_databases:
        record(settings.backup_postgres_url.get_secret_value(), Action.BACKUP_MADE, backup_id, {"to": str(place), "bytes": manifest.size})
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


def stream_names(settings: StreamSettings) -> list[str]:
    """Return the streams of a stack: those of records and of labels, and the dead letters of each."""
    return [stream for name in (settings.stream_name, settings.labels_stream_name) for stream in (name, f"{name}_dead")]


def _copy_streams(settings: BackupSettings, vault: Vault, parts: list[Part]) -> dict[str, dict[str, int]]:
    copied = {}
    with vault.create(STREAMS, parts, compressed=True) as archive:
        for name in stream_names(settings):
            with StreamCopy(settings.redis_url.get_secret_value(), name) as stream:
                counts = streams.dump(stream, name, archive)
            if counts is not None:
                copied[name] = counts
    return copied


class _Run:
    """The databases and buckets of one backup."""

    def __init__(self, settings: BackupSettings, vault: Vault, parts: list[Part]) -> None:
        self._url, self._vault, self._parts = settings.backup_postgres_url.get_secret_value(), vault, parts
        self._names = [name for name in settings.backup_databases if name != REGISTRY]
        self._has_registry = REGISTRY in settings.backup_databases
        self._mlflow_bucket = settings.mlflow_bucket
        self._store = ObjectStore(
            settings.s3_endpoint_url,
            region=settings.s3_region,
            access_key=settings.s3_backup_access_key.get_secret_value(),
            secret_key=settings.s3_backup_secret_key.get_secret_value(),
        )
        self._versions: list[_Version] = []
        self.databases: dict[str, dict[str, object]] = {}
        self.buckets = {bucket: objects.BucketCopy() for bucket in (self._mlflow_bucket, settings.data_bucket, settings.processed_bucket)}

    def copy_databases(self) -> None:
        """Copy what refers to the registry (answers, runs of DAGs), all as of one moment before."""
        with ExitStack() as stack:
            connections = {name: stack.enter_context(databases.connected(self._url, name)) for name in self._names}
            for connection in connections.values():
                databases.open_snapshot(connection)
            for name, connection in connections.items():
                self._copy_database(name, connection)

    def copy_buckets(self) -> None:
        """Copy the registry, then the files.

        A version that is removed in between would be without its files: then the registry is copied again, as it is without the version.
        """
        for _ in range(_REGISTRY_TRIES):
            if self._has_registry:
                with databases.connected(self._url, REGISTRY) as connection:
                    databases.open_snapshot(connection)
                    self._versions = self._read_versions(connection)
                    self._copy_database(REGISTRY, connection)
            objects.dump(self._store, self._mlflow_bucket, self._vault, self._parts, self.buckets[self._mlflow_bucket])
            if not list(self._without_files()):
                break
        for bucket, copy in self.buckets.items():
            if bucket != self._mlflow_bucket:
                objects.dump(self._store, bucket, self._vault, self._parts, copy)

    def warnings(self) -> Iterator[str]:
        """Say what whoever restores should know."""
        yield from self._without_files()
        for bucket, copy in self.buckets.items():
            if copy.vanished:
                yield f"{len(copy.vanished)} objects of the bucket {bucket!r} were deleted while it was copied"

    def _copy_database(self, name: str, connection: databases.Connection) -> None:
        schema = databases.read_schema(connection)
        if not schema.revisions and name not in _WITHOUT_MIGRATIONS:
            raise BackupError(
                f"The database {name!r} has no tables of an application. If its data are in another server, such as MySQL, leave it out "
                "of HEARTH_BACKUP_DATABASES and back it up with the tools of that server; if it was never used, start the stack once."
            )
        file = f"postgres-{name}.part"
        self._parts[:] = [part for part in self._parts if part.name != file]
        with self._vault.create(file, self._parts, compressed=True) as archive:
            rows = databases.dump(connection, schema, archive)
        self.databases[name] = {"server": schema.server, "revisions": schema.revisions, "tables": rows}

    def _read_versions(self, connection: databases.Connection) -> list[_Version]:
        if not databases.rows_of(connection, ["model_versions"]):
            return []
        rows = connection.execute(_VERSIONS)
        return [_Version(f"{model} {number}", _folder(location or artifacts or "")) for model, number, location, artifacts in rows]

    def _without_files(self) -> Iterator[str]:
        whole = self.buckets[self._mlflow_bucket].whole_folders()
        for found in self._versions:
            if found.folder is None:
                yield f"the files of the version {found.name} are not in MLflow's bucket, and so not in the backup"
            elif found.folder.rstrip("/") not in whole:
                yield f"the version {found.name} has no files in the object store, or not all"


def _folder(location: str) -> str | None:
    """Return the folder of files in MLflow's bucket: the server hands out `mlflow-artifacts:/1/…` for `1/…`."""
    match = re.fullmatch(r"(?:mlflow-artifacts:/+(?:[^/]+:\d+/)?|s3://[^/]+/)(.+)", location)
    return match[1] if match else None
