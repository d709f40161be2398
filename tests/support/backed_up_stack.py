"""A stack of real servers to back up, to empty and to restore: PostgreSQL, Valkey, object store and MLflow."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from redis import Redis

from deploy.embedded import temporary_servers
from hearth.predictions.migration import migrate
from hearth.settings import BackupSettings, RestoreSettings
from hearth.storage import ObjectStore

KEY = "a-key-for-backups-of-tests"
STREAM = "records"
# Outside of any checkout: a command of a checkout takes the settings of its stack.
_PROGRAM = """
from hearth.cli import checkout
checkout.find_checkout = lambda: None
from hearth.cli.app import main
main()
"""
NAMES = ("airflow", "mlflow", "predictions", "data")
BUCKETS = ("data", "processed", "mlflow")


@dataclass
class BackedUpStack:
    """The servers of a stack."""

    postgres: str
    valkey: str
    store: temporary_servers.ObjectStore
    mlflow: str

    def url(self, database: str) -> str:
        return urlsplit(self.postgres)._replace(path=f"/{database}").geturl()

    @property
    def objects(self) -> ObjectStore:
        """The object store, for somebody who may do everything."""
        return ObjectStore(
            self.store.endpoint_url, region=self.store.region, access_key=self.store.access_key, secret_key=self.store.secret_key
        )

    def environment(self) -> dict[str, str]:
        """Return the settings of a process that backs this stack up or restores it."""
        backup_user = urlsplit(self.postgres)._replace(netloc=f"backup:reading@127.0.0.1:{urlsplit(self.postgres).port}").geturl()
        return {
            "HEARTH_ENVIRONMENT": "laptop",
            "HEARTH_DATA_DIR": str(temporary_servers.ROOT / "data"),
            "HEARTH_BACKUP_KEY": KEY,
            "HEARTH_BACKUP_POSTGRES_URL": backup_user,
            "HEARTH_RESTORE_POSTGRES_URL": self.postgres,
            "HEARTH_S3_ENDPOINT_URL": self.store.endpoint_url,
            "HEARTH_S3_REGION": self.store.region,
            "HEARTH_S3_ACCESS_KEY": "hearth",
            "HEARTH_S3_SECRET_KEY": self.store.secrets["hearth"],
            "HEARTH_S3_BACKUP_ACCESS_KEY": "backup",
            "HEARTH_S3_BACKUP_SECRET_KEY": self.store.secrets["backup"],
            "HEARTH_MLFLOW_S3_ACCESS_KEY": "mlflow",
            "HEARTH_MLFLOW_S3_SECRET_KEY": self.store.secrets["mlflow"],
            **{f"HEARTH_{bucket.upper()}_BUCKET": bucket for bucket in BUCKETS},
            "HEARTH_REDIS_URL": self.valkey,
            "HEARTH_STREAM_NAME": STREAM,
            "HEARTH_STREAM_GROUP": "workers",
            "HEARTH_STREAM_MAX_LENGTH": "1000",
            "HEARTH_STUDIES_URL": "",  # searches are in no backup; housekeeping does not look for them then
        }

    def backup_settings(self, **changes: Any) -> BackupSettings:
        return BackupSettings(_env_file=None, **self._values(BackupSettings) | changes)

    def restore_settings(self, **changes: Any) -> RestoreSettings:
        return RestoreSettings(_env_file=None, **self._values(RestoreSettings) | changes)

    def _values(self, kind: type[BackupSettings | RestoreSettings]) -> dict[str, Any]:
        values = {name.removeprefix("HEARTH_").lower(): value for name, value in self.environment().items()}
        return {name: value for name, value in values.items() if name in kind.model_fields}

    def empty(self) -> None:
        """Leave the servers as a new stack has them before a restore: with the tables that MLflow and Airflow make, and nothing else."""
        with psycopg.connect(self.postgres, autocommit=True) as superuser:
            for name in NAMES:
                superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")
            for name in ("airflow", "mlflow"):
                superuser.execute(f"CREATE DATABASE {name} TEMPLATE empty_{name} OWNER {name}")
        self.prepare_databases()
        Redis.from_url(self.valkey).flushall()
        for bucket in BUCKETS:
            for key in list(self.objects.keys(bucket)):
                self.objects.delete(bucket, key)

    def prepare_databases(self) -> None:
        parts = urlsplit(self.postgres)
        settings = {
            "HEARTH_POSTGRES_PORT": str(parts.port),
            "HEARTH_POSTGRES_USER": str(parts.username),
            "HEARTH_POSTGRES_PASSWORD": str(parts.password),
            "HEARTH_POSTGRES_BACKUP_PASSWORD": "reading",
            **{f"HEARTH_POSTGRES_{name.upper()}_PASSWORD": name for name in NAMES},
        }
        command = [str(temporary_servers.EMBEDDED_PYTHON), "-m", "deploy.embedded.postgres", "create-database", *NAMES]
        subprocess.run(command, cwd=temporary_servers.ROOT, env={**os.environ, **settings}, check=True, capture_output=True)

    def command(self, *words: str, **changes: str) -> subprocess.Popen[str]:
        """Start a command of `hearth` as a process."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}
        environment = {**inherited, **self.environment(), **changes}
        return subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *words],
            env=environment,
            cwd=Path("/"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@contextmanager
def running(airflow: str) -> Iterator[BackedUpStack]:
    """Start the servers; `airflow` is SQL that makes what stands for Airflow's tables."""
    with (
        temporary_servers.postgres() as postgres,
        temporary_servers.valkey() as valkey,
        temporary_servers.object_store(BUCKETS) as store,
    ):
        stack = BackedUpStack(postgres, valkey, store, "")
        stack.prepare_databases()
        migrate(urlsplit(stack.url("predictions"))._replace(netloc=f"predictions:predictions@127.0.0.1:{urlsplit(postgres).port}").geturl())
        owner = urlsplit(stack.url("mlflow"))._replace(
            scheme="postgresql+psycopg2", netloc=f"mlflow:mlflow@127.0.0.1:{urlsplit(postgres).port}"
        )
        with psycopg.connect(stack.url("airflow")) as connection:
            connection.execute("SET ROLE airflow")
            connection.execute(airflow)
        with temporary_servers.mlflow_server(owner.geturl(), store=store) as mlflow:
            stack.mlflow = mlflow.url
            with psycopg.connect(postgres, autocommit=True) as superuser:
                for name in ("airflow", "mlflow"):
                    superuser.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
                    superuser.execute(f"CREATE DATABASE empty_{name} TEMPLATE {name}")
            yield stack
