"""All services as the processes that a stack starts, run in the copy of the checkout in which a page is followed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from deploy.embedded import health, temporary_servers
from hearth.predictions.migration import migrate
from tests.support.guide import ROOT, Copy
from tests.support.waiting import LIMIT_SECONDS, wait_until


@dataclass(frozen=True)
class Addresses:
    """The servers that the services use."""

    mlflow_uri: str
    database_url: str
    valkey_url: str


@dataclass(frozen=True)
class Stack:
    """Where the services are, and the settings of programs that ask them."""

    api_port: int
    grpc_port: int
    page_port: int
    settings: Mapping[str, str]

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"


@contextmanager
def stack_of(
    guide: Copy, dataset: str, addresses: Addresses, *, own_code: bool = False, more: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """Register versions of a data set and serve them; `own_code` runs the code of the copy instead of the checkout's."""
    migrate(addresses.database_url)
    api, grpc, page, away = temporary_servers.free_ports(4)
    settings = {
        "HEARTH_MLFLOW_TRACKING_URI": addresses.mlflow_uri,
        "HEARTH_PREDICTIONS_URL": addresses.database_url,
        "HEARTH_REDIS_URL": addresses.valkey_url,
        "HEARTH_STREAM_NAME": f"stream-{uuid4().hex}",
        "HEARTH_LABELS_STREAM_NAME": f"labels-{uuid4().hex}",
        "HEARTH_ALIAS_POLL_SECONDS": "0.2",
        "HEARTH_EXPLAIN_SECONDS": "300",  # a busy machine takes long
        "HEARTH_API_URL": f"http://127.0.0.1:{api}",
        "HEARTH_GRPC_PORT": str(grpc),
        "HEARTH_GRPC_ADDRESS": f"127.0.0.1:{grpc}",
        "HEARTH_GRPC_METRICS_PORT": "0",
        "HEARTH_WORKER_METRICS_PORT": "0",
        "HEARTH_AIRFLOW_URL": f"http://127.0.0.1:{away}",
        "HEARTH_PAGE_GRPC_METRICS_URL": f"http://127.0.0.1:{away}/metrics",
        "HEARTH_PAGE_WORKER_METRICS_URL": f"http://127.0.0.1:{away}/metrics",
        "HEARTH_BATCH_API_URL": f"http://127.0.0.1:{away}",
        **({"PYTHONPATH": guide.python_path} if own_code else {}),
        **(more or {}),
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HEARTH_", "STREAMLIT_", "PYTHON"))}
    environment = {**inherited, **settings}
    register = [sys.executable, str(ROOT / "tests/support/register_versions.py"), dataset]
    ended = subprocess.run(register, cwd=guide.root, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    commands = (
        ["hearth_api", "--port", str(api)],
        ["grpc_service.server"],
        ["hearth.streaming.worker"],
        ["streamlit_app", "--server.address", "127.0.0.1", "--server.port", str(page)],
    )
    started: list[subprocess.Popen[bytes]] = []
    logs = [guide.root.parent / f"{number}.log" for number in range(len(commands))]
    try:
        for command, log in zip(commands, logs, strict=True):
            with log.open("wb") as output:
                python = [sys.executable, "-P", "-m", *command]
                started.append(subprocess.Popen(python, cwd=guide.root, env=environment, stdout=output, stderr=output))

        def ready() -> bool:
            assert all(process.poll() is None for process in started), "a service ended instead of starting"
            return (
                health.http_ok(f"http://127.0.0.1:{api}/{dataset}/model-info")
                and health.grpc_serves(grpc)
                and health.http_ok(f"http://127.0.0.1:{page}/_stcore/health")
            )

        wait_until(ready)
        yield Stack(api, grpc, page, settings)
    except BaseException:
        for log in logs:
            print(log.read_text("utf-8", errors="replace") if log.exists() else "")  # noqa: T201 - pytest shows it when a test fails
        raise
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        for process in started:
            process.wait(LIMIT_SECONDS)
