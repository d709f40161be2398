"""Which ports the stack opens, and who has them already."""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psutil

from deploy.embedded.launcher import GRPC_OFFSET, HIGHEST_PORT, SettingError
from deploy.embedded.objectstore import COMPONENTS


@dataclass(frozen=True)
class Port:
    """A port that a service opens; `offset` is what lies between it and its setting."""

    service: str
    setting: str
    offset: int = 0

    def number(self, environment: Mapping[str, str]) -> int:
        """Return the number in this environment.

        Raises:
            SettingError: the setting is no port.
        """
        value = environment.get(self.setting, "")
        highest = HIGHEST_PORT - self.offset
        if not value.isdecimal() or not 1 <= int(value) <= highest:
            note = f", because {self.service} listens on {self.offset} above it too" if self.offset else ""
            raise SettingError(f"{self.setting}={value} cannot be a port of {self.service}: give a number from 1 to {highest}{note}.")
        return int(value) + self.offset

    @property
    def name(self) -> str:
        """What a user reads: the setting, and how the port is derived from it."""
        return f"{self.setting} + {self.offset}" if self.offset else self.setting


PORTS = (
    Port("postgres", "HEARTH_POSTGRES_PORT"),
    Port("valkey", "HEARTH_REDIS_PORT"),
    *(Port("minio", setting, offset) for setting in COMPONENTS.values() for offset in (0, GRPC_OFFSET)),
    Port("mlflow", "HEARTH_MLFLOW_PORT"),
    Port("airflow-apiserver", "HEARTH_AIRFLOW_PORT"),
    Port("fastapi", "HEARTH_API_PORT"),
    Port("grpc", "HEARTH_GRPC_PORT"),
    Port("streamlit", "HEARTH_PAGE_PORT"),
    Port("batch-api", "HEARTH_BATCH_API_PORT"),
    Port("grpc", "HEARTH_GRPC_METRICS_PORT"),
    Port("stream_worker", "HEARTH_WORKER_METRICS_PORT"),
)


def main_port(service: str) -> Port | None:
    """Return the port that users of a service know, if it has one."""
    return next((port for port in PORTS if port.service == service), None)


def refuse_shared(environment: Mapping[str, str]) -> None:
    """Check all settings against each other.

    Raises:
        SettingError: two of them name the same port, or one is no port.
    """
    owners: dict[int, Port] = {}
    for port in PORTS:
        number = port.number(environment)
        other = owners.setdefault(number, port)
        if other is not port:
            raise SettingError(
                f"Two settings name port {number}: {other.name} ({other.service}) and {port.name} ({port.service}). Change one of them."
            )


def describe_taken(services: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """Return a line for each port that these services want and another process has: port, service, holder, and what to change."""
    wanted = [port for service in services for port in PORTS if port.service == service]
    taken = [port for port in wanted if _is_taken(port.number(environment))]
    holders = _listeners() if taken else {}
    return [
        f"port {number}, which {port.service} wants ({port.name}), is held by {holders.get(number, 'a process of another user')}"
        f" - change {port.setting}"
        for port in taken
        for number in [port.number(environment)]
    ]


def _is_taken(number: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", number), timeout=1):
            return True  # macOS lets two sockets bind where Linux does not: asking is the only sure way there
    except OSError:
        pass
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what a stack that just stopped has left in TIME_WAIT is free
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return True
    return False


def _listeners() -> dict[int, str]:
    """Say which process listens on which port, as far as this user may know."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS tells only root
        return {}
    found = {}
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.pid:
            found[connection.laddr.port] = f"pid {connection.pid} ({_command(connection.pid)})"
    return found


def _command(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())[:80]
    except psutil.Error:
        return "gone"
