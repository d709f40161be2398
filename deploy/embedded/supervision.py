"""The supervisord of one stack."""

import contextlib
import http.client
import json
import socket
import subprocess
import time
import xmlrpc.client
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from deploy.embedded.environment import load_environment
from deploy.embedded.launcher import SettingError, make_socket_dir, remove_sockets, socket_dir
from deploy.embedded.processes import MARK, Identity, end, find_leftovers
from deploy.embedded.rotated import include_pattern, sections
from deploy.files import replace_file

_START_SECONDS = 20.0
_SERVER_SECONDS = 15.0
_TASK_SECONDS = 2.0
# Not set by users and not for other programs; and where a program is found, which a service that starts later finds again
_PRIVATE = (MARK, "HEARTH_SUPERVISOR_SOCKET", "HEARTH_SUPERVISOR_INCLUDE", "HEARTH_PROMETHEUS_BIN")
_BAD_NAME, _ALREADY_STARTED, _NOT_RUNNING, _ALREADY_ADDED = 10, 60, 70, 90  # fault codes of supervisord's XML-RPC
_ALIVE = ("STARTING", "RUNNING")
_NO_WAIT = False  # an argument of startProcess and stopProcess


class CannotStartError(Exception):
    """supervisord refuses to start a program."""


@dataclass(frozen=True)
class Program:
    """The state of a service in supervisord; `since` is in seconds of the epoch."""

    name: str
    state: str
    pid: int
    since: int

    @property
    def is_alive(self) -> bool:
        """Whether its process exists."""
        return self.state in _ALIVE

    @property
    def is_wanted(self) -> bool:
        """Whether it was started and nobody has stopped it: its process exists, or supervisord is about to start it once more."""
        return self.state in {*_ALIVE, "BACKOFF"}


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("127.0.0.1")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


class _SocketTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ANN401 - what xmlrpc.client calls a host
        connection = _SocketConnection(self._path)
        self._connection = host, connection  # `close` looks there
        return connection


class Supervisor:
    """The supervisord of the stack whose state is in one folder."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self._root = root
        self._state = Path(environment["HEARTH_STATE_DIR"])
        self._identity_file = self._state / "supervisord.json"
        self._socket = socket_dir(self._state) / "supervisor.sock"
        self._rotated_file = self._state / "rotated.conf"
        own = {"HEARTH_SUPERVISOR_SOCKET": str(self._socket), "HEARTH_SUPERVISOR_INCLUDE": include_pattern(self._rotated_file)}
        self._environment = {**environment, **own, MARK: str(self._state)}

    def is_running(self) -> bool:
        """Tell whether the supervisord of the last start still runs."""
        identity = self._identity()
        return identity is not None and identity.is_alive()

    def running_settings(self) -> dict[str, str]:
        """Return the settings that the running stack was started with; none if it does not run."""
        return dict(self._stored()["settings"]) if self.is_running() else {}

    def changed_settings(self) -> list[str]:
        """Return the names of settings that have changed since the start; services that start later would get the old values."""
        then, now = self.running_settings(), _own_settings(self._environment)
        return sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name)) if then else []

    def start(self) -> None:
        """Start supervisord, without services; one that already runs stays.

        Raises:
            SettingError: it does not start; the message has its output.
        """
        if self.is_running():
            return
        (self._state / "logs").mkdir(parents=True, exist_ok=True)
        make_socket_dir(self._state)
        self._rotated_file.unlink(missing_ok=True)
        output_file = self._state / "logs" / "supervisord.out"
        command = [".venvs/embedded/bin/python", "-m", "supervisor.supervisord", "-c", "supervisord.conf"]
        with output_file.open("wb") as output:
            # A session of its own: the terminal's signals do not reach it, and its children can be found by it
            process = subprocess.Popen(
                command,
                cwd=self._root,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._store({**asdict(Identity.of(process.pid)), "settings": _own_settings(self._environment)})
        deadline = time.monotonic() + _START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError, xmlrpc.client.Error):
                self._call("getState")
                return
            time.sleep(0.05)
        process.kill()
        raise SettingError(f"supervisord did not start: {output_file.read_text(encoding='utf-8', errors='replace').strip()}")

    def adopt(self, environment: Mapping[str, str], changed: Mapping[str, str]) -> None:
        """Give services that start from now on these changed variables; `environment` is the new one of the whole stack.

        A service that runs keeps the variables that it has until `restart_program`. The call may be made again, also with nothing changed:
        it tells supervisord what an earlier one has noted.
        """
        stored = self._stored()
        rotated = {**stored.get("rotated", {}), **changed}
        self._rotated_file.unlink(missing_ok=True)
        self._rotated_file.touch(mode=0o600)
        self._rotated_file.write_text(sections(self._root / "supervisord.conf", rotated), encoding="utf-8")
        self._store({**stored, "rotated": rotated, "settings": _own_settings(environment)})
        [[lost, _, _]] = self._call("reloadConfig")  # lost: what an earlier call has removed, and was killed before it was there again
        idle = [program.name for program in self.programs().values() if program.state in {"STOPPED", "EXITED", "FATAL"}]
        for name in (*lost, *idle):
            self._replace_program(name)

    def restart_program(self, name: str) -> None:
        """Stop a service and start it with the variables that `adopt` was given last; it is not waited for its health.

        One that is stopped already, or that supervisord does not have because an earlier call was killed, is started all the same.
        """
        self.stop_programs([name])
        self._replace_program(name)
        self.start_program(name)

    def _replace_program(self, name: str) -> None:
        self._tolerate(_BAD_NAME, "removeProcessGroup", name)
        self._tolerate(_ALREADY_ADDED, "addProcessGroup", name)

    def programs(self) -> dict[str, Program]:
        """Return every service; none if supervisord does not run."""
        if not self.is_running():
            return {}
        return {
            info["name"]: Program(info["name"], info["statename"], info["pid"], info["start"]) for info in self._call("getAllProcessInfo")
        }

    def start_program(self, name: str) -> None:
        """Start a service without waiting for it; a running one stays.

        Raises:
            CannotStartError: supervisord has no such program, or its file is not there.
        """
        try:
            self._tolerate(_ALREADY_STARTED, "startProcess", name, _NO_WAIT)
        except xmlrpc.client.Fault as fault:
            raise CannotStartError(f"supervisord cannot start it: {fault.faultString}. Is everything installed (`make setup`)?") from fault

    def stop_programs(self, names: Iterable[str]) -> None:
        """Stop services at the same time and wait for them; supervisord kills those that do not stop in their time."""
        services = set(names)
        while running := [p for p in self.programs().values() if p.name in services and p.state in {*_ALIVE, "BACKOFF", "STOPPING"}]:
            for program in running:
                if program.state != "STOPPING":
                    self._tolerate(_NOT_RUNNING, "stopProcess", program.name, _NO_WAIT)
            time.sleep(0.1)

    def shut_down(self) -> None:
        """Stop supervisord itself, kill processes that services have left, and remove the files of the supervisord."""
        identity = self._identity()
        is_orderly = identity is not None and identity.is_alive()
        if identity is not None and is_orderly:
            with contextlib.suppress(OSError, xmlrpc.client.Error):
                self._call("shutdown")
            identity.wait(_SERVER_SECONDS)
        # After a crash whole servers may be left, which need time; else only processes of a killed task
        end(self.leftovers(), _TASK_SECONDS if is_orderly else _SERVER_SECONDS)
        self._identity_file.unlink(missing_ok=True)
        self._rotated_file.unlink(missing_ok=True)
        (self._state / "supervisord.pid").unlink(missing_ok=True)
        remove_sockets(self._state)

    def leftovers(self) -> list[psutil.Process]:
        """Return the running processes of this stack, also those that supervisord does not know."""
        return find_leftovers(self._root, self._state, self._identity())

    def _store(self, stored: Mapping[str, Any]) -> None:
        replace_file(self._identity_file, json.dumps(stored))  # there are passwords among the settings

    def _stored(self) -> dict[str, Any]:
        try:
            stored: dict[str, Any] = json.loads(self._identity_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # never started here, or interrupted while writing
            return {}
        return stored

    def _identity(self) -> Identity | None:
        stored = self._stored()
        return Identity(stored["pid"], stored["started"]) if stored else None

    def _call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401 - XML-RPC
        # The host is a formality: the transport goes to the socket
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=_SocketTransport(self._socket)) as server:
            return getattr(server.supervisor, method)(*arguments)

    def _tolerate(self, fault: int, method: str, *arguments: object) -> None:
        try:
            self._call(method, *arguments)
        except xmlrpc.client.Fault as error:
            if error.faultCode != fault:
                raise


def environment_of_running_stack(root: Path, environment: dict[str, str]) -> dict[str, str]:
    """Return the environment with the settings of the running stack, if one runs: HEARTH_API_PORT=9800 hearth up; hearth status."""
    running = Supervisor(root, environment).running_settings()
    return load_environment(root, {**environment, **running}) if running else environment


def _own_settings(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith("HEARTH_") and name not in _PRIVATE}
