"""Processes of a stack whose supervisord no longer answers: finding and ending them."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "HEARTH_STACK_ID"  # the variable that supervisord and all that it starts have; its value is the state folder


@dataclass(frozen=True)
class Identity:
    """A process by pid and start time (seconds of the epoch): a later process with the same pid is another one."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "Identity":
        return cls(pid, psutil.Process(pid).create_time())

    def is_alive(self) -> bool:
        """Tell whether this process still runs."""
        try:
            process = psutil.Process(self.pid)
            return bool(process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - self.started) < 1)
        except psutil.Error:
            return False

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, up to `seconds`."""
        with contextlib.suppress(psutil.Error):
            psutil.Process(self.pid).wait(seconds)


def find_leftovers(root: Path, state: Path, supervisor: Identity | None) -> list[psutil.Process]:
    """Return the running processes of a stack: those with its mark or in the session of its supervisord, and their children.

    PostgreSQL and Airflow overwrite the memory that holds the mark, so the mark alone is not enough.
    """
    own = psutil.Process()
    spared = {own.pid, *(process.pid for process in own.parents())}
    processes: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if process.pid not in spared and (_is_marked(process, state) or (supervisor and _is_in_session(process, supervisor, root, state))):
            processes[process.pid] = process
            with contextlib.suppress(psutil.Error):
                processes.update({child.pid: child for child in process.children(recursive=True)})
    return [process for pid, process in processes.items() if pid not in spared]


def end(processes: list[psutil.Process], seconds: float) -> None:
    """Terminate processes, and kill those that still run after `seconds`."""
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
