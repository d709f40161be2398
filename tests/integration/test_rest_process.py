"""The service as the stack starts it: a process of its own."""

import contextlib
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


def test_an_upload_that_drips_in_does_not_keep_it_from_its_end(tmp_path: Path) -> None:
    """A supervisor kills it otherwise, with the predictions that wait to be stored. The upload itself has ten minutes."""
    port, away = free_port(), "127.0.0.1:9"
    environment = {
        **os.environ,
        "HEARTH_DATA_DIR": str(ROOT / "data"),
        "HEARTH_MLFLOW_TRACKING_URI": f"http://{away}",
        "HEARTH_REDIS_URL": f"redis://{away}/0",
        "HEARTH_PREDICTIONS_URL": f"postgresql://nobody:nothing@{away}/predictions",
        "HEARTH_API_BODY_SECONDS": "600",
        "HEARTH_API_GRACE_SECONDS": "1",
    }
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "hearth_api", "--port", str(port)], cwd=ROOT, env=environment, stderr=output)
    try:
        wait_until(lambda: listens(port) or process.poll() is not None, problem=log.read_text)
        with socket.create_connection(("127.0.0.1", port)) as upload:
            upload.sendall(b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{")
            httpx.get(f"http://127.0.0.1:{port}/health", timeout=LIMIT_SECONDS)  # by then the request is being read

            process.send_signal(signal.SIGTERM)

            assert process.wait(LIMIT_SECONDS) in {0, -signal.SIGTERM}, log.read_text()
        assert "Application shutdown complete" in log.read_text()
    finally:
        process.kill()
        process.wait()


def test_nothing_heavy_is_imported_before_the_collector_is_told_to_leave_it_alone() -> None:
    asked = "import sys, hearth_api.process; print(*sorted({'pandas', 'sklearn', 'mlflow', 'strawberry'} & sys.modules.keys()))"

    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == ""


def is_refused(port: int, header_bytes: int) -> bool:
    """Whether a request with a header of some bytes is refused, or the connection closed before it has arrived."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/health", headers={"x-long": "x" * header_bytes}, timeout=LIMIT_SECONDS)
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        return True
    return answer.status_code == 431


def test_it_starts_again_when_a_file_changes_and_keeps_its_limits(tmp_path: Path) -> None:
    """As docker-compose.dev.yaml starts it."""
    port, watched, log = free_port(), tmp_path / "code", tmp_path / "log"
    watched.mkdir()
    away = "127.0.0.1:9"
    environment = {
        **os.environ,
        "HEARTH_DATA_DIR": str(ROOT / "data"),
        "HEARTH_MLFLOW_TRACKING_URI": f"http://{away}",
        "HEARTH_REDIS_URL": f"redis://{away}/0",
        "HEARTH_PREDICTIONS_URL": f"postgresql://nobody:nothing@{away}/predictions",
    }
    command = [sys.executable, "-m", "hearth_api", "--port", str(port), "--reload", str(watched)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=output, stdout=output, start_new_session=True)
    try:
        wait_until(lambda: log.read_text().count("startup complete") == 1 or process.poll() is not None, problem=log.read_text)
        assert is_refused(port, header_bytes=3_000_000)
        (watched / "new.py").write_text("x = 1\n", "utf-8")
        wait_until(lambda: log.read_text().count("startup complete") == 2 or process.poll() is not None, problem=log.read_text)
        assert httpx.get(f"http://127.0.0.1:{port}/ready", timeout=LIMIT_SECONDS).status_code == 503
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(LIMIT_SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
