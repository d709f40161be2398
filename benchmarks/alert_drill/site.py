"""The parts of a stack that alerts are about, with Prometheus, and what may be broken in them."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
from dotenv import dotenv_values

from benchmarks.harness.model import DATA, fitted, register, rows, signing_registry
from benchmarks.harness.requests import Records, fake_requests
from benchmarks.harness.services import Service
from benchmarks.harness.slow_proxy import SlowProxy
from benchmarks.harness.small_disks import small_disk
from deploy.embedded.temporary_servers import ROOT, Server, create_database, free_ports, mlflow_server, postgres_server, valkey_server
from deploy.monitoring.fast_rules import write as write_rules
from deploy.monitoring.scrape_config import embedded_config
from hearth.contracts import Contract, load_contract
from hearth.predictions.migration import migrate
from hearth.registry import NewVersion, Registry

DATASET = "employees"
STREAM = "mlops_stream"
_DISK_MEGABYTES = 60
_VALKEY_MEGABYTES = 40
_TRAINING_ROWS = 1_500
_SCRAPE_SECONDS = 1
_DAYS_FAR, DAYS_NEAR = 90, 10


@dataclass
class Watched:
    """What Prometheus watches; `api` is the service that keeps Hearth's own list of alerts, None where it does not run."""

    prometheus: httpx.Client
    api: httpx.Client | None

    def alerts(self, name: str) -> list[dict[str, Any]]:
        """Return the alerts of a name that Prometheus has firing."""
        found = self.prometheus.get("/api/v1/alerts").raise_for_status().json()["data"]["alerts"]
        return [alert for alert in found if alert["labels"]["alertname"] == name and alert["state"] == "firing"]


@dataclass(frozen=True)
class Case:
    """An alert and what makes it fire. `broken` is a context that mends at its end."""

    alert: str
    broken: Callable[[Any], contextlib.AbstractContextManager[None]]
    what: str


@dataclass
class Site(Watched):
    """The parts without Airflow."""

    contract: Contract
    registry: Registry
    unsigned_version: str
    champion: str
    postgres: Server
    database: str
    redis_url: str
    to_postgres: SlowProxy
    rest: Service
    state_disk: Path
    valkey_disk: Path
    certificate: Path
    requests: list[Records]

    def execute(self, statement: str) -> int:
        """Run a statement on the predictions store, and return how many rows it changed."""
        with psycopg.connect(self.database) as connection:
            return connection.execute(statement.encode()).rowcount


@contextlib.contextmanager
def open_site(folder: Path, prometheus: Path, factor: float) -> Iterator[Site]:
    """Start servers, REST, a worker, the exporter and Prometheus, whose rules are `factor` times as fast.

    Raises:
        NoDiskError: no small disk can be mounted here, as root alone may.
        ServerStartError, LoadError: something does not come up.
    """
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        state_disk, valkey_disk = enter(small_disk("state", _DISK_MEGABYTES)), enter(small_disk("valkey", _VALKEY_MEGABYTES))
        postgres, valkey, mlflow = enter(postgres_server()), enter(valkey_server(place=valkey_disk)), enter(mlflow_server())
        database = create_database(postgres.url, "predictions")
        migrate(database)
        port = urlsplit(database).port
        assert port is not None  # noqa: S101 - the server has one
        to_postgres = enter(SlowProxy(port))
        contract = load_contract(DATASET, DATA)
        X, y = rows(contract, _TRAINING_ROWS)
        registry = signing_registry(mlflow.url)
        pipeline = fitted(contract, "lightgbm", X, y)
        champion = register(registry, contract, "lightgbm", pipeline, X)
        new = NewVersion(DATASET, "knn", "drill", "drill", fitted(contract, "knn", X, y), X.head(5), {}, {}, {})
        unsigned = Registry(mlflow.url).register(new).version
        certificate = folder / "certificate.pem"
        rest_port, worker_port, exporter_port, prometheus_port, nobody = free_ports(5)
        settings = {
            **{name: value for name, value in dotenv_values(ROOT / ".env").items() if value is not None and name.startswith("HEARTH_")},
            "HEARTH_DATA_DIR": str(DATA),
            "HEARTH_MLFLOW_TRACKING_URI": mlflow.url,
            "HEARTH_PREDICTIONS_URL": database,
            "HEARTH_MONITOR_URL": database,
            "HEARTH_REDIS_URL": valkey.url,
            "HEARTH_STREAM_NAME": STREAM,
            "HEARTH_ALIAS_POLL_SECONDS": "1",
            "HEARTH_MODEL_SIGNATURES": "require",
            "HEARTH_API_PORT": str(rest_port),
            "HEARTH_GRPC_METRICS_PORT": "0",
            "HEARTH_WORKER_METRICS_PORT": str(worker_port),
            "HEARTH_EXPORTER_PORT": str(exporter_port),
            "HEARTH_EXPORTER_SECONDS": "1",
            "HEARTH_EXPORTER_CERTIFICATES": str(certificate),
            "HEARTH_AIRFLOW_URL": "",
            "HEARTH_API_URL": "",
            "HEARTH_PROMETHEUS_PORT": str(prometheus_port),
            "HEARTH_ALERT_WEBHOOK_URL": f"http://127.0.0.1:{nobody}/",  # nobody is there
            "HEARTH_STATE_DIR": str(state_disk),
        }
        write_certificate(certificate, _DAYS_FAR)
        rest = start_service(
            stack,
            "REST",
            ["-P", "-m", "hearth_api", "--port", str(rest_port)],
            settings,
            folder,
            f"http://127.0.0.1:{rest_port}/model-info",
        )
        through = {**settings, "HEARTH_PREDICTIONS_URL": database.replace(f":{port}/", f":{to_postgres.port}/")}
        start_service(stack, "worker", ["-P", "-m", "hearth.streaming.worker"], through, folder, f"http://127.0.0.1:{worker_port}/metrics")
        start_service(
            stack, "exporter", ["-m", "deploy.monitoring.exporter"], settings, folder, f"http://127.0.0.1:{exporter_port}/metrics"
        )
        client = start_prometheus(stack, prometheus, settings, folder, factor)
        yield Site(
            prometheus=client,
            api=enter(httpx.Client(base_url=f"http://127.0.0.1:{rest_port}", timeout=60)),
            contract=contract,
            registry=registry,
            unsigned_version=unsigned,
            champion=champion,
            postgres=postgres,
            database=database,
            redis_url=valkey.url,
            to_postgres=to_postgres,
            rest=rest,
            state_disk=state_disk,
            valkey_disk=valkey_disk,
            certificate=certificate,
            requests=fake_requests(1)[:100],
        )


def write_certificate(path: Path, days: float) -> None:
    """Write a certificate that ends in some days."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "drill")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    partial = path.with_suffix(".partial")
    partial.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    partial.replace(path)


def start_service(  # noqa: PLR0913, PLR0917 - the parts of a process
    stack: contextlib.ExitStack, name: str, module: list[str], settings: Mapping[str, str], folder: Path, url: str
) -> Service:
    """Start a module of ours and wait until a URL answers; it ends with the stack.

    Raises:
        LoadError: it does not come up.
    """
    service = Service(name, [sys.executable, *module], settings, url, folder / f"{name}.log")
    stack.callback(service.end)
    service.start()
    service.wait_until(lambda: _answers(url))
    return service


def start_prometheus(stack: contextlib.ExitStack, program: Path, settings: Mapping[str, str], folder: Path, factor: float) -> httpx.Client:
    """Start Prometheus with the stack's configuration and rules that are `factor` times as fast, and return a client of it."""
    write_rules(folder / "rules", factor)
    config = embedded_config({**settings, "HEARTH_GRPC_METRICS_PORT": "0"}, str(folder / "rules/*.yml"), _SCRAPE_SECONDS)
    path = folder / "prometheus.yml"
    path.write_text(json.dumps(config), encoding="utf-8")
    url = f"http://127.0.0.1:{settings['HEARTH_PROMETHEUS_PORT']}"
    command = [
        str(program),
        f"--config.file={path}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--log.level=warn",
    ]
    service = Service("Prometheus", command, {}, url, folder / "prometheus.log")
    stack.callback(service.end)
    service.start()
    service.wait_until(lambda: _answers(f"{url}/-/ready"))
    time.sleep(2 * _SCRAPE_SECONDS)
    return stack.enter_context(httpx.Client(base_url=url, timeout=30))


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.HTTPError:
        return False
