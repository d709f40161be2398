"""REST and gRPC as processes of their own, that can be stopped and started again at their ports; their logs are files."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib import error, request

from benchmarks.harness.doors import FAILURES, Door, GraphqlDoor, GrpcDoor, RestDoor
from benchmarks.harness.load import LoadError
from benchmarks.harness.model import DATA
from benchmarks.harness.requests import Records
from deploy.embedded.temporary_servers import ROOT, free_ports
from hearth.contracts import load_contract

_START_SECONDS = 180.0
_END_SECONDS = 60.0
_SCRAPE_SECONDS = 10.0
_SAMPLE = re.compile(r"^([a-z_]+)(\{[^}]*\})? ([0-9.e+-]+)$", re.MULTILINE)


class Service:
    """One process. Its group is killed at the end, so that no child stays."""

    def __init__(self, name: str, command: Sequence[str], settings: Mapping[str, str], metrics_url: str, log: Path) -> None:
        self.name, self.log = name, log
        self._command, self._settings, self._metrics_url = command, dict(settings), metrics_url
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of the running process."""
        assert self._process is not None  # noqa: S101 - `start` comes first
        return self._process.pid

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start it, with further variables."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HEARTH_", "MLFLOW_", "PYTHON"))}
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env={**inherited, **threads, **self._settings, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until(self, ready: Callable[[], bool], seconds: float = _START_SECONDS) -> float:
        """Wait until something holds, and return the seconds that took.

        Raises:
            LoadError: the process ended, or it does not hold in time; the message has the end of the log.
        """
        start = time.monotonic()
        while not ready():
            if self.code is not None or time.monotonic() - start > seconds:
                raise LoadError(f"{self.name} (code {self.code}) was not ready after {time.monotonic() - start:.0f} s:\n{self.tail()}")
            time.sleep(0.1)
        return time.monotonic() - start

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll() if self._process else None

    def end(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Send a signal and return the seconds until the process has ended; a minute at most, then it is killed."""
        if self._process is None:  # it was never started
            return 0.0
        start = time.monotonic()
        if self._process.poll() is None:
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
        seconds = time.monotonic() - start
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        return seconds

    def metrics(self) -> dict[str, float]:
        """Return each sample by its name with its labels, and the sum of a name's samples by its name alone.

        Raises:
            OSError: it does not answer.
        """
        with request.urlopen(self._metrics_url, timeout=_SCRAPE_SECONDS) as answer:  # noqa: S310 - our own
            text = answer.read().decode()
        found: dict[str, float] = {}
        for name, labels, value in _SAMPLE.findall(text):
            found[f"{name}{labels}"] = float(value)
            if labels:
                found[name] = found.get(name, 0.0) + float(value)
        return found

    def tail(self) -> str:
        """Return the end of the log."""
        return self.log.read_text("utf-8", "replace")[-3000:]


class Services:
    """REST and gRPC with the same settings."""

    def __init__(self, settings: Mapping[str, str], logs: Path) -> None:
        self.rest_port, self.grpc_port, metrics_port = free_ports(3)
        own = {"HEARTH_GRPC_PORT": str(self.grpc_port), "HEARTH_GRPC_METRICS_PORT": str(metrics_port)}
        rest = [sys.executable, "-P", "-m", "hearth_api", "--host", "127.0.0.1", "--port", str(self.rest_port)]
        grpc = [sys.executable, "-P", "-m", "grpc_service.server"]
        self.rest = Service("REST", rest, settings, f"http://127.0.0.1:{self.rest_port}/metrics", logs / "rest.log")
        self.grpc = Service("gRPC", grpc, {**settings, **own}, f"http://127.0.0.1:{metrics_port}/metrics", logs / "grpc.log")
        self.all = (self.rest, self.grpc)

    @property
    def pids(self) -> dict[str, int]:
        """The ids of the processes, by name."""
        return {service.name: service.pid for service in self.all}

    def doors(self, requests: Sequence[Records]) -> dict[str, Callable[[], Door]]:
        """Return what makes a door of each protocol."""
        contract = load_contract("employees", DATA)
        return {
            "rest": lambda: RestDoor(self.rest_port, requests),
            "graphql": lambda: GraphqlDoor(self.rest_port, requests, contract),
            "grpc": lambda: GrpcDoor(self.grpc_port, requests),
        }

    def answer(self, requests: Sequence[Records]) -> bool:
        """Tell whether both answer a request for predictions."""
        for make in self.doors(requests).values():
            door = make()
            try:
                door.ask(0)
            except FAILURES:
                return False
            finally:
                door.close()
        return True

    def get(self, path: str, seconds: float = 30.0) -> int:
        """Return the status of a GET of REST; 0 if there is no answer."""
        try:
            with request.urlopen(f"http://127.0.0.1:{self.rest_port}{path}", timeout=seconds) as answer:
                return int(answer.status)
        except error.HTTPError as refused:
            with refused:
                return refused.code
        except OSError:
            return 0


@contextlib.contextmanager
def running_services(settings: Mapping[str, str], logs: Path, requests: Sequence[Records]) -> Iterator[Services]:
    """Start both and wait until they predict; end them at the end.

    Raises:
        LoadError: one does not come up.
    """
    services = Services(settings, logs)
    try:
        for service in services.all:
            service.start()
        services.rest.wait_until(lambda: services.answer(requests))
        yield services
    finally:
        for service in services.all:
            service.end(signal.SIGKILL)
