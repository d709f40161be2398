"""Restore a backup: what is referred to first, what refers to it last, the other way round than it was made.

A restore may be killed and started again. Each database is one transaction, each stream one step, objects are written by their keys; and a
mark in the object store says which backup is being restored and what is done, so that a half-filled stack is not taken for one in use.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from hearth.audit import Action
from hearth.backup import databases, objects, streams
from hearth.backup.archives import Vault
from hearth.backup.audit_row import PREDICTIONS, record
from hearth.backup.create import REGISTRY, STREAMS, require_secret, stream_names
from hearth.backup.manifest import Manifest, Part
from hearth.backup.places import Place
from hearth.backup.predictions_schema import make_tables
from hearth.backup.verify import find_problems, is_compressed, open_backup
from hearth.errors import InvalidBackup, InvalidSettings, ObjectNotFound, StackNotEmpty
from hearth.settings import RestoreSettings
from hearth.storage import ObjectStore
from hearth.streaming.stream_copy import StreamCopy

MARK = "hearth-restore.json"

# What an unused stack never has a row in.
_IN_USE = {
    "predictions": ("predictions", "labels", "refused_records", "rollouts", "retrains"),
    "mlflow": ("model_versions", "runs", "logged_models"),
    "airflow": ("dag_run",),
}
_UPLOADED = "/raw/"  # raw files, which Compose uploads at its first start
_SCHEDULER = "SELECT FROM job WHERE job_type = 'SchedulerJob' AND state = 'running' AND latest_heartbeat > now() - interval '30 seconds'"


@dataclass
class Restored:
    """What a restore has done: a line for each step, as it was done."""

    backup_id: str
    lines: list[str] = field(default_factory=list)


def restore_backup(
    place: Place,
    backup_id: str,
    settings: RestoreSettings | None = None,
    *,
    force: bool = False,
    announce: Callable[[str], None] = lambda _: None,
) -> Restored:
    """Fill the stack of the settings with a backup, which is verified first. `announce` gets each line when its step is done.

    Raises:
        InvalidBackup: the backup is damaged; nothing was changed.
        StackNotEmpty: there are data, and `force` is not set; nothing was changed.
        BackupError: a database has another schema or is in use.
        HearthError: a server does not answer or refuses.
    """
    target = _Target(settings or RestoreSettings())
    manifest, vault = open_backup(place, backup_id, require_secret(target.settings.backup_key.get_secret_value()))
    target.require_buckets(manifest)
    if problems := list(find_problems(place, manifest, vault)):
        raise InvalidBackup(f"The backup {backup_id} is damaged, and nothing was restored: {'; '.join(problems)}.")
    target.require_stopped(manifest)
    done = None if force else target.marked(backup_id)  # forced: from the beginning, whatever was done before
    if done is None:
        if not force and (found := target.contents(manifest)):
            raise StackNotEmpty(
                f"The stack is not empty: it has {', '.join(found)}. A restore replaces all of it: use --force if that is what you want."
            )
        done = []
    restored = Restored(backup_id)
    for step, run in _steps(target, manifest, vault):
        if step in done:
            line = f"{step}: was done before"
        else:
            target.mark(backup_id, done)
            line = f"{step}: {run()}"
            done.append(step)
        restored.lines.append(line)
        announce(line)
    target.unmark()
    if PREDICTIONS in manifest.databases:
        record(target.postgres_url, Action.BACKUP_RESTORED, backup_id, {"from": str(place), "forced": force})
    return restored


def _steps(target: "_Target", manifest: Manifest, vault: Vault) -> list[tuple[str, Callable[[], str]]]:
    """Return the steps in their order, by name."""
    parts = {part.name: part for part in manifest.parts}
    order = sorted(manifest.databases, key=lambda name: name != REGISTRY)  # the registry before what refers to it
    steps: list[tuple[str, Callable[[], str]]] = [
        (f"bucket {bucket}", partial(target.fill_bucket, bucket, manifest, vault)) for bucket in manifest.buckets
    ]
    steps += [(f"database {name}", partial(target.fill_database, name, parts[f"postgres-{name}.part"], vault)) for name in order]
    return [*steps, ("streams", partial(target.fill_streams, parts[STREAMS], vault))]


class _Target:
    """The servers that a restore fills."""

    def __init__(self, settings: RestoreSettings) -> None:
        self.settings = settings
        self.postgres_url = settings.restore_postgres_url.get_secret_value()
        self.store = ObjectStore.from_settings(settings)
        mlflow_store = ObjectStore(
            settings.s3_endpoint_url,
            region=settings.s3_region,
            access_key=settings.mlflow_s3_access_key.get_secret_value(),
            secret_key=settings.mlflow_s3_secret_key.get_secret_value(),
        )
        self.stores = {settings.data_bucket: self.store, settings.processed_bucket: self.store, settings.mlflow_bucket: mlflow_store}

    def require_buckets(self, manifest: Manifest) -> None:
        """Raise InvalidSettings if the backup needs what the settings do not name."""
        if manifest.databases and not self.postgres_url:
            raise InvalidSettings("HEARTH_RESTORE_POSTGRES_URL is empty: it has to name a superuser, who fills all databases.")
        if unknown := sorted(manifest.buckets.keys() - self.stores.keys()):
            raise InvalidSettings(
                f"The backup has the buckets {', '.join(unknown)}, the settings {', '.join(self.stores)}: set HEARTH_DATA_BUCKET, "
                "HEARTH_PROCESSED_BUCKET and HEARTH_MLFLOW_BUCKET as they were, because the registry names them."
            )

    def require_stopped(self, manifest: Manifest) -> None:
        """Raise StackNotEmpty if Airflow's scheduler runs: it would start tasks in the middle."""
        if "airflow" in manifest.databases:
            with databases.connected(self.postgres_url, "airflow") as connection:
                there = {table.name for table in databases.read_schema(connection).tables}
                if "job" in there and connection.execute(_SCHEDULER).rowcount:
                    raise StackNotEmpty("Airflow's scheduler runs: stop the stack but for its servers, or wait 30 seconds after its end.")

    def contents(self, manifest: Manifest) -> list[str]:
        """Return what a restore would replace, in words."""
        found = []
        for bucket in manifest.buckets:
            keys = self.stores[bucket].keys(bucket)
            if any(_UPLOADED not in f"/{key}" for key in keys):
                found.append(f"objects in the bucket {bucket!r}")
        for name in manifest.databases:
            with databases.connected(self.postgres_url, name) as connection:
                tables = _IN_USE.get(name) or [table.name for table in databases.read_schema(connection).tables]
                if tables := databases.rows_of(connection, tables):
                    found.append(f"rows in {name} ({', '.join(tables)})")
        for name in stream_names(self.settings):
            with StreamCopy(self.settings.redis_url.get_secret_value(), name) as stream:
                head = stream.head()
                if head and head.entries_added:
                    found.append(f"the stream {name}")
        return found

    def marked(self, backup_id: str) -> list[str] | None:
        """Return the steps that an interrupted restore of this backup has done; None if there was none."""
        try:
            mark = json.loads(self.store.get(self.settings.data_bucket, MARK))
        except ObjectNotFound:
            return None
        if mark["backup"] != backup_id:
            return None
        return list(mark["done"])

    def mark(self, backup_id: str, done: list[str]) -> None:
        self.store.put(self.settings.data_bucket, MARK, json.dumps({"backup": backup_id, "done": done}).encode())

    def unmark(self) -> None:
        self.store.delete(self.settings.data_bucket, MARK)

    def fill_bucket(self, bucket: str, manifest: Manifest, vault: Vault) -> str:
        keys: set[str] = set()
        for part in manifest.parts:
            if part.name.rpartition("-")[0] == f"objects-{bucket}":
                with vault.read(part, compressed=is_compressed(part)) as members:
                    keys |= objects.load(self.stores[bucket], bucket, members)
        foreign = [key for key in self.stores[bucket].keys(bucket) if key not in keys and key != MARK]
        for key in foreign:
            self.stores[bucket].delete(bucket, key)
        return f"{len(keys):,} objects" + (f", {len(foreign):,} others deleted" if foreign else "")

    def fill_database(self, name: str, part: Part, vault: Vault) -> str:
        if name == PREDICTIONS:  # MLflow and Airflow make their tables when they start; these a worker makes, which must not run yet
            make_tables(self.postgres_url)
        with (
            vault.read(part, compressed=is_compressed(part)) as members,
            databases.connected(self.postgres_url, name) as connection,
        ):
            rows = databases.load(connection, members)
        return f"{sum(rows.values()):,} rows in {len(rows)} tables"

    def fill_streams(self, part: Part, vault: Vault) -> str:
        with vault.read(part, compressed=is_compressed(part)) as members:
            names = streams.load(self.settings.redis_url.get_secret_value(), members)
        return ", ".join(names) or "there was none"
