"""A folder for the files of a task, which outgrow memory. A task that is killed leaves it behind; the next one removes it."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX, _LOCK = "hearth-etl-", "lock"


@contextmanager
def work_folder() -> Iterator[Path]:
    """Make a folder in the one for temporary files (`TMPDIR`), and remove it at the end.

    A lock, which ends with the process, tells others that it is in use. Several tasks, processes and containers may share `TMPDIR`.
    """
    _remove_abandoned(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        made = Path(name, f"{_LOCK}.made")
        with made.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            made.rename(Path(name, _LOCK))  # held before another task can see it
            yield Path(name)


def _remove_abandoned(parent: Path) -> None:
    for lock in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError), lock.open("r+") as file:  # gone meanwhile, in use, or another user's
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent)
