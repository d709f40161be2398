"""A page in a Streamlit process of its own, and all that it needs: REST with real models, MLflow, PostgreSQL and Valkey."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from PIL import Image

from hearth.fakes import FakeRecords
from hearth.predictions.migration import migrate
from hearth.registry import NewVersion, Registry
from hearth.streaming.client import StreamWriter
from hearth.streaming.messages import encode
from hearth.streaming.reader import DeadLetter, StreamReader
from hearth_api.app import create_app
from tests.api.running import ADMIN_KEY, running, service_settings
from tests.models import DATA, employees
from utils import servers
from utils.bench.model import fitted, rows
from utils.embedded import health

ROOT = Path(__file__).parents[2]
CONTRACT = employees()
FAMILIES = ("knn", "svm")  # the first is the champion, the second the one before
_START_SECONDS = 60.0
_ROWS = 400


@dataclass
class Site:
    """Where the page is, and its REST service, which can go away and come back."""

    mlflow_uri: str
    database_url: str
    valkey_url: str
    stream: str
    port: int = field(default_factory=servers.free_port)
    url: str = ""
    admin_key: str = ADMIN_KEY
    _rest: ExitStack = field(default_factory=ExitStack)

    def start_rest(self) -> None:
        settings = service_settings(
            mlflow_tracking_uri=self.mlflow_uri,
            predictions_url=self.database_url,
            redis_url=self.valkey_url,
            stream_name=self.stream,
            alias_poll_seconds=0.2,
            api_max_records=1_000,
            record_predictions="all",
        )
        client = self._rest.enter_context(running(create_app(settings), self.port))
        until(lambda: len([alias for alias in _served(client.get("/models").json()) if alias]) >= len(FAMILIES) + 2)

    def stop_rest(self) -> None:
        self._rest.close()

    def bury(self, reason: str) -> None:
        """Let a message of the stream die."""
        with (
            StreamWriter(self.valkey_url, self.stream) as writer,
            StreamReader(self.valkey_url, self.stream, "workers", "one", 10) as reader,
        ):
            reader.join()
            writer.send([encode("employees", "champion", [{}])])
            [entry] = reader.read(1, 1_000)
            reader.settle([entry.id], [DeadLetter(entry, "invalid_records", reason, datetime.now(UTC).isoformat())])


def _served(listed: dict[str, list[dict[str, list[dict[str, str | None]]]]]) -> list[str | None]:
    return [alias["version"] for found in listed["datasets"] for alias in found["aliases"]]


@contextmanager
def site_of(mlflow_uri: str, database_url: str, valkey_url: str, folder: Path) -> Iterator[Site]:
    migrate(database_url)
    _train(mlflow_uri)
    site = Site(mlflow_uri, database_url, valkey_url, f"stream-{uuid4().hex}")
    try:
        with _page(site, folder / "streamlit.log") as site.url:
            site.start_rest()
            yield site
    finally:
        site.stop_rest()
    said = (folder / "streamlit.log").read_text("utf-8")
    assert "Traceback" not in said, said
    assert "deprecat" not in said.lower(), said


def _train(mlflow_uri: str) -> None:
    """Register small models, with the aliases that a pipeline gives."""
    registry = Registry(mlflow_uri)
    X, y = rows(CONTRACT, _ROWS)
    picture = io.BytesIO()
    Image.new("RGB", (310, 260), "steelblue").save(picture, "PNG")
    for family in FAMILIES:
        new = NewVersion(
            dataset=CONTRACT.name,
            family=family,
            digest="small",
            training_key=f"page {family}",
            pipeline=fitted(CONTRACT, family, X, y),
            example=X.head(5),
            params={"seed": 42},
            metrics={"macro_f1": 0.81, "accuracy": 0.83},
            pictures={"confusion_matrix.png": picture.getvalue()},
        )
        version = registry.register(new)
        registry.annotate(version, {"hearth.gate": "passed"})
        for alias in (family, "champion" if family == FAMILIES[0] else "previous"):
            registry.set_alias(CONTRACT.name, alias, version.version)


@contextmanager
def _page(site: Site, log: Path) -> Iterator[str]:
    port, away = servers.free_port(), f"http://127.0.0.1:{servers.free_port()}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEARTH_", "STREAMLIT_"))}
    given = {
        "HEARTH_API_URL": f"http://127.0.0.1:{site.port}",
        "HEARTH_MLFLOW_TRACKING_URI": site.mlflow_uri,
        "HEARTH_AIRFLOW_URL": away,
        "HEARTH_PAGE_GRPC_METRICS_URL": f"{away}/metrics",
    }
    command = [sys.executable, "-P", "-m", "streamlit", "run", "streamlit_app/app.py"]
    address = ["--server.address", "127.0.0.1", "--server.port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *address], cwd=ROOT, env={**kept, **given}, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: process.poll() is not None or health.http_ok(f"{url}/_stcore/health"))
            assert process.poll() is None, log.read_text("utf-8")
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not reached():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


def csv_with_a_bad_row(count: int) -> bytes:
    """Fake records, the second of which breaks the contract."""
    frame = FakeRecords.load(CONTRACT, DATA).frame(count, seed=7)[list(CONTRACT.feature_names)].astype(object)
    frame.loc[1, "Designation"] = 17
    return frame.to_csv(index=False).encode()
