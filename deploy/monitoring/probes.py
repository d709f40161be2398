"""The probes of the exporter: each asks one server, and returns readings or raises."""

import os
import shutil
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import redis
from cryptography import x509

from deploy.monitoring.airflow_runs import RunHistory, time_of
from deploy.monitoring.gauges import Reading
from deploy.monitoring.mlflow_trials import MlflowProbe
from hearth.settings import ExporterSettings

TIMEOUT_SECONDS = 5.0
_CONNECTIONS = "SELECT datname, numbackends FROM pg_stat_database WHERE datname IS NOT NULL AND datname NOT LIKE 'template%'"
_SIZES = "SELECT current_setting('max_connections')::int, pg_database_size(current_database())"
_BACKUP = "hearth_backup"
_PAGE = 100  # entries that Airflow returns, at most
# hearth_published_rows: our word for a part, and the field of REST's report
_PARTS = {"read": "rows_in", "rejected": "rejected", "train": "train_rows", "test": "test_rows"}

# Nothing was published yet; or MLflow, which has the report, is away, which is no fault of REST
_UNKNOWN = (httpx.codes.NOT_FOUND, httpx.codes.SERVICE_UNAVAILABLE)

Probe = Callable[[], Sequence[Reading]]


class ProbeError(Exception):
    """A server answers, but not as it should; the message has its answer."""


FAILURES = (OSError, ValueError, KeyError, httpx.HTTPError, psycopg.Error, redis.RedisError, ProbeError)
"""What a probe may raise: its server is away, or answers something else than expected."""


def probes_of(settings: ExporterSettings, state: Path) -> dict[str, Probe]:
    """Return the probe of each server by its name, as the label `server` has it; a server without an address has none."""
    found: dict[str, Probe] = {
        "postgres": lambda: list(_postgres(settings.monitor_url.get_secret_value())),
        "valkey": lambda: list(_valkey(settings.redis_url.get_secret_value())),
        "object store": lambda: _object_store(settings.s3_endpoint_url),
        "mlflow": MlflowProbe(settings, TIMEOUT_SECONDS),
        "disk": lambda: _disk(state),
    }
    if settings.airflow_url:
        found["airflow"] = AirflowProbe(settings)
    if settings.api_url:
        found["rest"] = lambda: list(_published(settings.api_url))
    for address in settings.exporter_certificates:
        found[f"certificate of {address}"] = lambda address=address: _certificate(address)  # type: ignore[misc] # mypy takes the default for an argument
    return found


def _postgres(url: str) -> Iterator[Reading]:
    with psycopg.connect(url, connect_timeout=int(TIMEOUT_SECONDS), options="-c statement_timeout=5000") as connection:
        for database, count in connection.execute(_CONNECTIONS):
            yield Reading("hearth_postgres_connections", count, (str(database),))
        row = connection.execute(_SIZES).fetchone()
    if row:
        yield Reading("hearth_postgres_max_connections", row[0])
        yield Reading("hearth_predictions_store_bytes", row[1])


def _valkey(url: str) -> Iterator[Reading]:
    with redis.Redis.from_url(url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS) as client:
        info: dict[str, Any] = client.info()
    yield Reading("hearth_valkey_memory_bytes", info["used_memory"])
    yield Reading("hearth_valkey_clients", info["connected_clients"])
    yield Reading("hearth_valkey_write_problem", float(info.get("aof_last_write_status", "ok") != "ok"))


def _object_store(url: str) -> Sequence[Reading]:
    answer = httpx.get(url, timeout=TIMEOUT_SECONDS)  # 403 without a key: it answers
    if answer.is_server_error:
        raise ProbeError(f"status {answer.status_code}")
    return ()


def _published(url: str) -> Iterator[Reading]:
    with httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS) as client:
        for dataset in client.get("/datasets").raise_for_status().json()["datasets"]:
            answer = client.get(f"/datasets/{dataset['name']}/data")
            if answer.status_code in _UNKNOWN:
                continue
            report = answer.raise_for_status().json()
            for part, field in _PARTS.items():
                yield Reading("hearth_published_rows", report[field], (dataset["name"], part))


def _disk(state: Path) -> Sequence[Reading]:
    place = state if state.exists() else Path("/")
    usage = shutil.disk_usage(place)
    return (Reading("hearth_disk_free_bytes", usage.free, ("state",)), Reading("hearth_disk_size_bytes", usage.total, ("state",)))


def _certificate(address: str) -> Sequence[Reading]:
    """Read the end of a certificate: of host:port, over TLS, whoever signed it; or of a PEM file."""
    if os.sep in address:
        pem = Path(address).read_text(encoding="ascii")
    else:
        parts = urlsplit(f"//{address}")
        pem = ssl.get_server_certificate((parts.hostname or "", parts.port or 443), timeout=TIMEOUT_SECONDS)
    expiry = x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
    return (Reading("hearth_certificate_expiry_timestamp_seconds", expiry.timestamp(), (address,)),)


class AirflowProbe:
    """Airflow's health, its DAGs, and their newest runs and tries, over its REST API; it logs in when its token is none or has expired."""

    def __init__(self, settings: ExporterSettings) -> None:
        self._client = httpx.Client(base_url=settings.airflow_url, timeout=TIMEOUT_SECONDS)
        self._login = {"username": settings.airflow_user, "password": settings.airflow_password.get_secret_value()}
        self._history = RunHistory()
        self._first_look = datetime.now(UTC)

    def __call__(self) -> Sequence[Reading]:
        health = self._client.get("/api/v2/monitor/health").raise_for_status().json()
        found = [
            Reading("hearth_airflow_component_up", float(state["status"] == "healthy"), (component,))
            for component, state in health.items()
            if state and state.get("status")
        ]
        dags = self._get("/api/v2/dags", limit=_PAGE, exclude_stale=True)["dags"]
        runs = self._get("/api/v2/dags/~/dagRuns", limit=_PAGE, order_by="-updated_at")["dag_runs"]
        tries = self._get("/api/v2/dags/~/dagRuns/~/taskInstances", limit=_PAGE, order_by="-start_date")["task_instances"]
        errors = self._get("/api/v2/importErrors", limit=1)["total_entries"]
        found.append(Reading("hearth_dag_import_errors", errors))
        found.extend(self._history.readings(dags, runs, tries, datetime.now(UTC)))
        found.extend(self._last_backup(dags))
        return found

    def _last_backup(self, dags: Sequence[Mapping[str, Any]]) -> Iterator[Reading]:
        """Ask for the last backup by itself: one a day is not among the newest runs of all DAGs. Without a schedule there is no reading."""
        is_on = any(dag["dag_id"] == _BACKUP and not dag.get("is_paused") and time_of(dag, "next_dagrun_run_after") for dag in dags)
        if is_on:
            runs = self._get(f"/api/v2/dags/{_BACKUP}/dagRuns", limit=1, order_by="-end_date", state="success")["dag_runs"]
            ends = [end for run in runs if (end := time_of(run, "end_date"))]
            yield Reading("hearth_backup_last_success_timestamp_seconds", max(ends, default=self._first_look).timestamp())

    def _get(self, path: str, **query: str | int) -> Any:  # noqa: ANN401 - JSON
        answer = self._client.get(path, params=query)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            token = self._client.post("/auth/token", json=self._login).raise_for_status().json()["access_token"]
            self._client.headers["Authorization"] = f"Bearer {token}"
            answer = self._client.get(path, params=query)
        return answer.raise_for_status().json()
