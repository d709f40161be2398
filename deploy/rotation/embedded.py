"""A rotation in the embedded stack: servers first, then the settings, then the services one after the other."""

import time
from collections.abc import Mapping
from pathlib import Path

from deploy.compose.make_secrets import write_values
from deploy.embedded.environment import load_environment
from deploy.embedded.services import find_service
from deploy.embedded.supervision import Supervisor
from deploy.rotation import servers
from deploy.rotation.catalogue import Server
from deploy.rotation.changes import CannotRotate, restarted, secret_of
from deploy.rotation.journal import Journal

_POLL_SECONDS = 0.2
_GOES_ON = "The same command goes on from here."


class NotHealthy(Exception):
    """A service does not come back; the message says which and what to do."""


class Rotation:
    """The steps of one rotation. Each may be repeated: after a kill, a new one goes on with the same journal."""

    def __init__(self, root: Path, outside: Mapping[str, str], journal: Journal) -> None:
        self._root, self._journal = root, journal
        # Without what the files say: a value of the caller's shell would win over what is written there.
        self._outside = {name: value for name, value in outside.items() if name not in journal.changed}
        self._local = root / ".env.local"

    def run(self) -> None:
        """Do what is left to do.

        Raises:
            ServerRefused: a server does not take the new value; nothing that comes after it is done.
            NotHealthy: a service does not come back.
        """
        old = load_environment(self._root, self._outside)
        supervisor = Supervisor(self._root, old)
        running = supervisor.running_settings()
        if running:
            for name in self._journal.names:
                self._change_at_server(name, {**old, **running})
        write_values(self._local, self._journal.changed)
        if running:
            self._restart(supervisor, running)
        self._journal.remove()

    def _change_at_server(self, name: str, running: Mapping[str, str]) -> None:
        secret, step = secret_of(name), f"server {name}"
        if step in self._journal.done:
            return
        changed, before = self._journal.changed, self._journal.before
        if secret.server is Server.POSTGRES:
            superuser, password = running["HEARTH_POSTGRES_USER"], "HEARTH_POSTGRES_PASSWORD"
            known = [source[password] for source in (before, running, changed) if password in source]
            servers.alter_role(int(running["HEARTH_POSTGRES_PORT"]), superuser, known, secret.role or superuser, changed[name])
        elif secret.server is Server.VALKEY:
            servers.add_password(int(running["HEARTH_REDIS_PORT"]), [before[name], changed[name]], changed[name])
        else:
            return
        print(f"  {secret.server} has the new value of {name}", flush=True)
        self._journal.finish(step)

    def _encrypt_anew(self, environment: Mapping[str, str]) -> None:
        """Airflow's command reads the database, so it runs when the settings have the password that the database has."""
        is_made = Path(environment["AIRFLOW_HOME"], "migrated-to").exists()
        for name in self._journal.names:
            step = f"server {name}"
            if secret_of(name).server is Server.AIRFLOW and is_made and step not in self._journal.done:
                servers.encrypt_anew(environment, self._journal.changed[name], self._journal.before[name])
                print(f"  {Server.AIRFLOW} is encrypted with the new {name}", flush=True)
                self._journal.finish(step)

    def _restart(self, supervisor: Supervisor, running: Mapping[str, str]) -> None:
        # What the stack was started with and no file says, such as a port of that shell, stays.
        files = load_environment(self._root, {})
        derived = load_environment(self._root, self._journal.before)
        given = {name: value for name, value in running.items() if derived.get(name) != value and name in files}
        environment = load_environment(self._root, {**self._outside, **given})
        then = load_environment(self._root, {**self._outside, **running})
        changed = {name: value for name, value in environment.items() if then.get(name) != value and name not in self._outside}
        is_resumed = self._journal.restarting is not None
        if self._journal.restarting is None:
            programs, wanted = supervisor.programs(), restarted(self._journal.names, self._journal.changed)
            self._journal.restart([name for name in wanted if name in programs and programs[name].is_wanted])
        if changed or is_resumed:  # one that was killed may have noted the settings, and not have told supervisord
            supervisor.adopt(environment, changed)
        self._encrypt_anew(environment)
        for name in self._journal.restarting or []:
            if f"restart {name}" in self._journal.done:
                continue
            start = time.monotonic()
            supervisor.restart_program(name)
            self._wait(name, supervisor, environment)
            print(f"  {name:<22} started again, healthy after {time.monotonic() - start:5.1f} s", flush=True)
            self._journal.finish(f"restart {name}")

    def _wait(self, name: str, supervisor: Supervisor, environment: Mapping[str, str]) -> None:
        service = find_service(name)
        deadline = time.monotonic() + service.limit_seconds
        while True:
            program = supervisor.programs()[name]
            if program.state == "FATAL":
                raise NotHealthy(f"{name} does not start with the new value: `hearth logs {name}` says why. {_GOES_ON}")
            steady = time.time() - program.since >= service.steady_seconds
            if program.state == "RUNNING" and steady and service.is_healthy(environment):
                return
            if time.monotonic() > deadline:
                raise NotHealthy(
                    f"{name} is not healthy {service.limit_seconds} s after it started with the new value: `hearth logs {name}` says why. "
                    f"{_GOES_ON}"
                )
            time.sleep(_POLL_SECONDS)


def begin(path: Path, names: list[str], changed: Mapping[str, str], before: Mapping[str, str]) -> Journal:
    """Write down what is going to happen, before anything does."""
    if missing := [name for name in names if secret_of(name).server and name not in before]:
        raise CannotRotate(f"{', '.join(missing)}: there is no value before.")
    journal = Journal(path, names, dict(changed), dict(before))
    journal.write()
    return journal
