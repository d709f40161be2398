"""What this machine lacks, checked before anything is installed; standard library only.

`--install` installs it on Debian, as root, together with what only some tests need; `--benchmarks` checks what the benchmarks need besides.
"""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

OLDEST, NEWEST = (3, 11), (3, 13)


@dataclass(frozen=True)
class Lack:
    """Something that is missing, with its purpose and the packages that have it."""

    what: str
    debian: str
    macos: str

    @property
    def remedy(self) -> str:
        """The command that installs it."""
        return f"brew install {self.macos}" if sys.platform == "darwin" else f"apt-get install {self.debian}"


def is_supported(version: tuple[int, ...]) -> bool:
    """Tell whether Hearth runs on this version of Python, such as (3, 12)."""
    return OLDEST <= version[:2] <= NEWEST


def find_lacks() -> list[Lack]:
    """Return what is missing and pip cannot install."""
    lacks = []
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        lacks.append(Lack("Python's venv module, for the environments", "python3-venv", "python@3.13"))
    if not _has_openmp():
        lacks.append(Lack("the OpenMP runtime, for LightGBM", "libgomp1", "libomp"))
    if shutil.which("git") is None:
        lacks.append(Lack("git, for the revision that a model is trained from", "git", "git"))
    return lacks


def find_test_lacks() -> list[Lack]:
    """Return what is missing and some tests need; without it they are skipped."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    lacks = []
    if shutil.which("mariadbd", path=path) is None:
        lacks.append(Lack("MariaDB's server, for the tests of MySQL", "mariadb-server", "mariadb"))
    if shutil.which("chromium") is None:
        lacks.append(Lack("Chromium, for the tests of the page", "chromium", "--cask chromium"))
    return lacks


def find_benchmark_lacks() -> list[Lack]:
    """Return what is missing and puts load on a service."""
    return [] if shutil.which("wrk") else [Lack("wrk, which puts load on a service", "wrk", "wrk")]


def main() -> int:
    """Print what is missing; 0 if Hearth can run."""
    if not is_supported(sys.version_info[:2]):
        version = ".".join(map(str, sys.version_info[:3]))
        print(
            f"Hearth runs on Python 3.11 to 3.13, but {sys.executable} is {version}. Name another: make PYTHON=python3.12 …",
            file=sys.stderr,
        )
        return 1
    lacks = find_lacks()
    if "--benchmarks" in sys.argv[1:]:
        lacks += find_benchmark_lacks()
    if "--install" in sys.argv[1:]:
        if lacks:
            _install([lack.debian for lack in lacks])
            lacks = find_lacks()
        if for_tests := find_test_lacks():
            try:
                _install([lack.debian for lack in for_tests])
            except subprocess.CalledProcessError as error:
                print(f"Tests will be skipped that need {', '.join(lack.what for lack in for_tests)}: {error}", file=sys.stderr)
    for lack in lacks:
        print(f"This machine lacks {lack.what}. Install it: {lack.remedy}", file=sys.stderr)
    return 1 if lacks else 0


def _has_openmp() -> bool:
    names = ("libgomp.so.1",)
    if sys.platform == "darwin":
        names = ("libomp.dylib", "/opt/homebrew/opt/libomp/lib/libomp.dylib", "/usr/local/opt/libomp/lib/libomp.dylib")
    return any(_loads(name) for name in names)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _install(packages: list[str]) -> None:
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        print(f"Cannot install {', '.join(packages)}: that needs apt-get and root.", file=sys.stderr)
        return
    print(f"Installing Debian packages: {', '.join(packages)}", flush=True)
    subprocess.run([apt, "update", "-qq"], check=True)
    subprocess.run([apt, "install", "-y", "-qq", "--no-install-recommends", *packages], check=True)


if __name__ == "__main__":
    sys.exit(main())
