"""`hearth doctor` on machines and stacks that have something wrong."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded import ports
from deploy.embedded.temporary_servers import ROOT, free_ports

Findings = list[dict[str, Any]]


def settings() -> dict[str, str]:
    """Ports of its own for every service, and a state folder without a stack."""
    names = list(dict.fromkeys(port.setting for port in ports.PORTS))
    return dict(zip(names, map(str, free_ports(len(names), with_grpc=True)), strict=True))


def doctor(state: Path, **changes: str) -> tuple[int, Findings]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}
    environment |= {"HEARTH_STATE_DIR": str(state), **changes}
    command = [sys.executable, "-P", "-m", "hearth", "doctor", "--json"]
    process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=200)
    assert process.stderr == ""
    findings: Findings = json.loads(process.stdout)
    return process.returncode, findings


def failures(findings: Findings) -> list[str]:
    return [f"{finding['subject']}: {finding['text']} -> {finding['remedy']}" for finding in findings if finding["level"] == "fail"]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server


def test_a_machine_with_free_ports_has_no_failure(tmp_path: Path) -> None:
    code, findings = doctor(tmp_path, **settings())

    assert (code, failures(findings)) == (0, [])
    assert {"environment", "python", "libraries", "disk", "memory", "docker", "settings", "stack", "ports"} <= {
        finding["subject"] for finding in findings
    }
    assert all(finding["level"] in {"ok", "warn"} for finding in findings)


def test_a_taken_port_is_named_with_its_process_and_the_setting_to_change(tmp_path: Path, listener: socket.socket) -> None:
    number = listener.getsockname()[1]

    code, findings = doctor(tmp_path, **{**settings(), "HEARTH_API_PORT": str(number)})

    [failure] = failures(findings)
    assert code == 1
    for part in (f"port {number}", "fastapi", "HEARTH_API_PORT", f"pid {os.getpid()}"):
        assert part in failure


def test_laptop_passwords_in_production_unreadable_certificates_and_shared_ports_are_failures(tmp_path: Path) -> None:
    own = settings()
    changes = {"HEARTH_ENVIRONMENT": "production", "SSL_CERT_FILE": str(tmp_path / "none.pem"), "HEARTH_PAGE_PORT": own["HEARTH_API_PORT"]}

    code, findings = doctor(tmp_path, **{**own, **changes})

    found = "\n".join(failures(findings))
    assert code == 1
    for part in ("still hold a laptop value: HEARTH_AIRFLOW", "SSL_CERT_FILE=", "cannot be read", "Two settings name port"):
        assert part in found


def test_settings_that_cannot_be_read_are_one_failure(tmp_path: Path) -> None:
    code, findings = doctor(tmp_path, **{**settings(), "HEARTH_API_PORT": "many"})

    assert code == 1
    assert any("HEARTH_API_PORT=many cannot be a port of fastapi" in failure for failure in failures(findings))
