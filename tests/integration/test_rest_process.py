"""The service as the stack starts it: a process of its own."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx

from deploy.embedded.temporary_servers import free_port
from tests.support.samples import ROOT
from tests.support.waiting import LIMIT_SECONDS, wait_until


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_it_starts_with_all_servers_away_says_what_is_missing_and_stops_at_sigterm(tmp_path: Path) -> None:
    port, away = free_port(), "127.0.0.1:9"
    environment = {
        **os.environ,
        "HEARTH_DATA_DIR": str(ROOT / "data"),
        "HEARTH_MLFLOW_TRACKING_URI": f"http://{away}",
        "HEARTH_REDIS_URL": f"redis://{away}/0",
        "HEARTH_PREDICTIONS_URL": f"postgresql://nobody:nothing@{away}/predictions",
    }
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "hearth_api", "--port", str(port)], cwd=ROOT, env=environment, stderr=output)
    try:
        wait_until(lambda: listens(port) or process.poll() is not None, problem=log.read_text)
        assert process.poll() is None, log.read_text()
        ready = httpx.get(f"http://127.0.0.1:{port}/ready", timeout=LIMIT_SECONDS)
        assert ready.status_code == 503
        assert "mlflow" in ready.json()["detail"]

        process.send_signal(signal.SIGTERM)

        assert process.wait(LIMIT_SECONDS) in {0, -signal.SIGTERM}
        assert "fastapi" in log.read_text()  # lines of our logging carry the name of the process
    finally:
        process.kill()
        process.wait()


def test_nothing_heavy_is_imported_before_the_collector_is_told_to_leave_it_alone() -> None:
    asked = "import sys, hearth_api.process; print(*sorted({'pandas', 'sklearn', 'mlflow', 'strawberry'} & sys.modules.keys()))"

    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == ""
