"""A measured program, as a process of its own."""

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.harness.load import LoadError
from deploy.embedded.temporary_servers import ROOT

_START_SECONDS = 180.0
_STOP_SECONDS = 15.0


@contextlib.contextmanager
def start_program(
    name: str, command: Sequence[str], settings: Mapping[str, str], answers: Callable[[], bool]
) -> Iterator[tuple[int, float]]:
    """Start a program and wait until it answers; yield its process id and the seconds that took. Its whole group is stopped at the end.

    It has one compute thread, like all measured programs.

    Raises:
        LoadError: it ended, or did not answer in time; the message has the end of its log.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HEARTH_", "MLFLOW_", "PYTHON"))}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    with tempfile.TemporaryDirectory(prefix="hearth-bench-", ignore_cleanup_errors=True) as folder:
        log = Path(folder, "log")
        start = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**inherited, **threads, **settings},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            while not answers():
                if process.poll() is not None or time.monotonic() - start > _START_SECONDS:
                    raise LoadError(f"{name} does not answer:\n{log.read_text('utf-8', 'replace')[-3000:]}")
                time.sleep(0.1)
            yield process.pid, time.monotonic() - start
        finally:
            _stop(process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()
