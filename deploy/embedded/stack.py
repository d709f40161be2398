"""The embedded stack: real servers as local processes, no Docker. The command `hearth` runs this program in the environment `embedded`.

python -m deploy.embedded.stack up [SERVICE ...]     start all services, or these and what they need; running ones keep running
python -m deploy.embedded.stack down                 stop all
python -m deploy.embedded.stack status               one line a service
python -m deploy.embedded.stack logs SERVICE [-f]    the end of a log
python -m deploy.embedded.stack wait [SERVICE ...]   wait until they are healthy
python -m deploy.embedded.stack clean                stop all and remove everything that they wrote
"""

import argparse
import contextlib
import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from deploy.embedded import ports
from deploy.embedded.environment import ROOT, load_environment
from deploy.embedded.launcher import SettingError
from deploy.embedded.logs import follow, tail
from deploy.embedded.objectstore import COMPONENTS, stale_sockets
from deploy.embedded.services import DEFAULT_SERVICES, SERVICES, Service, find_service, with_needs
from deploy.embedded.starting import StartError, Starting, stop_in_turn
from deploy.embedded.state_version import FILE, check_state, release, write_state
from deploy.embedded.supervision import Program, Supervisor, environment_of_running_stack
from deploy.secrets_check import refusals

_FAILURE_LOG_LINES = 30
_POLL_SECONDS = 0.5
_INTERRUPTED = 130  # as shells count it


class Stack:
    """The stack of one checkout, with its present settings."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self.root, self.environment = root, environment
        self.state = Path(environment["HEARTH_STATE_DIR"])
        self.logs = self.state / "logs"
        self.supervisor = Supervisor(root, environment)

    def up(self, names: list[str]) -> int:
        """Start services in the order of their needs; 0 when all are healthy, else everything that this call started is stopped."""
        steps = with_needs(names or [service.name for service in DEFAULT_SERVICES])
        ports.refuse_shared(self.environment)
        if refused := list(refusals(self.environment)):
            raise SettingError("\n".join(refused))
        start = time.monotonic()
        with self._only_one_at_a_time():
            was_running = self.supervisor.is_running()
            if changed := self.supervisor.changed_settings():
                raise SettingError(f"The stack runs with other values of {', '.join(changed)}: `hearth down` first, then `hearth up`.")
            if not was_running:
                check_state(self.state)
                self.supervisor.shut_down()  # processes that a crashed supervisord left would hold the ports
            programs = self.supervisor.programs()
            missing = [step.name for step in steps if isinstance(step, Service) and not _is_alive(programs, step.name)]
            if conflicts := ports.describe_taken(missing, self.environment):
                print("Nothing was started, because these ports are taken:", *conflicts, sep="\n  ", file=sys.stderr)
                print("Change a setting in .env.local, or once: SETTING=number hearth up. `hearth doctor` checks all.", file=sys.stderr)
                return 1
            starting = Starting(self.supervisor, self.environment, self.root, self.logs)
            if not was_running:
                write_state(self.state, release(self.root))
            try:
                self.supervisor.start()
                starting.run(steps)
            except (StartError, KeyboardInterrupt) as error:
                print(f"  {error}" if isinstance(error, StartError) else "  interrupted", file=sys.stderr)
                if isinstance(error, StartError):
                    self._print_failure_log(error.name)
                print("Stopping what was started.", file=sys.stderr)
                starting.stop()
                if not was_running:
                    self.supervisor.shut_down()
                return 1 if isinstance(error, StartError) else _INTERRUPTED
        print(f"All {len(steps)} steps are done after {time.monotonic() - start:.1f} s.")
        return 0

    def down(self) -> int:
        """Stop everything; 0 if no process is left, also when nothing ran."""
        start = time.monotonic()
        with self._only_one_at_a_time():
            programs = self.supervisor.programs()
            if programs:
                stop_in_turn(self.supervisor, programs)
            self.supervisor.shut_down()
            if _is_alive(programs, "minio"):  # else they may be those of another stack
                for path in stale_sockets(int(self.environment[name]) for name in COMPONENTS.values()):
                    path.unlink(missing_ok=True)
            if leftovers := self.supervisor.leftovers():
                print("These processes could not be stopped:", *(f"{p.pid} {p.name()}" for p in leftovers), sep="\n  ", file=sys.stderr)
                return 1
        print(f"The stack is down after {time.monotonic() - start:.1f} s.")
        return 0

    def status(self) -> int:
        """Print one line for each service."""
        programs = self.supervisor.programs()
        row = "{:<22} {:<9} {:<8} {:>6} {:>8}  {}"
        print(row.format("service", "state", "healthy", "port", "pid", "since"))
        for service in SERVICES:
            program = programs.get(service.name)
            healthy = program is not None and program.is_alive and service.is_healthy(self.environment)
            port = ports.main_port(service.name)
            number = port.number(self.environment) if port else "-"
            if program is None or not program.is_alive:
                print(row.format(service.name, program.state.lower() if program else "stopped", "-", number, "-", "-"))
            else:
                since = datetime.fromtimestamp(program.since).astimezone().strftime("%Y-%m-%d %H:%M:%S")
                print(row.format(service.name, program.state.lower(), "yes" if healthy else "no", number, program.pid, since))
        return 0

    def print_log(self, name: str, *, is_followed: bool) -> int:
        """Print the end of a service's log and, if it is followed, what is added to it."""
        file = self.logs / f"{find_service(name).name}.log"
        if not file.exists():
            raise SettingError(f"{name} has written no log yet: {file} does not exist.")
        print(*tail(file, 100), sep="\n", flush=True)
        if is_followed:
            with contextlib.suppress(KeyboardInterrupt):
                follow(file, sys.stdout)
        return 0

    def wait(self, names: list[str], seconds: float) -> int:
        """Wait until these services (or all) are healthy; 1 if they are not in time."""
        waiting = [find_service(name) for name in names] or list(DEFAULT_SERVICES)
        deadline = time.monotonic() + seconds
        while waiting := [service for service in waiting if not self._is_healthy(service)]:
            if time.monotonic() > deadline:
                print(f"Not healthy after {seconds:.0f} seconds: {', '.join(service.name for service in waiting)}.", file=sys.stderr)
                return 1
            time.sleep(_POLL_SECONDS)
        return 0

    def clean(self) -> int:
        """Stop everything and remove the files of the servers."""
        if code := self.down():
            return code
        folders = ("airflow", "logs", "objectstore", "postgres", "prometheus", "valkey")
        is_default = self.state == self.root / ".hearth"
        for path in [self.state] if is_default else [self.state / name for name in folders]:  # another folder may hold other files
            if path.is_dir():
                shutil.rmtree(path)
        (self.state / FILE).unlink(missing_ok=True)
        return 0

    def _is_healthy(self, service: Service) -> bool:
        program = self.supervisor.programs().get(service.name)
        return program is not None and program.state == "RUNNING" and service.is_healthy(self.environment)

    def _print_failure_log(self, name: str) -> None:
        file = self.logs / f"{name}.log"
        if file.exists():
            print(*tail(file, _FAILURE_LOG_LINES), sep="\n", file=sys.stderr)
        print(f"This is the end of {file}", file=sys.stderr)

    @contextlib.contextmanager
    def _only_one_at_a_time(self) -> Iterator[None]:
        self.state.mkdir(parents=True, exist_ok=True)
        if (owner := self.state.stat().st_uid) != os.geteuid():
            raise SettingError(
                f"{self.state} belongs to user {owner}: run this as that user, or set HEARTH_STATE_DIR to a folder of your own."
            )
        with (self.state / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SettingError("Another `hearth up` or `hearth down` is under way here: wait for it.") from None
            yield


def _is_alive(programs: dict[str, Program], name: str) -> bool:
    return name in programs and programs[name].is_alive


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stack", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in ("down", "status", "clean"):
        commands.add_parser(name)
    commands.add_parser("up").add_argument("services", nargs="*", metavar="SERVICE")
    wait = commands.add_parser("wait")
    wait.add_argument("services", nargs="*", metavar="SERVICE")
    wait.add_argument("--seconds", type=float, default=180)
    logs = commands.add_parser("logs")
    logs.add_argument("service", metavar="SERVICE")
    logs.add_argument("-f", "--follow", action="store_true")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run one command; return its exit code."""
    options = _parse(arguments)
    environment = load_environment(ROOT, os.environ)
    if options.command != "up":
        environment = environment_of_running_stack(ROOT, environment)
    stack = Stack(ROOT, environment)
    match options.command:
        case "up":
            return stack.up(options.services)
        case "wait":
            return stack.wait(options.services, options.seconds)
        case "logs":
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends this process, as it ends other programs
            return stack.print_log(options.service, is_followed=options.follow)
        case "status":
            return stack.status()
        case "clean":
            return stack.clean()
        case _:
            return stack.down()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SettingError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
