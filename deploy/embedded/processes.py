"""Find and end processes of a stack whose supervisord can no longer be asked."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "HEARTH_STACK_ID"  # the variable that supervisord and all that it starts have; its value is the state folder


@dataclass(frozen=True)
class Identity:
    """A process that was started: with its start time (seconds of the epoch), so that another one with this pid is not taken for it."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "Identity":
        return cls(pid, psutil.Process(pid).create_time())

    def is_alive(self) -> bool:
        """Tell whether this very process still runs."""
        try:
            process = psutil.Process(self.pid)
            return bool(process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - self.started) < 1)
        except psutil.Error:
            return False

    def wait(self, seconds: float) -> None:
        """Return when it has ended, or after so many seconds."""
        with contextlib.suppress(psutil.Error):
            psutil.Process(self.pid).wait(seconds)


def find_leftovers(root: Path, state: Path, supervisor: Identity | None) -> list[psutil.Process]:
    """Return processes of a stack that run: those marked as its own or in its supervisord's session, and their children.

    PostgreSQL and Airflow overwrite the memory that holds the mark, so the mark alone does not find everything.
    """
    me = psutil.Process()
    spared = {me.pid, *(process.pid for process in me.parents())}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if process.pid not in spared and (_is_marked(process, state) or (supervisor and _is_in_session(process, supervisor, root, state))):
            found[process.pid] = process
            with contextlib.suppress(psutil.Error):
                found.update({child.pid: child for child in process.children(recursive=True)})
    return [process for pid, process in found.items() if pid not in spared]


def end(processes: list[psutil.Process], seconds: float) -> None:
    """Ask them to stop, and kill those that still run after so many seconds."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=seconds)


def _is_marked(process: psutil.Process, state: Path) -> bool:
    try:
        return bool(process.environ().get(MARK) == str(state))
    except (psutil.Error, OSError):
        return False


def _is_in_session(process: psutil.Process, supervisor: Identity, root: Path, state: Path) -> bool:
    try:
        if os.getsid(process.pid) != supervisor.pid or process.create_time() < supervisor.started:
            return False
        # Session numbers come round again after a restart of the machine: the folder has to be ours too
        folder = Path(process.cwd())
        return folder == root or folder.is_relative_to(state)
    except (psutil.Error, OSError):
        return False
