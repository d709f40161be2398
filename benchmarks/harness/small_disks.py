"""Small disks that can be filled: tmpfs, which only root may mount."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

_FILLER = "filler"
_BLOCK = b"0" * 4_096


class NoDiskError(Exception):
    """No small disk can be had here; the message says why."""


@contextlib.contextmanager
def small_disk(name: str, megabytes: int) -> Iterator[Path]:
    """Mount a disk of this size, and unmount it at the end.

    Raises:
        NoDiskError: this user may not, or there is no `mount`.
    """
    with tempfile.TemporaryDirectory(prefix=f"hearth-disk-{name}-", ignore_cleanup_errors=True) as folder:
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "none", folder]
        try:
            mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise NoDiskError("there is no `mount` here") from None
        if mounted.returncode:
            raise NoDiskError(f"no small disk could be mounted: {mounted.stderr.strip() or os.strerror(1)}")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=False)  # noqa: S607 - as above, it is where mount is


@contextlib.contextmanager
def filled(disk: Path, leave_bytes: int = 0) -> Iterator[None]:
    """Fill a disk but for some bytes, and free it at the end."""
    filler = disk / _FILLER
    with filler.open("wb") as file, contextlib.suppress(OSError):
        os.posix_fallocate(file.fileno(), 0, max(shutil.disk_usage(disk).free - leave_bytes, 1))
    if not leave_bytes:
        with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(_BLOCK)
    try:
        yield
    finally:
        filler.unlink()
