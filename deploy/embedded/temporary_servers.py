"""Real servers for tests and benchmarks: on free ports, in a temporary folder, started by the launchers of the embedded stack.

Only the standard library is used, so programs of every environment can start them; the binaries come from `.venvs/embedded`.
"""

import contextlib
import functools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from deploy.embedded import health, objectstore
from deploy.embedded.launcher import GRPC_OFFSET

ROOT = Path(__file__).parents[2]
EMBEDDED_PYTHON = ROOT / ".venvs/embedded/bin/python"
MLFLOW_PYTHON = ROOT / ".venvs/mlflow/bin/python"
# Between the defaults of Hearth's settings. With 10000 added they are still below the ports that Linux gives to outgoing connections
# (from 32768), one of which can be taken before the server listens on it.
_FREE_PORTS = range(16_400, 22_400)
_RETURNED_PORTS: set[int] = set()
_START_ATTEMPTS = 3  # a free port can be taken by another process before the server has it
_STOP_SECONDS = 20.0
_LOG_LINES = 30


class ServerStartError(Exception):
    """A server ended, or did not become healthy in time; the message holds the end of its log."""


@dataclass(frozen=True)
class ObjectStore:
    """How a client reaches the S3 store: by an administrator's key, and those of `.env`, whose secrets are by their ids."""

    endpoint_url: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"
    secrets: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Plan:
    """One try to start a server on ports that are free right now."""

    url: str
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool]


class Server:
    """A running server. It can be stopped by any signal, and started again at its address with its files."""

    def __init__(self, name: str, planned: _Plan, log: Path, seconds: float) -> None:
        self._name, self._planned, self._log, self._seconds = name, planned, log, seconds
        self._process = _start(planned, log)

    @property
    def url(self) -> str:
        return self._planned.url

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def becomes_ready(self) -> bool:
        """Wait until the server answers; False if it ends instead.

        Raises:
            ServerStartError: it does neither in its time.
        """
        if _becomes_ready(self._process, self._planned, time.monotonic() + self._seconds):
            return True
        if self._process.poll() is None:
            raise ServerStartError(
                f"{self._name} was not healthy after {self._seconds:.0f} seconds. The end of its log:\n{_tail(self._log)}"
            )
        return False

    def stop(self, stop_signal: signal.Signals) -> None:
        """Stop it and wait until it has ended."""
        _stop(self._process, stop_signal)

    def start(self) -> None:
        """Start it again, several times if it ends at once: children of a killed server may hold its memory for a moment.

        Raises:
            ServerStartError: it does not become healthy in its time.
        """
        deadline = time.monotonic() + self._seconds
        while time.monotonic() < deadline:
            self._process = _start(self._planned, self._log)
            if self.becomes_ready():
                return
        raise ServerStartError(self.obituary)

    @property
    def log(self) -> str:
        """What it has written to standard output and error."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def obituary(self) -> str:
        return f"{self._name} ended with code {self._process.returncode}. The end of its log:\n{_tail(self._log)}"


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Yield the URL of a fresh PostgreSQL, naming its database `postgres`."""
    with postgres_server() as server:
        yield server.url


@contextlib.contextmanager
def postgres_server(place: Path | None = None) -> Iterator[Server]:
    """Yield a fresh PostgreSQL, whose files are in a new folder of `place`; by default of the system's folder for temporary files."""

    def plan(state: Path) -> _Plan:
        port = free_port()
        environment = {
            "HEARTH_STATE_DIR": str(state),
            "HEARTH_POSTGRES_PORT": str(port),
            "HEARTH_POSTGRES_USER": "hearth",
            "HEARTH_POSTGRES_PASSWORD": secrets.token_hex(8),
        }
        url = f"postgresql://hearth:{environment['HEARTH_POSTGRES_PASSWORD']}@127.0.0.1:{port}/postgres"
        return _Plan(url, _launcher("postgres"), environment, lambda: health.postgres_accepts(port))

    # SIGTERM would wait for clients that a failed test has left connected
    with _running("postgres", plan, seconds=30, stop_signal=signal.SIGINT, place=place) as server:
        yield server


def mariadb_is_installed() -> bool:
    return _mariadb("mariadbd") is not None and _mariadb("mariadb-install-db") is not None


@contextlib.contextmanager
def mariadb() -> Iterator[str]:
    """Yield the URL of a fresh MariaDB of this machine, without a database; its user may make some."""

    def plan(state: Path) -> _Plan:
        port, password = free_port(), secrets.token_hex(8)
        folder = ["--no-defaults", f"--datadir={state}/data", *(["--user=root"] if os.geteuid() == 0 else [])]
        install = [str(_mariadb("mariadb-install-db")), *folder, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
        start = state / "start.sql"  # run before the first client is let in
        start.write_text(
            f"CREATE USER hearth@'127.0.0.1' IDENTIFIED BY '{password}';\nGRANT ALL ON *.* TO hearth@'127.0.0.1' WITH GRANT OPTION;\n",
            encoding="utf-8",
        )
        address = [
            "--bind-address=127.0.0.1",
            f"--port={port}",
            f"--socket={state}/socket",
            f"--pid-file={state}/pid",
            "--skip-name-resolve",
        ]
        fast = ["--innodb-buffer-pool-size=32M", "--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0"]
        command: list[str | Path] = [str(_mariadb("mariadbd")), *folder, *address, *fast, f"--init-file={start}"]
        return _Plan(f"mysql+pymysql://hearth:{password}@127.0.0.1:{port}", command, {}, lambda: health.mysql_greets(port))

    # SIGTERM would write everything to disk, which is not needed again
    with _running("mariadb", plan, seconds=60, stop_signal=signal.SIGKILL) as server:
        yield server.url


def _mariadb(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")  # Debian's folder, which may not be in PATH


@contextlib.contextmanager
def valkey() -> Iterator[str]:
    """Yield the URL of a fresh, empty Valkey."""
    with valkey_server() as server:
        yield server.url


@contextlib.contextmanager
def valkey_server(password: str = "", place: Path | None = None) -> Iterator[Server]:
    """Yield a fresh, empty Valkey; without a password by default. Its files are in a new folder of `place`."""

    def plan(state: Path) -> _Plan:
        port = free_port()
        environment = {"HEARTH_STATE_DIR": str(state), "HEARTH_REDIS_PORT": str(port), "HEARTH_REDIS_PASSWORD": password}
        url = f"redis://:{quote(password, safe='')}@127.0.0.1:{port}/0"
        return _Plan(url, _launcher("valkey"), environment, lambda: health.valkey_answers(port, password))

    with _running("valkey", plan, seconds=15, place=place) as server:
        yield server


@contextlib.contextmanager
def object_store(buckets: Sequence[str] = ("data", "processed", "mlflow")) -> Iterator[ObjectStore]:
    """Yield a fresh SeaweedFS with these three buckets."""
    with object_store_server(buckets) as (_, store):
        yield store


@contextlib.contextmanager
def object_store_server(
    buckets: Sequence[str] = ("data", "processed", "mlflow"), place: Path | None = None
) -> Iterator[tuple[Server, ObjectStore]]:
    """Yield a fresh SeaweedFS with these three buckets, as a server that can be stopped; its files are in a new folder of `place`."""
    keys = {
        "HEARTH_S3": "hearth",
        "HEARTH_MLFLOW_S3": "mlflow",
        "HEARTH_S3_READER": "reader",
        "HEARTH_S3_BACKUP": "backup",
        "HEARTH_S3_ADMIN": "test",
    }
    known = {owner: secrets.token_hex(16) for owner in keys.values()}
    names = dict(zip(("HEARTH_DATA_BUCKET", "HEARTH_PROCESSED_BUCKET", "HEARTH_MLFLOW_BUCKET"), buckets, strict=True))

    opened: dict[str, int] = {}

    def plan(state: Path) -> _Plan:
        components = ("", "FILER_", "MASTER_", "VOLUME_", "ADMIN_")
        ports = dict(zip(components, free_ports(len(components), with_grpc=True), strict=True))
        opened.update(ports)
        environment = {
            "HEARTH_STATE_DIR": str(state),
            "HEARTH_S3_REGION": "us-east-1",
            **{f"{prefix}_ACCESS_KEY": owner for prefix, owner in keys.items()},
            **{f"{prefix}_SECRET_KEY": known[owner] for prefix, owner in keys.items()},
            **{f"HEARTH_S3_{component}PORT": str(port) for component, port in ports.items()},
            **names,
        }
        url = f"http://127.0.0.1:{ports['']}"
        ready = functools.partial(health.object_store_ready, environment)
        return _Plan(url, _launcher("objectstore"), environment, ready)

    # SIGTERM would wait ten seconds for its own connections
    try:
        with _running("objectstore", plan, seconds=30, stop_signal=signal.SIGKILL, place=place) as server:
            yield server, ObjectStore(server.url, "test", known["test"], secrets=known, ports=opened)
    finally:
        for path in objectstore.stale_sockets(opened.values()):
            path.unlink()


@contextlib.contextmanager
def mlflow(backend_uri: str | None = None, seconds: float = 120) -> Iterator[str]:
    """Yield the tracking URI of an MLflow with this backend, or with a fresh SQLite one, and artifacts in a local folder."""
    with mlflow_server(backend_uri, seconds) as server:
        yield server.url


@contextlib.contextmanager
def mlflow_server(
    backend_uri: str | None = None,
    seconds: float = 120,
    password: str = "",
    store: ObjectStore | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Yield an MLflow with this backend, or with a fresh SQLite one, and artifacts in a local folder, or in the bucket `mlflow` of a store.

    With a password it has a login, whose user is `hearth`. `settings` are further variables of its environment.
    """

    def plan(state: Path) -> _Plan:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        backend = backend_uri or f"sqlite:///{state}/mlflow.db"
        destination = "s3://mlflow" if store else str(state / "artifacts")
        stores = ["--backend-store-uri", backend, "--artifacts-destination", destination]
        address = ["--host", "127.0.0.1", "--port", str(port)]
        command: list[str | Path] = [MLFLOW_PYTHON, "-m", "deploy.mlflow_server", *stores, *address]
        environment = {
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "HEARTH_MLFLOW_USER": "hearth",
            "HEARTH_MLFLOW_PASSWORD": password,
            "HEARTH_STATE_DIR": str(state),
            **(settings or {}),
        }
        if store:
            environment |= {
                "MLFLOW_S3_ENDPOINT_URL": store.endpoint_url,
                "AWS_ACCESS_KEY_ID": "mlflow",
                "AWS_SECRET_ACCESS_KEY": store.secrets["mlflow"],
                "AWS_DEFAULT_REGION": store.region,
            }
        return _Plan(url, command, environment, lambda: health.mlflow_ok(url, environment))

    with _running("mlflow", plan, seconds=seconds) as server:
        yield server


def create_database(postgres_url: str, name: str) -> str:
    """Create a database in a running server and return its URL."""
    parts = urlsplit(postgres_url)
    environment = {
        "HEARTH_POSTGRES_PORT": str(parts.port),
        "HEARTH_POSTGRES_USER": parts.username or "",
        "HEARTH_POSTGRES_PASSWORD": parts.password or "",
    }
    subprocess.run([*_launcher("postgres"), "create-database", name], cwd=ROOT, env={**os.environ, **environment}, check=True)
    return parts._replace(path=f"/{name}").geturl()


def free_port() -> int:
    """Return a free port on 127.0.0.1."""
    return free_ports(1)[0]


def free_ports(count: int, *, with_grpc: bool = False) -> list[int]:
    """Return different free ports that no call in this process returned before.

    `with_grpc`: the gRPC port, 10000 above, is free too, and no killed SeaweedFS, perhaps of another user, has left a socket for it.
    """
    with contextlib.ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            port = secrets.choice(_FREE_PORTS)  # by chance, so that processes side by side rarely try the same one
            if port in _RETURNED_PORTS or (with_grpc and objectstore.stale_sockets([port])):
                continue
            try:
                for number in (port, port + GRPC_OFFSET) if with_grpc else (port,):
                    held.enter_context(_bound(number))
            except OSError:
                continue
            _RETURNED_PORTS.add(port)
            ports.append(port)
        return ports


def _bound(port: int) -> socket.socket:
    listener = socket.socket()
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    return listener


def _launcher(module: str) -> list[str | Path]:
    return [EMBEDDED_PYTHON, "-m", f"deploy.embedded.{module}"]


@contextlib.contextmanager
def _running(
    name: str,
    plan: Callable[[Path], _Plan],
    seconds: float,
    stop_signal: signal.Signals = signal.SIGTERM,
    place: Path | None = None,
) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix=f"hearth-{name}-", ignore_cleanup_errors=True, dir=place) as folder:
        for attempt in range(1, _START_ATTEMPTS + 1):
            log, state = Path(folder, f"{attempt}.log"), Path(folder, str(attempt))
            state.mkdir()
            server = Server(name, plan(state), log, seconds)
            try:
                if server.becomes_ready():
                    yield server
                    return
            finally:
                server.stop(stop_signal)
        raise ServerStartError(server.obituary)


def _start(planned: _Plan, log: Path) -> "subprocess.Popen[bytes]":
    executable = Path(planned.command[0])
    if not executable.exists():
        raise ServerStartError(f"{executable} does not exist: run `make setup` first.")
    # The caller's settings must not reach the server: neither the stack's ports nor a tracking URI.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HEARTH_", "MLFLOW_", "AWS_", "PG", "PYTHON"))}
    with log.open("ab") as output:
        return subprocess.Popen(
            planned.command,
            cwd=ROOT,
            env={**inherited, **planned.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C stops the tests first, then they stop their servers
        )


def _becomes_ready(process: "subprocess.Popen[bytes]", planned: _Plan, deadline: float) -> bool:
    while process.poll() is None and time.monotonic() < deadline:
        if planned.is_ready():
            return True
        time.sleep(0.05)
    return False


def _stop(process: "subprocess.Popen[bytes]", stop_signal: signal.Signals) -> None:
    """Stop the server and its children: it leads a process group of its own."""
    if process.poll() is None:
        process.send_signal(stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:])
