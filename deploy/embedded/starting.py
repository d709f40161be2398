"""The start of services in the order of their needs: each starts when its needs are healthy."""

import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.embedded.services import Preparation, Service
from deploy.embedded.supervision import CannotStartError, Program, Supervisor

_POLL_SECONDS = 0.2
# The order of stopping: workers first, then the servers that they report to, then the stores.
_STOPPED_SECOND = ("airflow-apiserver", "mlflow")
_STOPPED_LAST = ("postgres", "valkey", "minio")


class StartError(Exception):
    """A service or a preparation failed; the message has its name and the reason."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name


@dataclass
class Starting:
    """One `up` in progress."""

    supervisor: Supervisor
    environment: Mapping[str, str]
    root: Path
    logs: Path
    begun: dict[str, float] = field(default_factory=dict)
    healthy: set[str] = field(default_factory=set)
    started: list[str] = field(default_factory=list)  # the services that were not running before
    _pids: dict[str, int] = field(default_factory=dict)
    _preparing: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def run(self, steps: Sequence[Service | Preparation]) -> None:
        """Start all steps and return when all are healthy.

        Raises:
            StartError: one of them ended or was not healthy in its time. The others keep their state.
        """
        while len(self.healthy) < len(steps):
            programs = self.supervisor.programs()
            for step in steps:
                if step.name in self.healthy:
                    continue
                if step.name not in self.begun:
                    if self.healthy.issuperset(step.needs):
                        self._begin(step, programs)
                elif self._is_complete(step, programs):
                    self.healthy.add(step.name)
                    print(f"  {step.name:<22} healthy after {time.monotonic() - self.begun[step.name]:5.1f} s", flush=True)
                elif time.monotonic() - self.begun[step.name] > step.limit_seconds:
                    raise StartError(step.name, f"not healthy after {step.limit_seconds} seconds")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Stop the services that this start has started."""
        for process in self._preparing.values():
            process.terminate()
            process.wait()
        if self.supervisor.is_running():
            stop_in_turn(self.supervisor, self.started)

    def _begin(self, step: Service | Preparation, programs: Mapping[str, Program]) -> None:
        self.begun[step.name] = time.monotonic()
        if isinstance(step, Preparation):
            with (self.logs / f"{step.name}.log").open("wb") as log:
                self._preparing[step.name] = subprocess.Popen(
                    step.command, cwd=self.root, env=dict(self.environment), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
                )
        elif not programs[step.name].is_alive:
            try:
                self.supervisor.start_program(step.name)
            except CannotStartError as error:
                raise StartError(step.name, str(error)) from error
            self.started.append(step.name)

    def _is_complete(self, step: Service | Preparation, programs: Mapping[str, Program]) -> bool:
        if isinstance(step, Preparation):
            code = self._preparing[step.name].poll()
            if code:
                raise StartError(step.name, f"ended with code {code}")
            return code == 0
        program = programs[step.name]
        # supervisord restarts a service that ends; during a start its first end is a failure
        if not program.is_alive or self._pids.setdefault(step.name, program.pid) != program.pid:
            raise StartError(step.name, "ended instead of becoming healthy")
        steady = time.time() - program.since >= step.steady_seconds
        return program.state == "RUNNING" and steady and step.is_healthy(self.environment)


def stop_in_turn(supervisor: Supervisor, names: Iterable[str]) -> None:
    """Stop services in an order in which running tasks can report their end."""
    services = set(names)
    supervisor.stop_programs(services.difference(_STOPPED_SECOND, _STOPPED_LAST))
    supervisor.stop_programs(services.difference(_STOPPED_LAST))
    supervisor.stop_programs(services)
