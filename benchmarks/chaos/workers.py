"""Worker processes, and a supervisor that starts each again as soon as it has ended."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORKER: Sequence[str] = (sys.executable, "-m", "hearth.streaming.worker")
_LOOK_SECONDS = 0.05
_STOP_SECONDS = 30.0
_PAUSE_SECONDS = 1.0


class SupervisedWorkers:
    """Workers with a log file each. A worker that ends is started again, until all are stopped."""

    def __init__(self, count: int, environment: Mapping[str, str], logs: Path, command: Sequence[str] = WORKER) -> None:
        self._environment, self._command, self._logs = environment, command, logs
        self.names = tuple(f"worker-{number + 1}" for number in range(count))
        self._stopping = threading.Event()
        self._processes = [self._start(name) for name in self.names]
        self._started = [time.monotonic()] * count
        self._killed: set[int] = set()
        self.starts, self.own_ends = count, 0
        self._watch = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._watch.start()

    def kill(self, number: int) -> None:
        """Kill a worker and wait until it is started again."""
        process = self._processes[number]
        self._killed.add(process.pid)
        process.kill()
        while self._processes[number] is process:
            time.sleep(_LOOK_SECONDS)

    def age_seconds(self, number: int) -> float:
        """Return the seconds since the last start of a worker."""
        return time.monotonic() - self._started[number]

    def stop(self) -> list[int]:
        """Stop all workers and return their exit codes; a worker that does not stop in time is killed."""
        self._stopping.set()
        self._watch.join()
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
            process.kill()
            process.wait()
        return [process.returncode for process in self._processes]

    def _supervise(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            for number, process in enumerate(self._processes):
                if process.poll() is not None:
                    if process.pid not in self._killed:
                        self.own_ends += 1
                        self._stopping.wait(_PAUSE_SECONDS)  # a worker that cannot start must not keep the machine busy
                    self._processes[number] = self._start(self.names[number])
                    self._started[number] = time.monotonic()
                    self.starts += 1

    def _start(self, name: str) -> "subprocess.Popen[bytes]":
        with (self._logs / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                self._command,
                cwd=ROOT,
                env={**os.environ, **self._environment, "HEARTH_STREAM_CONSUMER": name},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C ends the test first, and that ends them
            )
