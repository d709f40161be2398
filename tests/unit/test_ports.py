"""Ports are checked before anything starts, and whoever reads the message knows what to change."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded import ports
from deploy.embedded.environment import ROOT, load_environment
from deploy.embedded.launcher import SettingError
from deploy.embedded.temporary_servers import free_ports


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The settings of a stack whose ports are all free."""
    (tmp_path / ".env").write_text((ROOT / ".env").read_text(encoding="utf-8"), encoding="utf-8")
    names = list(dict.fromkeys(port.setting for port in ports.PORTS))
    numbers = free_ports(len(names), with_grpc=True)
    return load_environment(tmp_path, {name: str(number) for name, number in zip(names, numbers, strict=True)})


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server


def test_free_ports_are_not_complained_about(environment: dict[str, str]) -> None:
    ports.refuse_shared(environment)

    assert ports.describe_taken([port.service for port in ports.PORTS], environment) == []


def test_a_taken_port_is_named_with_service_holder_and_setting(environment: dict[str, str], listener: socket.socket) -> None:
    number = listener.getsockname()[1]

    [line] = ports.describe_taken(["valkey"], {**environment, "HEARTH_REDIS_PORT": str(number)})

    for part in (str(number), "valkey", "HEARTH_REDIS_PORT", str(os.getpid())):
        assert part in line


def test_a_derived_port_is_looked_at_too_and_leads_to_its_setting(environment: dict[str, str]) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", int(environment["HEARTH_S3_PORT"]) + 10_000))
        server.listen()

        [line] = ports.describe_taken(["minio"], environment)

    assert "HEARTH_S3_PORT + 10000" in line


def test_a_listener_on_all_addresses_takes_the_port_too(environment: dict[str, str]) -> None:
    with socket.socket() as server:
        server.bind(("0.0.0.0", int(environment["HEARTH_API_PORT"])))  # noqa: S104 - what a careless program does
        server.listen()

        assert ports.describe_taken(["fastapi"], environment)


def test_ports_of_services_that_do_not_start_are_left_alone(environment: dict[str, str], listener: socket.socket) -> None:
    number = listener.getsockname()[1]

    assert ports.describe_taken(["postgres"], {**environment, "HEARTH_REDIS_PORT": str(number)}) == []


def test_two_settings_with_one_port_are_refused(environment: dict[str, str]) -> None:
    with pytest.raises(SettingError, match=r"HEARTH_MLFLOW_PORT \(mlflow\) and HEARTH_API_PORT \(fastapi\)"):
        ports.refuse_shared({**environment, "HEARTH_API_PORT": environment["HEARTH_MLFLOW_PORT"]})


def test_a_setting_that_meets_a_derived_port_is_refused(environment: dict[str, str]) -> None:
    derived = str(int(environment["HEARTH_S3_FILER_PORT"]) + 10_000)

    with pytest.raises(SettingError, match=r"HEARTH_S3_FILER_PORT \+ 10000"):
        ports.refuse_shared({**environment, "HEARTH_API_PORT": derived})


@pytest.mark.parametrize("value", ["", "0", "65536", "-1", "http", "80.0"])
def test_what_is_no_port_is_refused_by_name(environment: dict[str, str], value: str) -> None:
    with pytest.raises(SettingError, match=f"HEARTH_API_PORT={value} cannot be a port of fastapi"):
        ports.refuse_shared({**environment, "HEARTH_API_PORT": value})


def test_a_port_must_leave_room_for_the_one_derived_from_it(environment: dict[str, str]) -> None:
    with pytest.raises(SettingError, match=r"HEARTH_S3_PORT=60000 .* from 1 to 55535"):
        ports.refuse_shared({**environment, "HEARTH_S3_PORT": "60000"})
