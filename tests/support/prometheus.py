"""Prometheus and promtool for tests, as `make monitoring` finds them; where they cannot be had, a test is skipped and says why."""

import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.embedded import health
from deploy.embedded.launcher import SettingError
from deploy.embedded.prometheus import find_program
from tests.support.waiting import LIMIT_SECONDS, wait_until

ROOT = Path(__file__).parents[2]


@cache
def _program() -> tuple[Path | None, str]:
    folder = ROOT / ".hearth/prometheus"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:  # several processes of the tests would unpack it
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return find_program(folder, os.environ), ""
        except SettingError as error:
            return None, str(error)


def prometheus() -> Path:
    """Return Prometheus' program; without it the test is skipped."""
    program, reason = _program()
    if program is None:
        pytest.skip(f"Prometheus cannot be had here: {reason}")
    return program


def promtool() -> Path:
    """Return the program that checks rules; without it the test is skipped."""
    program = prometheus().with_name("promtool")
    if not program.exists():
        pytest.skip(f"There is no promtool beside {program.parent}/prometheus.")
    return program


@contextmanager
def running_prometheus(config: Mapping[str, Any], port: int, folder: Path) -> Iterator[httpx.Client]:
    """Yield a client of a Prometheus with this configuration, that scrapes and evaluates every second."""
    quick = {**config, "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}}
    (folder / "prometheus.yml").write_text(json.dumps(quick), "utf-8")
    options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([prometheus(), *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_until(lambda: process.poll() is not None or health.http_ok(f"http://127.0.0.1:{port}/-/ready"))
        assert process.poll() is None, (folder / "prometheus.log").read_text("utf-8")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(LIMIT_SECONDS)
