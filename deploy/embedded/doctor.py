"""Examine this machine and the stack of this checkout for `hearth doctor`: `python -m deploy.embedded.doctor [--index]` prints JSON."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from deploy.embedded import ports
from deploy.embedded.environment import ROOT, load_environment
from deploy.embedded.launcher import SettingError
from deploy.embedded.services import SERVICES
from deploy.embedded.supervision import Supervisor, environment_of_running_stack
from deploy.secrets_check import refusals
from utils import check_machine

Finding = dict[str, str]

_GIGABYTE = 1e9
_LEAST_DISK, _ENOUGH_DISK = 1 * _GIGABYTE, 5 * _GIGABYTE
_STACK_MEMORY = 1.9 * _GIGABYTE  # of all services, as README says; trainings come on top
_OLDEST_DOCKER, _OLDEST_COMPOSE = (25, 0), (2, 24)
_CERTIFICATE_SETTINGS = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
_COMMAND_SECONDS = 30
_SETTLED_SECONDS = 10


def finding(level: str, subject: str, text: str, remedy: str = "") -> Finding:
    """Return a finding in the form that `hearth doctor` reads."""
    return {"level": level, "subject": subject, "text": text, "remedy": remedy}


def examine_machine(root: Path) -> Iterator[Finding]:
    """Look at Python, libraries, disk and memory."""
    version = ".".join(map(str, sys.version_info[:3]))
    if check_machine.is_supported(sys.version_info[:2]):
        yield finding("ok", "python", f"{version}, {sys.executable}")
    else:
        yield finding("fail", "python", f"{version} is not supported", "make PYTHON=python3.12 setup")
    lacks = check_machine.find_lacks()
    for lack in lacks:
        yield finding("fail", "libraries", f"missing: {lack.what}", lack.remedy)
    if not lacks:
        yield finding("ok", "libraries", "the OpenMP runtime, git and Python's venv module are installed")
    free = shutil.disk_usage(root).free
    level = "fail" if free < _LEAST_DISK else "warn" if free < _ENOUGH_DISK else "ok"
    yield finding(level, "disk", f"{free / _GIGABYTE:.1f} GB free at {root}", "" if level == "ok" else "free 5 GB")


def examine_memory(*, is_running: bool) -> Finding:
    """Compare the free memory with what the stack takes."""
    available = psutil.virtual_memory().available
    text = f"{available / _GIGABYTE:.1f} GB available"
    if is_running or available > _STACK_MEMORY:
        return finding("ok", "memory", text)
    return finding("warn", "memory", text, f"the stack takes {_STACK_MEMORY / _GIGABYTE:.1f} GB: close other programs")


def examine_docker() -> Iterator[Finding]:
    """Look at Docker and Compose, which only the Compose stack needs."""
    if shutil.which("docker") is None:
        yield finding("ok", "docker", "is not installed; only the Compose stack needs it")
        return
    for name, oldest, command in (
        ("docker", _OLDEST_DOCKER, ["docker", "version", "--format", "{{.Server.Version}}"]),
        ("compose", _OLDEST_COMPOSE, ["docker", "compose", "version", "--short"]),
    ):
        code, output = _run(command)
        numbers = tuple(int(part) for part in output.removeprefix("v").split(".")[:2] if part.isdecimal())
        if code != 0 or not numbers:
            yield finding("warn", name, f"does not answer: {output or 'no output'}", "start Docker; only the Compose stack needs it")
        elif numbers < oldest:
            yield finding(
                "warn", name, f"{output} is older than {'.'.join(map(str, oldest))}", "update it; only the Compose stack needs it"
            )
        else:
            yield finding("ok", name, output)


def examine_certificates(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check that every file of certificates that a variable names can be read."""
    for name in _CERTIFICATE_SETTINGS:
        path = environment.get(name)
        if path and not os.access(path, os.R_OK):
            yield finding("fail", "certificates", f"{name}={path} cannot be read", f"correct or unset {name}")
        elif path:
            yield finding("ok", "certificates", f"{name}={path}")


def examine_index(root: Path) -> Finding:
    """Ask the package index that pip is configured for."""
    code, output = _run([str(root / ".venvs/uv/bin/python"), "-m", "pip", "index", "versions", "pip", "--disable-pip-version-check"])
    if code == 0:
        return finding("ok", "index", "the package index answers")
    return finding(
        "fail", "index", f"the package index does not answer: {output}", "check network, proxy, SSL_CERT_FILE and pip's settings"
    )


def examine_settings(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check the settings against each other."""
    refused = [finding("fail", "settings", problem) for problem in refusals(environment)]
    yield from refused
    if not refused:
        yield finding("ok", "settings", f"HEARTH_ENVIRONMENT is {environment['HEARTH_ENVIRONMENT']!r}")
    try:
        ports.refuse_shared(environment)
    except SettingError as error:
        yield finding("fail", "ports", str(error), "change a setting in .env.local")


def examine_services(supervisor: Supervisor, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Ask every service that runs, and look who has the ports of the others."""
    programs = supervisor.programs()
    alive = [service for service in SERVICES if service.name in programs and programs[service.name].is_alive]
    expected = len([service for service in SERVICES if service in alive or not service.is_optional])
    restarted = [service.name for service in alive if time.time() - programs[service.name].since < _SETTLED_SECONDS]
    unhealthy = [service.name for service in alive if service.name not in restarted and not service.is_healthy(environment)]
    if not programs:
        yield finding("ok", "stack", "is not running", "hearth up")
    elif not unhealthy + restarted:
        yield finding("ok", "stack", f"{len(alive)} of {expected} services run, and all of them are healthy")
    for name in restarted:
        yield finding(
            "warn", "stack", f"{name} started less than {_SETTLED_SECONDS} s ago", f"ask again; if it keeps starting: hearth logs {name}"
        )
    for name in unhealthy:
        yield finding("fail", "stack", f"{name} runs, but does not answer as it should", f"hearth logs {name}")
    for program in programs.values():
        if program.state in {"FATAL", "BACKOFF"}:
            yield finding("fail", "stack", f"{program.name} ended and does not start again", f"hearth logs {program.name}")
    idle = [service.name for service in SERVICES if service not in alive]
    conflicts = ports.describe_taken(idle, environment)
    for line in conflicts:
        yield finding("fail", "ports", line, "in .env.local, or stop that process")
    if idle and not conflicts:
        yield finding("ok", "ports", "all ports of the services that do not run are free")


def examine(root: Path, *, index: bool) -> Mapping[str, object]:
    """Return all findings, the address of the API, and whether the stack runs.

    Raises:
        SettingError: the settings cannot be read.
    """
    environment = environment_of_running_stack(root, load_environment(root, os.environ))
    supervisor = Supervisor(root, environment)
    findings = [
        *examine_machine(root),
        examine_memory(is_running=supervisor.is_running()),
        *examine_docker(),
        *examine_certificates(environment),
        *([examine_index(root)] if index else []),
        *examine_settings(environment),
        *examine_services(supervisor, environment),
    ]
    return {"findings": findings, "api_url": environment["HEARTH_API_URL"], "is_running": supervisor.is_running()}


def _run(command: list[str]) -> tuple[int, str]:
    """Return the exit code of a command and the last line of its output."""
    try:
        process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    lines = (process.stdout if process.returncode == 0 else process.stderr).strip().splitlines()
    return process.returncode, lines[-1] if lines else ""


def main() -> int:
    """Print the report; 0 also where something is wrong, which the report says."""
    report: Mapping[str, object]
    try:
        report = examine(ROOT, index="--index" in sys.argv[1:])
    except SettingError as error:
        report = {"findings": [finding("fail", "settings", str(error), "correct .env.local")], "api_url": "", "is_running": False}
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
