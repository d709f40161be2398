"""The ports of the stack, and the processes that hold them."""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psutil

from deploy.embedded.launcher import GRPC_OFFSET, HIGHEST_PORT, SettingError
from deploy.embedded.objectstore import COMPONENTS


@dataclass(frozen=True)
class Port:
    """A port that a service opens: the number of its setting plus `offset`."""

    service: str
    setting: str
    offset: int = 0

    def number(self, environment: Mapping[str, str]) -> int:
        """Return the number of the port in this environment.

        Raises:
            SettingError: the setting is not a port.
        """
        value = environment.get(self.setting, "")
        highest = HIGHEST_PORT - self.offset
        if not value.isdecimal() or not 1 <= int(value) <= highest:
            note = f", because {self.service} listens on {self.offset} above it too" if self.offset else ""
            raise SettingError(f"{self.setting}={value} cannot be a port of {self.service}: give a number from 1 to {highest}{note}.")
        return int(value) + self.offset

    @property
    def name(self) -> str:
        """The name in messages: the setting, and what is added to it."""
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
    Port("exporter", "HEARTH_EXPORTER_PORT"),
    Port("prometheus", "HEARTH_PROMETHEUS_PORT"),
)


def main_port(service: str) -> Port | None:
    """Return the port of a service that its users call, if it has one."""
    return next((port for port in PORTS if port.service == service), None)


def refuse_shared(environment: Mapping[str, str]) -> None:
    """Check that no two settings name the same port.

    Raises:
        SettingError: two settings name the same port, or one is not a port.
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
    """Return a line for each port of these services that another process holds: port, service, process, and the setting to change."""
    own = [port for service in services for port in PORTS if port.service == service]
    conflicts = [port for port in own if _is_taken(port.number(environment))]
    holders = _listeners() if conflicts else {}
    return [
        f"port {number}, which {port.service} needs ({port.name}), is held by {holders.get(number, 'a process of another user')}"
        f" - change {port.setting}"
        for port in conflicts
        for number in [port.number(environment)]
    ]


def _is_taken(number: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", number), timeout=1):
            return True  # on macOS two sockets can bind the same port: only a connection tells
    except OSError:
        pass
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT, after a stack has stopped, is free
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return True
    return False


def _listeners() -> dict[int, str]:
    """Return the listening process of each port, as far as this user may see it."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS shows it to root alone
        return {}
    listeners = {}
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.pid:
            listeners[connection.laddr.port] = f"pid {connection.pid} ({_command(connection.pid)})"
    return listeners


def _command(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())[:80]
    except psutil.Error:
        return "gone"
