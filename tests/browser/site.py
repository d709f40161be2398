"""A page in a Streamlit process of its own, and all that it needs: REST with real models, MLflow, PostgreSQL and Valkey."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pandas as pd
from PIL import Image

from benchmarks.harness.model import fitted, rows
from deploy.embedded import health, temporary_servers
from hearth.contracts import Contract, load_contract
from hearth.fakes import FakeRecords
from hearth.predictions.migration import migrate
from hearth.registry import NewVersion, Registry
from hearth.settings import ModelSettings
from hearth.streaming.client import StreamWriter
from hearth.streaming.messages import encode
from hearth_api.app import create_app
from tests.api.running import ADMIN_KEY, running, service_settings
from tests.support.models import DATA, employees
from tests.support.published import publish_report
from tests.support.waiting import LIMIT_SECONDS, wait_until

ROOT = Path(__file__).parents[2]
CONTRACT = employees()
HEART = load_contract("heart", DATA)
FAMILIES = ("knn", "svm")  # the first is the champion, the second the one before
_ALIASES = 6  # of these two families, champion, previous, and of heart one family and the champion
_ROWS = 400


@dataclass
class Site:
    """Where the page is, and its REST service, which can go away and come back."""

    mlflow_uri: str
    database_url: str
    valkey_url: str
    stream: str
    port: int = field(default_factory=temporary_servers.free_port)
    url: str = ""
    away: str = field(default_factory=lambda: f"http://127.0.0.1:{temporary_servers.free_port()}")  # where nobody answers
    admin_key: str = ADMIN_KEY
    worker_port: int = field(default_factory=temporary_servers.free_port)
    prometheus_port: int = field(default_factory=temporary_servers.free_port)  # nobody answers, but in the tests of Monitoring
    _rest: ExitStack = field(default_factory=ExitStack)
    _worker: subprocess.Popen[bytes] | None = None

    def start_rest(self) -> None:
        settings = service_settings(
            mlflow_tracking_uri=self.mlflow_uri,
            s3_endpoint_url=self.away,
            predictions_url=self.database_url,
            redis_url=self.valkey_url,
            stream_name=self.stream,
            alias_poll_seconds=0.2,
            api_max_records=1_000,
            record_predictions="all",
        )
        client = self._rest.enter_context(running(create_app(settings), self.port))
        wait_until(lambda: len([alias for alias in _served(client.get("/models").json()) if alias]) >= _ALIASES)

    def stop_rest(self) -> None:
        self._rest.close()

    def start_worker(self) -> None:
        """Start the stream worker; it answers when it has its port, and reads when it has its models."""
        given = {
            "HEARTH_MLFLOW_TRACKING_URI": self.mlflow_uri,
            "HEARTH_PREDICTIONS_URL": self.database_url,
            "HEARTH_REDIS_URL": self.valkey_url,
            "HEARTH_STREAM_NAME": self.stream,
            "HEARTH_WORKER_METRICS_PORT": str(self.worker_port),
        }
        command = [sys.executable, "-P", "-m", "hearth.streaming.worker"]
        self._worker = subprocess.Popen(
            command, cwd=ROOT, env={**_kept(), **given}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def stop_worker(self) -> None:
        if self._worker is not None:
            self._worker.send_signal(signal.SIGTERM)
            self._worker.wait(LIMIT_SECONDS)
            self._worker = None

    def send(self, record: dict[str, object]) -> None:
        """Put a record into the stream."""
        with StreamWriter(self.valkey_url, self.stream) as writer:
            writer.send([encode("employees", "champion", [record])])


def _served(listed: dict[str, list[dict[str, list[dict[str, str | None]]]]]) -> list[str | None]:
    return [alias["version"] for found in listed["datasets"] for alias in found["aliases"]]


@contextmanager
def site_of(mlflow_uri: str, database_url: str, valkey_url: str, folder: Path) -> Iterator[Site]:
    migrate(database_url)
    _train(mlflow_uri)
    site = Site(mlflow_uri, database_url, valkey_url, f"stream-{uuid4().hex}")
    try:
        with _page(site, folder / "streamlit.log") as site.url:
            site.start_worker()
            site.start_rest()
            yield site
    finally:
        site.stop_rest()
        site.stop_worker()
    said = (folder / "streamlit.log").read_text("utf-8")
    assert "Traceback" not in said, said
    assert "deprecat" not in said.lower(), said


def _train(mlflow_uri: str) -> None:
    """Register small models, with the aliases that a pipeline gives, and one that the gate has refused."""
    registry = Registry.from_settings(ModelSettings(mlflow_tracking_uri=mlflow_uri))
    for family, role in zip(FAMILIES, ("champion", "previous"), strict=True):
        _register(registry, CONTRACT, family, "passed", (family, role))
    _register(registry, CONTRACT, "knn", "refused", ())
    _register(registry, HEART, "logistic_regression", "passed", ("logistic_regression", "champion"))
    publish_report(registry, CONTRACT)


def _register(registry: Registry, contract: Contract, family: str, gate: str, aliases: tuple[str, ...]) -> None:
    X, y = rows(contract, _ROWS)
    picture = io.BytesIO()
    Image.new("RGB", (310, 260), "steelblue").save(picture, "PNG")
    new = NewVersion(
        dataset=contract.name,
        family=family,
        digest="small",
        training_key=f"page {contract.name} {family} {gate}",
        pipeline=fitted(contract, family, X, y),
        example=X.head(5),
        params={"seed": 42},
        metrics={"macro_f1": 0.81, "accuracy": 0.83},
        pictures={"confusion_matrix.png": picture.getvalue()},
    )
    version = registry.register(new)
    registry.annotate(version, {"hearth.gate": gate})
    for alias in aliases:
        registry.set_alias(contract.name, alias, version.version)


@contextmanager
def _page(site: Site, log: Path) -> Iterator[str]:
    port = temporary_servers.free_port()
    given = {
        "HEARTH_API_URL": f"http://127.0.0.1:{site.port}",
        "HEARTH_MLFLOW_TRACKING_URI": site.mlflow_uri,
        "HEARTH_AIRFLOW_URL": site.away,
        "HEARTH_PAGE_GRPC_METRICS_URL": f"{site.away}/metrics",
        "HEARTH_PAGE_WORKER_METRICS_URL": f"http://127.0.0.1:{site.worker_port}/metrics",
        "HEARTH_BATCH_API_URL": site.away,
        "HEARTH_PAGE_PROMETHEUS_URL": f"http://127.0.0.1:{site.prometheus_port}",
    }
    command = [sys.executable, "-P", "-m", "streamlit_app"]
    address = ["--server.address", "127.0.0.1", "--server.port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *address], cwd=ROOT, env={**_kept(), **given}, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: process.poll() is not None or health.http_ok(f"{url}/_stcore/health"))
            assert process.poll() is None, log.read_text("utf-8")
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(LIMIT_SECONDS)


def _kept() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("HEARTH_", "STREAMLIT_"))}


def with_a_bad_row(count: int) -> pd.DataFrame:
    """Fake records, the second of which breaks the contract."""
    frame = FakeRecords.load(CONTRACT, DATA).frame(count, seed=7)[list(CONTRACT.feature_names)]
    frame.loc[1, "Designation"] = 17
    return frame


def csv_with_a_bad_row(count: int, value: str | int = 17) -> bytes:
    """Return the same as a file, with this value in the bad row."""
    frame = with_a_bad_row(count).astype(object)
    frame.loc[1, "Designation"] = value
    return frame.to_csv(index=False).encode()
