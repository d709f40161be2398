"""Prometheus and promtool for tests, as `make monitoring` finds them; where they cannot be had, a test is skipped and says why."""

import fcntl
import os
from functools import cache
from pathlib import Path

import pytest

from deploy.embedded.launcher import SettingError
from deploy.embedded.prometheus import find_program

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
