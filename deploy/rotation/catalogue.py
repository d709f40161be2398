"""Every secret that can be rotated: which services use it, how its server learns the new value, and whether the old one holds meanwhile."""

from dataclasses import dataclass
from enum import StrEnum

_AIRFLOW = ("airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")
_PREDICTING = ("fastapi", "grpc", "stream_worker")
_CLIENTS_OF_VALKEY = ("fastapi", "grpc", "stream_worker", "fake_data_producer", "airflow-scheduler", "exporter")


class Server(StrEnum):
    """Who is told a new value before the services that use it start again."""

    POSTGRES = "PostgreSQL"
    VALKEY = "Valkey"
    AIRFLOW = "Airflow's database"
    NOBODY = ""  # the services that check the secret read it when they start


@dataclass(frozen=True)
class Secret:
    """A secret: its setting, the embedded services that have to start again in this order, and what happens to the old value."""

    name: str
    restarted: tuple[str, ...]
    old: str
    server: Server = Server.NOBODY
    role: str = ""  # of PostgreSQL


_OPEN = "open connections stay, new ones need the new value: a service that is not restarted yet cannot make one"
_RESTART = "refused as soon as the first of these services has started again"

SECRETS = (
    *(
        Secret(f"HEARTH_POSTGRES_{role.upper()}_PASSWORD", restarted, _OPEN, Server.POSTGRES, role)
        for role, restarted in (
            ("airflow", _AIRFLOW),
            ("mlflow", ("mlflow", "airflow-scheduler")),  # tasks run in the scheduler: housekeeping calls `mlflow gc`
            ("predictions", _PREDICTING),
            ("data", ("airflow-scheduler",)),
            ("optuna", ("airflow-scheduler",)),
            ("monitor", ("airflow-scheduler", "airflow-dag-processor", "exporter")),
            ("backup", ("airflow-scheduler",)),
        )
    ),
    Secret("HEARTH_POSTGRES_PASSWORD", (), "refused at once; no service uses it", Server.POSTGRES),
    Secret("HEARTH_REDIS_PASSWORD", (*_CLIENTS_OF_VALKEY, "valkey"), "holds until Valkey has started again, which is last", Server.VALKEY),
    Secret("HEARTH_S3_SECRET_KEY", ("minio", "airflow-scheduler"), _RESTART),
    Secret("HEARTH_MLFLOW_S3_SECRET_KEY", ("minio", "mlflow", "airflow-scheduler"), _RESTART),
    Secret("HEARTH_S3_READER_SECRET_KEY", ("minio",), _RESTART),
    Secret("HEARTH_S3_BACKUP_SECRET_KEY", ("minio", "airflow-scheduler"), _RESTART),
    Secret(
        "HEARTH_MLFLOW_PASSWORD", ("mlflow", "airflow-scheduler", *_PREDICTING, "streamlit", "fake_data_producer", "exporter"), _RESTART
    ),
    Secret("HEARTH_API_ADMIN_KEY", ("fastapi", "grpc"), "holds, as the key admin-old, until `hearth secrets retire`"),
    Secret("HEARTH_MODEL_SIGNING_KEY", ("airflow-scheduler", *_PREDICTING), "verifies what it signed, until `hearth secrets retire`"),
    Secret("HEARTH_AIRFLOW_PASSWORD", ("airflow-apiserver",), _RESTART),
    Secret("HEARTH_AIRFLOW_FERNET_KEY", _AIRFLOW, "what it encrypted is encrypted anew", Server.AIRFLOW),
    Secret("HEARTH_AIRFLOW_JWT_SECRET", _AIRFLOW, "tasks that run meanwhile are tried again"),
    Secret("HEARTH_AIRFLOW_API_SECRET", ("airflow-apiserver",), "people log in to Airflow again"),
)
BY_NAME = {secret.name: secret for secret in SECRETS}
API_KEY = Secret("HEARTH_API_KEYS", ("fastapi", "grpc"), "holds, as the key NAME-old, until `hearth secrets retire`")
# Settings that hold the secret of one of HEARTH_API_KEYS, and who reads them
HOLDERS = {"HEARTH_PAGE_API_KEY": ("streamlit",), "HEARTH_PROMETHEUS_API_KEY": ("prometheus",)}

NEVER = {
    "HEARTH_BACKUP_KEY": "older backups are read by it: give backups a new folder together with a new key, and keep the old key with them",
    "HEARTH_PREDICTIONS_HASH_KEY": "stored personal values are hashed with it: with another key nobody finds the old ones any more",
    "HEARTH_GRAFANA_PASSWORD": "Grafana keeps it in its own database: change it on its page",
    "HEARTH_MYSQL_PASSWORD": "MariaDB runs in Compose alone: ALTER USER there, then write the value to .env.local",
}
